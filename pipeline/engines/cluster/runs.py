"""Runs on a cluster: submitted, listed, followed, stopped, retried."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from gan_models.errors import RequestError, RunError, unknown_name
from pipeline.definitions.stages import Definition, titles_of
from pipeline.engines.cluster.argo import Nodes, pod_name
from pipeline.engines.cluster.client import PAGE, ClusterClient, NotFoundError
from pipeline.engines.cluster.kubernetes_api import CONTAINER, Kubernetes, NoAccessError, NoAnswerError
from pipeline.engines.cluster.logs import own_lines
from pipeline.engines.cluster.placement import RUN_LABEL
from pipeline.engines.cluster.settings import Connection
from pipeline.engines.cluster.submission import Submission
from pipeline.request.plan import slug

ENDED = ("SUCCEEDED", "FAILED", "SKIPPED", "CANCELED")
POLL_SECONDS = 5.0
SILENT_SECONDS = 600.0  # that `follow` waits for a server that is away; the run goes on either way
_EQUALS, _CONTAINS = 1, 9  # of KFP's filters
_OWN_NAME = 25  # characters of a schedule's name that the names of its runs begin with
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Task(BaseModel):
    """One stage of a run."""

    name: str  # of the component, such as `train-gan`
    state: str
    started: datetime | None = None
    ended: datetime | None = None
    error: str = ""
    title: str = ""  # as people know it
    nodes: tuple[str, ...] = ()  # of Argo's, for each attempt, the latest last
    pods: tuple[str, ...] = ()  # likewise: the names of their pods

    @property
    def seconds(self) -> float | None:
        """How long it took; None: it has not ended."""
        return (self.ended - self.started).total_seconds() if self.started and self.ended else None


class Run(BaseModel):
    """A run as the server knows it."""

    id: str
    name: str
    state: str
    created: datetime | None = None
    ended: datetime | None = None
    error: str = ""
    schedule: str = ""  # the name of the one that it is of
    due: datetime | None = None  # when that wanted it
    archived: bool = False
    state_dir: str = ""  # on the volume; empty where it has none
    tasks: tuple[Task, ...] = ()


class ClusterRuns:
    """The runs of one namespace."""

    def __init__(self, connection: Connection) -> None:
        self.client = ClusterClient(connection)
        self.kubernetes = Kubernetes(connection.namespace)

    def link(self, run: Run) -> str:
        """To its page of the UI."""
        client = self.client
        base = os.environ.get("KF_PIPELINES_UI_ENDPOINT") or client.connection.ui_host or client.address
        return f"{base.rstrip('/')}/#/runs/details/{run.id}"

    def submit(self, submission: Submission) -> Run:
        """Starts a run, never sent twice; errors as of `ClusterClient.call`."""
        from kfp_server_api import V2beta1Run, V2beta1RuntimeConfig

        body = V2beta1Run(
            experiment_id=self.experiment(),
            display_name=submission.name,
            pipeline_spec=submission.pipeline.body,
            runtime_config=V2beta1RuntimeConfig(parameters=dict(submission.arguments)),
            service_account=self.client.connection.service_account,
        )
        return self.start("submit the run", body)

    def start(self, doing: str, body: Any) -> Run:
        """Sends a `V2beta1Run`."""
        return self._run(self.client.call(doing, self.client.kfp.runs.run_service_create_run, body))

    def experiment(self, make: bool = True) -> str:
        """The id of the experiment of the settings; made when there is none. "" without `make`."""
        from kfp_server_api import V2beta1Experiment

        settings, api = self.client.connection, self.client.kfp.experiments
        found = self.client.call(
            "find the experiment",
            api.experiment_service_list_experiments,
            namespace=settings.namespace,
            filter=name_filter(settings.experiment),
        ).experiments
        if not found and make:
            wanted = V2beta1Experiment(display_name=settings.experiment, namespace=settings.namespace)
            found = [self.client.call("make the experiment", api.experiment_service_create_experiment, wanted)]
        return str(found[0].experiment_id) if found else ""

    def list(self, limit: int, every_experiment: bool = False, schedule: str = "", archived: bool = True) -> list[Run]:
        """The latest runs, newest first; `schedule`: only those of that name, whatever made it."""
        named = {"namespace": self.client.connection.namespace}
        if not every_experiment:
            named = {"experiment_id": self.experiment(make=False)}
            if not named["experiment_id"]:
                return []
        if schedule:  # else all runs would be sent, each with its whole pipeline
            named["filter"] = name_filter(schedule[:_OWN_NAME], _CONTAINS)
        found = self._all(size=min(limit, PAGE), **named)
        wanted = (run for run in found if schedule in ("", run.schedule) and (archived or not run.archived))
        return [*islice(wanted, limit)]

    def _all(self, size: int, **named: Any) -> Iterator[Run]:
        """Newest first."""
        listed = self.client.kfp.runs.run_service_list_runs
        found = self.client.pages("list the runs", listed, "runs", size, sort_by="created_at desc", **named)
        return map(self._run, found)

    def find(self, name: str) -> Run:
        """By its id, or the latest of that name or schedule; RequestError where there is none, with the nearest."""
        if _ID.fullmatch(name):
            return self.get(name)
        namespace = self.client.connection.namespace
        run = next(self._all(1, **self._here(name)), None)
        latest = [] if run else self.list(PAGE, every_experiment=True)
        run = run or next((each for each in latest if name in (each.name, each.schedule)), None)
        if run is not None:
            return self.get(run.id)
        if latest:
            raise unknown_name("run", name, {each.name for each in latest})
        raise RequestError(f"there is no run {name!r}, nor any other in {namespace!r}: check --namespace")

    def named(self, name: str) -> Run | None:
        """The latest of exactly that name that is not archived: who archived it has given it up."""
        return next((run for run in self._all(PAGE, **self._here(name)) if not run.archived), None)

    def _here(self, name: str) -> dict[str, str]:
        return {"namespace": self.client.connection.namespace, "filter": name_filter(name)}

    def get(self, identity: str) -> Run:
        """A run by its id, with its stages."""
        return self._run(self.client.call("show the run", self.client.kfp.runs.run_service_get_run, identity))

    def _run(self, raw: Any) -> Run:
        kept = schedule_of(raw)
        schedule, due = str(kept.get("schedule", {}).get("name", "")), _moment(raw.scheduled_at)
        zone = ZoneInfo(self.client.connection.timezone)
        return Run(
            id=raw.run_id,
            # What a schedule starts is named by Kubernetes.
            name=f"{schedule} {due.astimezone(zone):%Y-%m-%d %H:%M}"
            if schedule and due
            else raw.display_name or raw.run_id,
            state=_state(raw),
            created=raw.created_at,
            ended=_moment(raw.finished_at),
            error=_error(raw.error),
            schedule=schedule,
            due=due,
            archived=raw.storage_state == "ARCHIVED",
            state_dir=str(_run_parameter(raw).get("state_dir", "")),
            tasks=tuple(_tasks(raw)),
        )

    def explained(self, run: Run) -> Run:
        """One that failed without a word of why gets that of Kubernetes: KFP has none for a pod that is refused."""
        if run.state != "FAILED" or run.error or any(task.error for task in run.tasks):
            return run
        try:
            error = self.kubernetes.why_failed(run.id)
        except NoAnswerError as refusal:
            selector = f"--namespace {self.kubernetes.namespace} --selector {RUN_LABEL}={run.id}"
            error = f"the server does not say why ({refusal}): kubectl get workflows {selector} --output yaml does"
        return run.model_copy(update={"error": error})

    def stop(self, run: Run) -> None:
        """Raises RequestError: it has ended already."""
        if run.state in ENDED:
            raise RequestError(f"the run {run.name} has ended already ({run.state.lower()}): there is nothing to stop")
        try:
            self.client.call("stop the run", self.client.kfp.runs.run_service_terminate_run, run.id)
        except RunError as error:
            if "not found" not in str(error):
                raise
            raise RequestError(
                f"the run {run.name} reads {run.state.lower()} and will for ever: what did its work is gone from the "
                f"cluster, so there is nothing to stop; `gan-pipeline runs archive {run.id}` takes it out of the way"
            ) from None

    def retry(self, run: Run) -> None:
        """Runs what failed once more, in the same run. Raises RequestError: it did not fail."""
        if run.state not in ("FAILED", "CANCELED"):
            raise RequestError(f"the run {run.name} is {run.state.lower()}: only one that failed can be retried")
        self.client.call("retry the run", self.client.kfp.runs.run_service_retry_run, run.id)

    def clone(self, run: Run, name: str) -> Run:
        """Starts the same once more: pipeline and arguments as they were sent then, whatever the code is today."""
        from kfp_server_api import V2beta1Run, V2beta1RuntimeConfig

        raw = self.client.call("show the run", self.client.kfp.runs.run_service_get_run, run.id)
        parameters = dict(raw.runtime_config.parameters)
        parameters["run"] = _renamed(parameters["run"], name)
        if "trials" in parameters:  # of a sweep, each of which says what it belongs to
            parameters["trials"] = [{**trial, "run": _renamed(trial["run"], name)} for trial in parameters["trials"]]
        body = V2beta1Run(
            experiment_id=raw.experiment_id,
            display_name=name,
            pipeline_spec=raw.pipeline_spec,
            runtime_config=V2beta1RuntimeConfig(parameters=parameters),
            service_account=raw.service_account,
        )
        return self.start("clone the run", body)

    def archive(self, run: Run) -> None:
        """Out of the list, no more."""
        self.client.call("archive the run", self.client.kfp.runs.run_service_archive_run, run.id)

    def delete(self, run: Run) -> None:
        """From the server; volume and MLflow keep theirs. Raises RequestError: it has not ended."""
        if run.state not in ENDED:
            raise RequestError(f"the run {run.name} is {run.state.lower()}: stop it first (`gan-pipeline runs stop`)")
        self.client.call("delete the run", self.client.kfp.runs.run_service_delete_run, run.id)

    def log(self, run: Run, task: Task, attempt: int | None = None) -> str:
        """What a stage has printed.

        Args:
            attempt: which of the stage's, from 1; default: the latest.

        Raises:
            RequestError: it has not begun, or has no such attempt.
            RunError: neither the server nor Kubernetes gives it.
        """
        if not task.pods:
            why = "was taken from the cache" if task.state == "SKIPPED" else "has not started"
            raise RequestError(f"{task.title} of {run.name} {why}: it has no log")
        if attempt is not None and not 1 <= attempt <= len(task.pods):
            raise RequestError(f"--attempt {attempt}: {task.title} of {run.name} has {len(task.pods)}")
        place = -1 if attempt is None else attempt - 1
        pod, said = task.pods[place], ""
        # Of a pod that is there by its name, an archived log by the node.
        for name in (pod, task.nodes[place]):
            text = self.client.get_text("read the log", f"/apis/v1alpha1/runs/{run.id}/nodes/{name}/log")
            if not (said := error_in(text)):
                return text
        try:
            return self.kubernetes.log(run.id, pod)
        except NoAccessError:
            pass
        except NoAnswerError as error:
            said = f"{said}; {error}"
        raise RunError(f"the server cannot give the log of {task.title} ({said}): {self._where_it_is(run, task, pod)}")

    def _where_it_is(self, run: Run, task: Task, pod: str) -> str:
        """What to do for a log that nobody gives."""
        asked = f"{pod} --namespace {self.kubernetes.namespace} --container {CONTAINER}"
        volume = f"the volume keeps {run.state_dir}/logs" if run.state_dir else "the run has no volume to keep it"
        if task.state == "RUNNING":
            until = "a server for one user gives it when the stage has ended, until then"
            return f"{until}: kubectl logs --follow {asked}; {volume}"
        return f"kubectl logs {asked}; pods are removed after a while, then {volume}"

    def follow_log(
        self, run: Run, name: str, show: Callable[[str], None], read: Callable[[str], str] = own_lines
    ) -> None:
        """Passes on what a stage prints until it ends; where nobody gives the log before that, all at its end.

        Args:
            name: of the stage's component.
            show: called with what is new.
            read: what is wanted of whole lines.

        Raises:
            RunError: nobody gives the log of a stage that has ended.
        """
        shown, pods = 0, 0
        while True:
            run = self.get(run.id)
            task = next(task for task in run.tasks if task.name == name)
            over = run.state in ENDED or task.state in ENDED
            try:
                text = self.log(run, task) if task.pods or over else ""
            except RunError:
                if over:
                    raise
                text = ""
            text = read(text if over else text[: text.rfind("\n") + 1])
            if len(task.pods) > pods:  # another attempt has a log of its own
                shown, pods = 0, len(task.pods)
            if len(text) > shown:
                show(text[shown:])
                shown = len(text)
            if over:
                return
            time.sleep(POLL_SECONDS)

    def follow(
        self,
        identity: str,
        show: Callable[[Run], None],
        say: Callable[[str], None],
        patience: float = SILENT_SECONDS,
    ) -> Run:
        """Waits for the end of a run.

        Args:
            show: called with the run each time that it was looked at.
            say: called with a sentence when the server stops answering, and when it is back.
            patience: seconds that the server may be away.

        Raises:
            RunError: it was away for longer.
            RequestError: there is no such run, or any more.
        """
        silent_since: float | None = None
        while True:
            try:
                run = self.get(identity)
            except NotFoundError:
                raise
            except (RunError, RequestError) as error:  # a login that has run out, too, may be renewed
                if silent_since is None:
                    silent_since = time.monotonic()
                    say(f"{error}; the run goes on, and so does the waiting")
                elif time.monotonic() - silent_since > patience:
                    raise RunError(f"{error}; gave up waiting, but the run goes on") from None
            else:
                if silent_since is not None:
                    say("the server answers again")
                silent_since = None
                show(run)
                if run.state in ENDED:
                    return run
            time.sleep(POLL_SECONDS)


def name_filter(name: str, operation: int = _EQUALS) -> str:
    """KFP's filter for things by their display name."""
    return json.dumps({"predicates": [{"operation": operation, "key": "display_name", "stringValue": name}]})


