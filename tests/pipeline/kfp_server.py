"""Kubeflow Pipelines' REST API (v2beta1) over real HTTP, in memory, for tests.

It answers with the models of `kfp_server_api` and refuses what the real one refuses: fields that the public schema does
not have, values of a wrong type, pipelines that are none, parameters that a pipeline has not, crons that cannot be,
schedules without a pipeline version, a namespace where the server has none. It hurts where the real one does: texts
too long for a column, schedules that take their runs along, missed times. Nothing is executed: the stages of a run move
on each time somebody looks.

    KfpServer(multi_user=True)                               # experiments belong to namespaces
    server.faults.append(Fault("POST", r"/runs$", "500"))    # once; "hang", "drop" and "html" are other ways to fail
    server.token = "s3cret"                                  # 401 for everybody else
    server.fails_at = "train-gan"                            # runs made from now on
    server.cached = ("prepare-data",)                        # of runs made from now on: done before, by equal ones
    server.tick(moment)                                      # starts what is owed by then
"""

from __future__ import annotations

import json
import re
import threading
import uuid
import zlib
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

from tests.pipeline.kfp_workflows import NEVER, ScheduledWorkflow, Workflow

API = "/apis/v2beta1"
ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
COLUMN = 255
"""Characters of a text in the server's tables."""
OWN_NAMESPACE = "kubeflow"
"""Of a server for one user: its answers name it, its experiments belong to none."""
BESIDE = b"""\
time=2026-11-29T23:40:44.360Z level=INFO msg="capturing logs" argo=true
I1129 23:40:44.408855      57 main.go:67] Setting log level to: '1'
[KFP Executor 2026-11-29 23:40:44,660 INFO]: Got executor_input:
{
    "inputs": {
        "parameterValues": {}
    }
}
[KFP Executor 2026-11-29 23:40:58,131 INFO]: at work
"""
"""What is in the log of each pod before the stage's own lines."""
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

    def __init__(self, *, multi_user: bool = False) -> None:
        self.multi_user = multi_user
        self.version = "2.17.0"
        self.experiments: dict[str, api.V2beta1Experiment] = {}
        self.runs: dict[str, api.V2beta1Run] = {}
        self.schedules: dict[str, api.V2beta1RecurringRun] = {}
        self.workflows: dict[str, Workflow] = {}
        """What Kubernetes has of the runs, by their ids."""
        self.scheduled: dict[str, ScheduledWorkflow] = {}
        """What Kubernetes has of the schedules, by name: these start runs, known to the server or not."""
        self.logs: dict[str, bytes] = {}
        """By the name of the pod, of those that have ended: they are archived."""
        self.keeps_logs = True
        """Whether Argo archives them."""
        self.requests: list[tuple[str, str]] = []
        self.faults: list[Fault] = []
        self.token = ""
        self.namespaces: set[str] | None = None
        self.fails_at = ""
        self.cached: tuple[str, ...] = ()
        self.refusal = ""
        """Kubernetes' words for the pod of that stage: it never is, and no table has them."""
        self.now = datetime.now(UTC)
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
        """What the controller does by a moment: each that is enabled, with no run under way, starts what it owes."""
        self.now = max(self.now, moment)
        for scheduled in list(self.scheduled.values()):
            due = scheduled.due(moment) if scheduled.enabled else None
            if due is None or self.under_way(scheduled.name):
                continue
            scheduled.last, scheduled.started = due, scheduled.started + 1
            recurring = scheduled.recurring
            name = f"{scheduled.name}-{scheduled.started}-{zlib.crc32(scheduled.name.encode())}"
            run = api.V2beta1Run(
                display_name=name,
                experiment_id=recurring.experiment_id,
                pipeline_spec=recurring.pipeline_spec,
                runtime_config=recurring.runtime_config,
                recurring_run_id=scheduled.uid,
                scheduled_at=due,
            )
            self._add_run(run, self._workflow(name, scheduled.name))

    def under_way(self, owner: str) -> list[str]:
        """Runs of a schedule's own object that have not ended."""
        owned = [key for key, workflow in self.workflows.items() if workflow.owner == owner]
        return [key for key in owned if self.runs[key].state not in ENDED]

    def workflow(self, run: Any) -> Workflow:
        return self.workflows[run.run_id]

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
            ("GET", rf"{API}/healthz", self._health),
            ("GET", rf"{API}/experiments", lambda: self._experiments(query)),
            ("POST", rf"{API}/experiments", lambda: self._make_experiment(body)),
            ("GET", rf"{API}/runs", lambda: self._list_runs(query)),
            ("POST", rf"{API}/runs", lambda: self._make_run(body)),
            ("GET", rf"{API}/runs/([^/:]+)", self._look_at_run),
            ("POST", rf"{API}/runs/([^/:]+):terminate", self._terminate),
            ("POST", rf"{API}/runs/([^/:]+):retry", self._retry),
            ("POST", rf"{API}/runs/([^/:]+):archive", self._archive),
            ("DELETE", rf"{API}/runs/([^/:]+)", self._delete_run),
            ("GET", rf"{API}/recurringruns", lambda: self._list_schedules(query)),
            ("POST", rf"{API}/recurringruns", lambda: self._make_schedule(body)),
            ("GET", rf"{API}/recurringruns/([^/:]+)", lambda key: self._get(self.schedules, key)),
            ("DELETE", rf"{API}/recurringruns/([^/:]+)", lambda key: self._delete_schedule(key, query)),
            ("POST", rf"{API}/recurringruns/([^/:]+):enable", lambda key: self._switch(key, "ENABLE")),
            ("POST", rf"{API}/recurringruns/([^/:]+):disable", lambda key: self._switch(key, "DISABLE")),
            ("GET", r"/apis/v1alpha1/runs/([^/:]+)/nodes/([^/:]+)/log", self._log),
        ]
        for wanted, pattern, handle in routes:
            if method == wanted and (fits := re.fullmatch(pattern, path)):
                return handle(*fits.groups())
        raise RefusedError(404, "Not Found")

    def _health(self) -> dict[str, Any]:
        """More than the public schema says."""
        return {"commit_sha": "0123abc", "tag_name": self.version, "multi_user": self.multi_user}

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
        made.namespace = (made.namespace or "") if self.multi_user else ""
        made.experiment_id, made.created_at = str(uuid.uuid4()), self._moment()
        self.experiments[made.experiment_id] = made
        return made

    # -- runs ------------------------------------------------------------------------------------------------------

    def _list_runs(self, query: Mapping[str, str]) -> Any:
        if "namespace" not in query and "experiment_id" not in query:
            raise RefusedError(400, "Invalid input error: either the namespace or the experiment is needed")
        if "experiment_id" not in query:
            self._check_namespace(query.get("namespace"))
        runs = [run for run in self.runs.values() if query.get("experiment_id") in (None, run.experiment_id)]
        found, token = self._page(runs, query)
        return api.V2beta1ListRunsResponse(runs=found, next_page_token=token)

    def _make_run(self, body: bytes) -> Any:
        run = self._read(body, "V2beta1Run")
        self._check_pipeline(run)
        if run.experiment_id not in self.experiments:
            raise RefusedError(404, f"ResourceNotFoundError: Experiment {run.experiment_id} not found")
        self._check_columns(run)
        for known in self.runs.values() if run.recurring_run_id else ():
            if (known.recurring_run_id, known.display_name) == (run.recurring_run_id, run.display_name):
                return known  # taken for the same request, sent twice
        owner = next((each.name for each in self.scheduled.values() if each.uid == run.recurring_run_id), "")
        name = f"gan-training-{uuid.uuid4().hex[:5]}"
        return self._add_run(run, self._workflow(name, owner))

    def _workflow(self, name: str, owner: str) -> Workflow:
        return Workflow(name, owner, fails_at=self.fails_at, refusal=self.refusal, cached=self.cached)

    def _add_run(self, run: Any, workflow: Workflow) -> Any:
        run.run_id, run.created_at, run.finished_at = str(uuid.uuid4()), self._moment(), NEVER
        self._enter(run, "PENDING")
        workflow.compile(run.pipeline_spec)
        self.runs[run.run_id], self.workflows[run.run_id] = run, workflow
        return run

    def _look_at_run(self, key: str) -> Any:
        """Hands it out, a little further than last time; one whose workflow is gone stays as it was, for ever."""
        run = self._get(self.runs, key)
        workflow = self.workflows.get(key)
        if workflow is None:
            return run
        if run.state in ("PENDING", "RUNNING"):
            self.now += timedelta(seconds=1)
            self._enter(run, workflow.move_on(self.now))
            self._keep_logs(workflow)
        elif run.state == "CANCELING":
            workflow.stop(self.now)
            self._keep_logs(workflow)
            self._enter(run, "FAILED")  # as 2.17 calls it
        if run.state in ENDED:
            run.finished_at = self._moment()
        run.run_details = api.V2beta1RunDetails(task_details=workflow.details(key))
        return run

    def _enter(self, run: Any, state: str) -> None:
        """The history of states has one line for each that was seen."""
        if run.state != state:
            run.state = state
            run.state_history = [
                *(run.state_history or []),
                api.V2beta1RuntimeStatus(update_time=self.now, state=state),
            ]

    def _keep_logs(self, workflow: Workflow) -> None:
        """Archives those of the pods that have ended."""
        for stage, attempts in workflow.pods.items():
            for number, attempt in enumerate(attempts):
                if attempt.state != "RUNNING" and self.keeps_logs:
                    self.logs.setdefault(workflow.pod(stage, number), BESIDE + f"{stage}: at work\n".encode() + b"\xff")
                    self.logs.setdefault(workflow.pod_node(stage, number), self.logs[workflow.pod(stage, number)])

    def _terminate(self, key: str) -> Any:
        run = self._get(self.runs, key)
        if run.state in ENDED:
            raise RefusedError(400, f"Invalid input error: Failed to terminate the run {key}. State is {run.state}")
        if key not in self.workflows:
            raise RefusedError(500, f"InternalServerError: Failed to terminate the run {key}: workflow not found")
        self._enter(run, "CANCELING")
        return {}

    def _retry(self, key: str) -> Any:
        run = self._get(self.runs, key)
        if run.state not in ("FAILED", "CANCELED"):
            raise RefusedError(
                400, f"Bad request error: Failed to retry the run {key}. Only failed runs can be retried"
            )
        run.error, run.finished_at = None, NEVER
        self._enter(run, "RUNNING")
        self.workflow(run).fails_at = ""
        return {}

    def _archive(self, key: str) -> Any:
        self._get(self.runs, key).storage_state = "ARCHIVED"
        return {}

    def _delete_run(self, key: str) -> Any:
        """With its workflow, at work or not."""
        self._get(self.runs, key)
        del self.runs[key]
        self.workflows.pop(key, None)
        return {}

    def _log(self, run_id: str, pod: str) -> bytes:
        """200 is sent before the log is read: what goes wrong then is the body."""
        self._get(self.runs, run_id)
        if pod in self.logs:
            return self.logs[pod]
        where = "" if not self.multi_user else self.experiments[self.runs[run_id].experiment_id].namespace
        message = f"error getting logs of pod {pod!r} in namespace {where!r}: not found"
        return json.dumps({"error_message": message, "error_details": f"{message}: stack"}).encode()

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
        belongs = self.experiments[made.experiment_id].namespace
        if made.namespace and made.namespace != belongs:
            raise RefusedError(
                400,
                f"Invalid input error: Experiment {made.experiment_id} belongs to namespace {belongs!r} instead of "
                f"{made.namespace!r}",
            )
        made.recurring_run_id, made.created_at = str(uuid.uuid4()), self._moment()
        made.namespace, made.status = belongs or OWN_NAMESPACE, f"{made.mode}D"
        # Kubernetes comes before the tables, and nothing is rolled back.
        name = f"{re.sub('[^a-z0-9-]', '', made.display_name.lower())[:25]}{made.recurring_run_id[:5]}"
        enabled = made.mode == "ENABLE"
        self.scheduled[name] = ScheduledWorkflow(name, made.recurring_run_id, made, made.created_at, enabled)
        self._check_columns(made)
        self.schedules[made.recurring_run_id] = made
        return made

    def _switch(self, key: str, mode: str) -> Any:
        schedule = self._get(self.schedules, key)
        schedule.mode, schedule.status = mode, f"{mode}D"
        self._object(key).enabled = mode == "ENABLE"
        return {}

    def _object(self, key: str) -> ScheduledWorkflow:
        return next(each for each in self.scheduled.values() if each.uid == key)

    def _delete_schedule(self, key: str, query: Mapping[str, str]) -> Any:
        """Its own object goes, and all that this owns with it: each workflow that it started, unless it is orphaned."""
        self._get(self.schedules, key)
        name = self._object(key).name
        del self.schedules[key], self.scheduled[name]
        for run_id, workflow in list(self.workflows.items()):
            if workflow.owner == name and query.get("propagation_policy") == "ORPHAN":
                workflow.owner = ""
            elif workflow.owner == name:
                del self.workflows[run_id]
        return {}

    def _check_columns(self, made: Any) -> None:
        for column in ("display_name", "description", "service_account"):
            if len(getattr(made, column) or "") > COLUMN:
                raise RefusedError(
                    500, f"InternalServerError: Error 1406: Data too long for column {column!r} at row 1"
                )

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
        if self.multi_user and not namespace:
            raise RefusedError(400, "Invalid input error: a namespace is needed in multi-user mode")
        if self.namespaces is not None and namespace not in self.namespaces:
            raise RefusedError(403, f"PermissionDenied: not authorized in {namespace!r}")

    @staticmethod
    def _get(kept: Mapping[str, Any], key: str) -> Any:
        if key not in kept:
            raise RefusedError(404, f"ResourceNotFoundError: {key} not found")
        return kept[key]

    def _page(self, found: list[Any], query: Mapping[str, str]) -> tuple[list[Any], str]:
        for predicate in json.loads(query.get("filter") or "{}").get("predicates", []):
            equal, part = 1, 9
            assert (predicate["operation"] in (equal, part), predicate["key"]) == (True, "display_name"), predicate
            wanted, whole = predicate["stringValue"], predicate["operation"] == equal
            found = [run for run in found if (run.display_name == wanted if whole else wanted in run.display_name)]
        if query.get("sort_by"):
            assert query["sort_by"] == "created_at desc", query
            found = sorted(found, key=lambda each: each.created_at, reverse=True)
        start = int(query.get("page_token") or 0)
        end = start + min(int(query.get("page_size") or 20), self.page_limit)
        return found[start:end], str(end) if end < len(found) else ""

    def _moment(self) -> datetime:
        self.now += timedelta(milliseconds=1)
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
