"""Kubeflow Pipelines' REST API (v2beta1) over real HTTP, in memory, for tests.

It answers with the models of `kfp_server_api` and refuses what the real one refuses: fields that the public schema does
not have, values of a wrong type, pipelines that are none, parameters that a pipeline has not, crons that cannot be,
schedules without a pipeline version. Nothing is executed: the stages of a run move on each time somebody looks.

    server.faults.append(Fault("POST", r"/runs$", "500"))    # once; "hang", "drop" and "html" are other ways to fail
    server.token = "s3cret"                                  # 401 for everybody else
    server.fails_at = "train-gan"                            # runs made from now on
    server.tick(moment)                                      # starts what is due in that second
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kfp_server_api as api
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

API = "/apis/v2beta1"
ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
STAGES = ("prepare-data", "train-gan", "select-checkpoint", "evaluate-gan", "export-samples")
_NATIVE: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "object": (dict,),
    "datetime": (str,),
}
_KINDS: dict[str, tuple[type, ...]] = {
    "STRING": (str,),
    "NUMBER_INTEGER": (int, float),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": (bool,),
    "LIST": (list,),
    "STRUCT": (dict,),
}
_CRON_RANGES = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_CRON_NAMES = re.findall("...", "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDECSUNMONTUEWEDTHUFRISAT")


class RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Fault:
    """What goes wrong with the next request that fits."""

    method: str
    path: str
    kind: str
    """A status, "drop" (no answer), "done" (done, but no answer), "hang" (until the server ends) or "html"."""


class KfpServer:
    """Use as a context manager; `address` is its host."""

    def __init__(self) -> None:
        self.experiments: dict[str, api.V2beta1Experiment] = {}
        self.runs: dict[str, api.V2beta1Run] = {}
        self.schedules: dict[str, api.V2beta1RecurringRun] = {}
        self.logs: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.faults: list[Fault] = []
        self.token = ""
        self.namespaces: set[str] | None = None
        self.fails_at = ""
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.page_limit = 100
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._client = api.ApiClient()
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.kfp = self
        self.address = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> KfpServer:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._http.shutdown()
        self._http.server_close()

    # -- what tests look at ----------------------------------------------------------------------------------------

    def sent(self, method: str) -> list[str]:
        """Paths of the requests of one method, in order."""
        return [path for each, path in self.requests if each == method]

    def tick(self, moment: datetime) -> None:
        """Starts a run of every enabled schedule that is due in the second of a moment and has none running."""
        from pipeline.scheduling.cron import next_due

        for schedule in list(self.schedules.values()):
            cron = schedule.trigger.cron_schedule
            busy = [
                run
                for run in self.runs.values()
                if run.recurring_run_id == schedule.recurring_run_id and run.state not in ENDED
            ]
            is_due = cron and next_due(cron.cron, moment - timedelta(seconds=1)) == moment
            if schedule.mode == "ENABLE" and is_due and not busy:
                self._add_run(
                    api.V2beta1Run(
                        display_name=f"{schedule.display_name} {moment:%H:%M:%S}",
                        experiment_id=schedule.experiment_id,
                        pipeline_spec=schedule.pipeline_spec,
                        runtime_config=schedule.runtime_config,
                        recurring_run_id=schedule.recurring_run_id,
                    )
                )

    # -- HTTP ------------------------------------------------------------------------------------------------------

    def answer(self, handler: _Handler, method: str) -> None:
        parts = urlsplit(handler.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length)
        self.requests.append((method, parts.path))
        fault = next((each for each in self.faults if each.method == method and re.search(each.path, parts.path)), None)
        if fault is not None:
            self.faults.remove(fault)
            if self._fail(handler, fault, method, parts.path, query, body):
                return
        try:
            if self.token and handler.headers.get("Authorization") != f"Bearer {self.token}":
                raise RefusedError(401, "Unauthenticated")
            with self._lock:
                result = self._route(method, parts.path, query, body)
        except RefusedError as refused:
            handler.send(refused.status, {"code": 3, "message": str(refused), "details": []})
            return
        if isinstance(result, bytes):
            handler.send(200, result)
        else:
            handler.send(200, self._client.sanitize_for_serialization(result))

    def _fail(
        self, handler: _Handler, fault: Fault, method: str, path: str, query: dict[str, str], body: bytes
    ) -> bool:
        if fault.kind == "hang":
            self._over.wait()
        elif fault.kind == "html":
            handler.send(200, b"<html>Please log in</html>", "text/html")
        elif fault.kind == "done":
            with self._lock:
                self._route(method, path, query, body)
        elif fault.kind.isdecimal():
            handler.send(
                int(fault.kind), {"code": 13, "message": f"InternalServerError: {fault.kind}\nstack", "details": []}
            )
        handler.close_connection = True
        return True

    def _route(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> Any:
        routes: list[tuple[str, str, Callable[..., Any]]] = [
            ("GET", rf"{API}/healthz", lambda: api.V2beta1GetHealthzResponse(multi_user=False)),
            ("GET", rf"{API}/experiments", lambda: self._experiments(query)),
            ("POST", rf"{API}/experiments", lambda: self._make_experiment(body)),
            ("GET", rf"{API}/runs", lambda: self._list_runs(query)),
            ("POST", rf"{API}/runs", lambda: self._make_run(body)),
            ("GET", rf"{API}/runs/([^/:]+)", self._look_at_run),
            ("POST", rf"{API}/runs/([^/:]+):terminate", self._terminate),
            ("POST", rf"{API}/runs/([^/:]+):retry", self._retry),
            ("GET", rf"{API}/recurringruns", lambda: self._list_schedules(query)),
            ("POST", rf"{API}/recurringruns", lambda: self._make_schedule(body)),
            ("GET", rf"{API}/recurringruns/([^/:]+)", lambda key: self._get(self.schedules, key)),
            ("DELETE", rf"{API}/recurringruns/([^/:]+)", self._delete_schedule),
            ("POST", rf"{API}/recurringruns/([^/:]+):enable", lambda key: self._switch(key, "ENABLE")),
            ("POST", rf"{API}/recurringruns/([^/:]+):disable", lambda key: self._switch(key, "DISABLE")),
            ("GET", r"/apis/v1alpha1/runs/([^/:]+)/nodes/([^/:]+)/log", self._log),
        ]
        for wanted, pattern, handle in routes:
            if method == wanted and (fits := re.fullmatch(pattern, path)):
                return handle(*fits.groups())
        raise RefusedError(404, "Not Found")

    # -- experiments -----------------------------------------------------------------------------------------------

    def _experiments(self, query: Mapping[str, str]) -> Any:
        self._check_namespace(query.get("namespace"))
        found, token = self._page(list(self.experiments.values()), query)
        return api.V2beta1ListExperimentsResponse(experiments=found, next_page_token=token)

    def _make_experiment(self, body: bytes) -> Any:
        made = self._read(body, "V2beta1Experiment")
        self._check_namespace(made.namespace)
        if not made.display_name:
            raise RefusedError(400, "Invalid input error: Experiment name is empty")
        if any(each.display_name == made.display_name for each in self.experiments.values()):
            raise RefusedError(409, f"Already exist error: experiment {made.display_name} already exists")
        made.experiment_id, made.created_at = str(uuid.uuid4()), self._moment()
        self.experiments[made.experiment_id] = made
        return made

    # -- runs ------------------------------------------------------------------------------------------------------

    def _list_runs(self, query: Mapping[str, str]) -> Any:
        self._check_namespace(query.get("namespace"))
        if "namespace" not in query and "experiment_id" not in query:
            raise RefusedError(400, "Invalid input error: either the namespace or the experiment is needed")
        runs = [run for run in self.runs.values() if query.get("experiment_id") in (None, run.experiment_id)]
        found, token = self._page(runs, query)
        return api.V2beta1ListRunsResponse(runs=found, next_page_token=token)

    def _make_run(self, body: bytes) -> Any:
        run = self._read(body, "V2beta1Run")
        self._check_pipeline(run)
        if run.experiment_id not in self.experiments:
            raise RefusedError(404, f"ResourceNotFoundError: Experiment {run.experiment_id} not found")
        return self._add_run(run)

    def _add_run(self, run: Any) -> Any:
        run.run_id, run.created_at, run.state = str(uuid.uuid4()), self._moment(), "PENDING"
        run.finished_at = datetime(1970, 1, 1, tzinfo=UTC)
        tasks = [
            api.V2beta1PipelineTaskDetail(run_id=run.run_id, display_name=name, state="RUNNING", pod_name=f"pod-{name}")
            for name in ("root", "root-driver")
        ]
        run.run_details = api.V2beta1RunDetails(task_details=tasks)
        run.plugins_input = {"fails_at": {"stage": self.fails_at}} if self.fails_at else {}
        self.runs[run.run_id] = run
        return run

    def _look_at_run(self, key: str) -> Any:
        """Hands it out, a little further than last time: a stage is entered, then left."""
        run = self._get(self.runs, key)
        if run.state in ("PENDING", "RUNNING"):
            self._move_on(run)
        elif run.state == "CANCELING":
            run.state, run.finished_at = "CANCELED", self._moment()
        return run

    def _move_on(self, run: Any) -> None:
        tasks = run.run_details.task_details
        running = [task for task in tasks if task.display_name in STAGES and task.state == "RUNNING"]
        fails_at = (run.plugins_input or {}).get("fails_at", {}).get("stage")
        if not running:
            done = [task.display_name for task in tasks if task.state == "SUCCEEDED"]
            stage = next(name for name in STAGES if name not in done)
            tasks[:] = [task for task in tasks if task.display_name != stage]
            pod = f"{run.run_id[:5]}-{stage}"
            tasks += _nodes(run.run_id, stage, pod, self._moment())
            run.state = "RUNNING"
            self.logs[pod] = f"{stage}: at work\n".encode() + b"\xff"
            return
        for task in [each for each in tasks if each.state == "RUNNING" and not each.display_name.startswith("root")]:
            task.end_time = self._moment()
            task.state = "FAILED" if running[0].display_name == fails_at else "SUCCEEDED"
        if running[0].state == "FAILED":
            running[0].error = api.GoogleRpcStatus(code=2, message="main: Error (exit code 1)")
            run.state, run.error = "FAILED", api.GoogleRpcStatus(code=2, message=f"{fails_at} failed")
        elif running[0].display_name == STAGES[-1]:
            run.state = "SUCCEEDED"
        if run.state in ENDED:
            run.finished_at = self._moment()

    def _terminate(self, key: str) -> Any:
        run = self._get(self.runs, key)
        if run.state in ENDED:
            raise RefusedError(400, f"Invalid input error: Failed to terminate the run {key}. State is {run.state}")
        run.state = "CANCELING"
        return {}

    def _retry(self, key: str) -> Any:
        run = self._get(self.runs, key)
        if run.state not in ("FAILED", "CANCELED"):
            raise RefusedError(
                400, f"Bad request error: Failed to retry the run {key}. Only failed runs can be retried"
            )
        run.state, run.error, run.plugins_input = "RUNNING", None, {}
        run.finished_at = datetime(1970, 1, 1, tzinfo=UTC)
        return {}

    def _log(self, run_id: str, pod: str) -> bytes:
        self._get(self.runs, run_id)
        if pod not in self.logs:
            raise RefusedError(404, f"pods {pod!r} not found")
        return self.logs[pod]

    # -- schedules -------------------------------------------------------------------------------------------------

    def _list_schedules(self, query: Mapping[str, str]) -> Any:
        self._check_namespace(query.get("namespace"))
        found, token = self._page(list(self.schedules.values()), query)
        return api.V2beta1ListRecurringRunsResponse(recurring_runs=found, next_page_token=token)

    def _make_schedule(self, body: bytes) -> Any:
        made = self._read(body, "V2beta1RecurringRun")
        self._check_pipeline(made)
        if made.experiment_id not in self.experiments:
            raise RefusedError(404, f"ResourceNotFoundError: Experiment {made.experiment_id} not found")
        if not 1 <= int(made.max_concurrency or 0) <= 10:
            raise RefusedError(400, "Invalid input error: The max concurrency must be at least 1 and at most 10")
        if made.mode not in ("ENABLE", "DISABLE"):
            raise RefusedError(400, "Invalid input error: recurring run mode is unspecified")
        trigger = made.trigger or api.V2beta1Trigger()
        if (trigger.cron_schedule is None) == (trigger.periodic_schedule is None):
            raise RefusedError(400, "Invalid input error: exactly one of cron_schedule and periodic_schedule is needed")
        if trigger.cron_schedule is not None:
            _check_cron(trigger.cron_schedule.cron or "")
        elif int(trigger.periodic_schedule.interval_second or 0) < 1:
            raise RefusedError(400, "Invalid input error: Found invalid period schedule interval")
        made.recurring_run_id, made.created_at = str(uuid.uuid4()), self._moment()
        made.status = f"{made.mode}D"
        self.schedules[made.recurring_run_id] = made
        return made

    def _switch(self, key: str, mode: str) -> Any:
        schedule = self._get(self.schedules, key)
        schedule.mode, schedule.status = mode, f"{mode}D"
        return {}

    def _delete_schedule(self, key: str) -> Any:
        self._get(self.schedules, key)
        del self.schedules[key]
        return {}

    # -- what the schema says --------------------------------------------------------------------------------------

    def _read(self, body: bytes, model: str) -> Any:
        try:
            document = json.loads(body)
        except ValueError:
            raise RefusedError(400, "invalid JSON") from None
        _check_schema(document, model, model)
        return self._client.deserialize(type("Answer", (), {"data": body})(), model)

    def _check_pipeline(self, wanted: Any) -> None:
        reference = wanted.pipeline_version_reference
        if (wanted.pipeline_spec is None) == (reference is None):
            raise RefusedError(
                400, "Invalid input error: exactly one of pipeline_spec and pipeline_version_reference is needed"
            )
        if reference is not None:
            raise RefusedError(
                400, "Invalid input error: Fetching a spec failed: the pipeline version id is missing or unknown"
            )
        spec = _check_spec(wanted.pipeline_spec)
        arguments = (wanted.runtime_config.parameters if wanted.runtime_config else None) or {}
        _check_arguments(spec, arguments)

    def _check_namespace(self, namespace: str | None) -> None:
        if self.namespaces is not None and namespace not in self.namespaces:
            raise RefusedError(403, f"PermissionDenied: not authorized in {namespace!r}")

    @staticmethod
    def _get(kept: Mapping[str, Any], key: str) -> Any:
        if key not in kept:
            raise RefusedError(404, f"ResourceNotFoundError: {key} not found")
        return kept[key]

    def _page(self, found: list[Any], query: Mapping[str, str]) -> tuple[list[Any], str]:
        for predicate in json.loads(query.get("filter") or "{}").get("predicates", []):
            assert (predicate["operation"], predicate["key"]) == (1, "display_name"), predicate
            found = [each for each in found if each.display_name == predicate["stringValue"]]
        if query.get("sort_by"):
            assert query["sort_by"] == "created_at desc", query
            found = sorted(found, key=lambda each: each.created_at, reverse=True)
        start = int(query.get("page_token") or 0)
        end = start + min(int(query.get("page_size") or 20), self.page_limit)
        return found[start:end], str(end) if end < len(found) else ""

    def _moment(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    kfp: KfpServer


class _Handler(BaseHTTPRequestHandler):
    server: _Http
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.kfp.answer(self, "GET")

    def do_POST(self) -> None:
        self.server.kfp.answer(self, "POST")

    def do_DELETE(self) -> None:
        self.server.kfp.answer(self, "DELETE")

    def send(self, status: int, body: Any, kind: str = "") -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind or ("text/plain" if isinstance(body, bytes) else "application/json"))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Silence."""