def schedule_of(raw: Any) -> dict[str, Any]:
    """What a schedule keeps of itself, in the parameter `run` of all that it starts; empty where there is none."""
    return dict(_run_parameter(raw).get("schedule") or {})


def _renamed(run: str, name: str) -> str:
    """A parameter `run` for another run of the same, with a state folder of its own and of no schedule."""
    about = {**json.loads(run), "name": name}
    about.pop("schedule", None)
    if "state_dir" in about:
        about["state_dir"] = str(Path(about["state_dir"]).with_name(slug(name)))
    return json.dumps(about, sort_keys=True)


def _run_parameter(raw: Any) -> dict[str, Any]:
    """As `submission.run_parameter` wrote it; empty where somebody else did."""
    try:
        return dict(json.loads(raw.runtime_config.parameters["run"]))
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}


def error_in(text: str) -> str:
    """What went wrong with a log: the server says 200 before it reads one, and puts an error in its place."""
    try:
        document = json.loads(text)
    except ValueError:
        return ""
    return str(document.get("error_message", "")) if isinstance(document, dict) else ""


def _state(raw: Any) -> str:
    """As the server has it, but a run that was stopped is not called failed, which 2.17 does."""
    passed = [each.state for each in raw.state_history or []]
    return "CANCELED" if raw.state == "FAILED" and passed[-2:] == ["CANCELING", "FAILED"] else raw.state or "PENDING"