def _nodes(run_id: str, stage: str, pod: str, now: datetime) -> list[Any]:
    """As the real server lists a container stage: a group, its driver, its executor."""
    make = api.V2beta1PipelineTaskDetail
    common = {"run_id": run_id, "start_time": now, "end_time": datetime(1970, 1, 1, tzinfo=UTC)}
    child = api.PipelineTaskDetailChildTask(pod_name=pod)
    return [
        make(display_name=f"{stage}-driver", state="SUCCEEDED", pod_name=f"{pod}-driver", **common),
        make(display_name=stage, state="RUNNING", pod_name=f"{pod}-group", child_tasks=[child], **common),
        make(display_name="executor", state="RUNNING", pod_name=pod, **common),
    ]


def _check_schema(value: Any, kind: str, place: str) -> None:
    """Against a model of the public schema: no other fields, every value of its type."""
    if value is None:
        return
    if inner := re.fullmatch(r"list\[(.*)\]", kind):
        _expect(value, (list,), place)
        for index, each in enumerate(value):
            _check_schema(each, inner[1], f"{place}[{index}]")
    elif inner := re.fullmatch(r"dict\(str, (.*)\)", kind):
        _expect(value, (dict,), place)
        for key, each in value.items():
            if inner[1] != "object":
                _check_schema(each, inner[1], f"{place}.{key}")
    elif kind in _NATIVE:
        _expect(value, _NATIVE[kind], place)
    else:
        model = getattr(api.models, kind)
        if not model.openapi_types:
            allowed = model.allowable_values if hasattr(model, "allowable_values") else None
            if allowed is not None and value not in allowed:
                raise RefusedError(400, f"{place}: {value!r} is none of {allowed}")
            return
        _expect(value, (dict,), place)
        fields = {json_name: model.openapi_types[name] for name, json_name in model.attribute_map.items()}
        for key, each in value.items():
            if key not in fields:
                raise RefusedError(400, f'proto: unknown field "{key}" in {place}')
            _check_schema(each, fields[key], f"{place}.{key}")