def _tasks(raw: Any) -> Iterator[Task]:
    """The stages that have begun, in their order."""
    nodes = Nodes(raw.run_details.task_details or [] if raw.run_details else [])
    known: dict[str, Definition] = {"find-champion": "retraining", "rank-trials": "sweep"}
    titles = titles_of(next((known[name] for name in known if name in nodes.stages), "training"))
    order, attempts = {name.replace("_", "-"): place for place, name in enumerate(titles)}, nodes.attempts()
    for name in sorted(nodes.stages, key=lambda name: order.get(name, len(order))):
        node = nodes.stages[name]
        if not node.state and raw.state in ENDED:
            continue  # it was left out, because of another one
        ids = tuple(attempts.get(name, ()))
        state = node.state
        if state == "SUCCEEDED" and name in attempts and not ids:
            state = "SKIPPED"  # by the cache: it reads as done, by no pod
        elif state == "FAILED" and _state(raw) == "CANCELED":
            state = "CANCELED"  # what was stopped did not fail
        yield Task(
            name=name,
            title=titles.get(name.replace("-", "_"), name),
            state=state or "PENDING",
            started=_moment(node.start_time) if node.state else None,
            ended=_moment(node.end_time) if node.state else None,
            error=_error(node.error),
            nodes=ids,
            pods=tuple(pod_name(each, name, raw.pipeline_spec) for each in ids),
        )


def _moment(time: datetime | None) -> datetime | None:
    """KFP says 1970 for what has not happened yet."""
    return time if time is not None and time.year > 1970 else None


def _error(error: Any) -> str:
    return " ".join(str(error.message or "").split()) if error else ""