def _expect(value: Any, kinds: tuple[type, ...], place: str) -> None:
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise RefusedError(400, f"proto: {place}: invalid value {value!r}")


def _check_spec(document: Mapping[str, Any]) -> Any:
    """The pipeline and its platform settings, read as the real server does: with the protocol's own definitions."""
    given = document if "pipeline_spec" in document else {"pipeline_spec": document}
    try:
        spec = json_format.ParseDict(given["pipeline_spec"], pipeline_spec_pb2.PipelineSpec())
        platform = json_format.ParseDict(given.get("platform_spec", {}), pipeline_spec_pb2.PlatformSpec())
        for executor in platform.platforms["kubernetes"].deployment_spec.executors.values():
            config = kubernetes_executor_config_pb2.KubernetesExecutorConfig()
            json_format.ParseDict(json_format.MessageToDict(executor), config)
    except json_format.ParseError as error:
        raise RefusedError(400, f"Invalid input error: invalid v2 pipeline spec: {error}") from None
    if spec.schema_version != "2.1.0" or not spec.pipeline_info.name or not spec.root.dag.tasks:
        raise RefusedError(400, "Invalid input error: invalid v2 pipeline spec: root component is empty")
    return spec


def _check_arguments(spec: Any, arguments: Mapping[str, Any]) -> None:
    known = spec.root.input_definitions.parameters
    for name in arguments:
        if name not in known:
            raise RefusedError(400, f"Invalid input error: parameter {name} provided is not required by pipeline")
    for name, definition in known.items():
        if name not in arguments:
            if not definition.is_optional and not definition.HasField("default_value"):
                raise RefusedError(400, f"Invalid input error: parameter {name} is not optional, yet has no value")
            continue
        kinds = _KINDS[pipeline_spec_pb2.ParameterType.ParameterTypeEnum.Name(definition.parameter_type)]
        if not isinstance(arguments[name], kinds) or (isinstance(arguments[name], bool) and bool not in kinds):
            raise RefusedError(400, f"Invalid input error: input parameter {name} is of a wrong type")


def _check_cron(cron: str) -> None:
    """As robfig/cron reads it: six fields, seconds first."""
    fields = cron.split()
    if len(fields) != 6:
        raise RefusedError(400, f"Invalid input error: Schedule cron is not a valid cron format: {cron}")
    for field, (low, high) in zip(fields, _CRON_RANGES, strict=True):
        for word in re.split(r"[-,/]", field):
            number = int(word) if word.isdecimal() else None
            if word not in ("*", "?", *_CRON_NAMES) and (number is None or not 0 <= number <= high):
                raise RefusedError(400, f"Invalid input error: Schedule cron is not a valid cron format: {cron}")
            if number is not None and number < low and "/" not in field:
                raise RefusedError(400, f"Invalid input error: Schedule cron is not a valid cron format: {cron}")
