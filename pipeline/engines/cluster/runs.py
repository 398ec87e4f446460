"""Runs on a cluster: submitted, listed, followed, stopped, retried."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from pydantic import BaseModel

from gan_models.errors import RequestError, RunError, unknown_name
from pipeline.definitions.stages import titles_of
from pipeline.engines.cluster.client import PAGE, ClusterClient, NotFoundError
from pipeline.engines.cluster.settings import Connection
from pipeline.engines.cluster.submission import Submission

ENDED = ("SUCCEEDED", "FAILED", "SKIPPED", "CANCELED")
POLL_SECONDS = 5.0
SILENT_SECONDS = 600.0  # a server may be away for so long before `follow` gives up; the run goes on either way
_EQUALS = 1  # of KFP's filters
_INNER = re.compile(r"root|.*-driver|executor.*|(condition|condition-branches|for-loop|exit-handler)-\d+")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Task(BaseModel):
    """One stage of a run."""

    name: str  # of the component, such as `train-gan`
    state: str
    started: datetime | None = None
    ended: datetime | None = None
    error: str = ""
    pods: tuple[str, ...] = ()  # names under which the server keeps its logs, the latest attempt last

    @property
    def title(self) -> str:
        return titles_of("training").get(self.name.replace("-", "_"), self.name)

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
    schedule: str = ""  # the id of the recurring run that started it
    tasks: tuple[Task, ...] = ()


class ClusterRuns:
    """The runs of one namespace."""

    def __init__(self, connection: Connection) -> None:
        self.client = ClusterClient(connection)

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
        return _run(self.client.call(doing, self.client.kfp.runs.run_service_create_run, body))

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

    def list(self, limit: int, every_experiment: bool = False, schedule: str = "") -> list[Run]:
        """The latest runs, newest first; `schedule`: only those that this recurring run started."""
        named = {"namespace": self.client.connection.namespace}
        if not every_experiment:
            named = {"experiment_id": self.experiment(make=False)}
            if not named["experiment_id"]:
                return []
        return [*islice((run for run in self._all(**named) if schedule in ("", run.schedule)), limit)]

    def _all(self, **named: Any) -> Iterator[Run]:
        """Newest first."""
        list_runs = self.client.kfp.runs.run_service_list_runs
        return map(_run, self.client.pages("list the runs", list_runs, "runs", sort_by="created_at desc", **named))

    def find(self, name: str) -> Run:
        """A run by its id, or the latest of that name; RequestError where there is none, with the nearest."""
        if _ID.fullmatch(name):
            return self.get(name)
        namespace = self.client.connection.namespace
        run = next(self._all(namespace=namespace, filter=name_filter(name)), None)
        if run is None:
            names = {each.name for each in self.list(PAGE, every_experiment=True)}
            if names:
                raise unknown_name("run", name, names)
            raise RequestError(f"there is no run {name!r}, nor any other in {namespace!r}: check --namespace")
        return self.get(run.id)

    def get(self, identity: str) -> Run:
        """A run by its id, with its stages."""
        return _run(self.client.call("show the run", self.client.kfp.runs.run_service_get_run, identity))

    def stop(self, run: Run) -> None:
        """Raises RequestError: it has ended already."""
        if run.state in ENDED:
            raise RequestError(f"the run {run.name} has ended already ({run.state.lower()}): there is nothing to stop")
        self.client.call("stop the run", self.client.kfp.runs.run_service_terminate_run, run.id)

    def retry(self, run: Run) -> None:
        """Runs what failed once more, in the same run. Raises RequestError: it did not fail."""
        if run.state not in ("FAILED", "CANCELED"):
            raise RequestError(f"the run {run.name} is {run.state.lower()}: only one that failed can be retried")
        self.client.call("retry the run", self.client.kfp.runs.run_service_retry_run, run.id)

    def log(self, run: Run, task: Task) -> str:
        """What a stage has printed; RequestError where it has not started, was cached, or its log is gone."""
        if not task.pods:
            why = "was taken from the cache" if task.state == "SKIPPED" else "has not started"
            raise RequestError(f"{task.title} of {run.name} {why}: it has no log")
        path = f"/apis/v1alpha1/runs/{run.id}/nodes/{task.pods[-1]}/log"
        try:
            return self.client.get_text("read the log", path)
        except NotFoundError:
            raise RequestError(
                f"the log of {task.title} is no longer there: pods are removed after a while, "
                "but the volume keeps logs/ of every run"
            ) from None

    def follow(self, identity: str, say: Callable[[Task | str], None]) -> Run:
        """Waits for the end of a run.

        Args:
            say: called with a stage whose state has changed, and with a sentence when the server stops answering,
                and when it is back.

        Raises:
            RunError: the server was away for too long.
        """
        seen: dict[str, str] = {}
        silent_since: float | None = None
        while True:
            try:
                run = self.get(identity)
            except RunError as error:
                if silent_since is None:
                    silent_since = time.monotonic()
                    say(f"{error}; the run goes on, and so does the waiting")
                elif time.monotonic() - silent_since > SILENT_SECONDS:
                    raise RunError(f"{error}; gave up waiting, but the run goes on") from None
            else:
                if silent_since is not None:
                    say("the server answers again")
                silent_since = None
                for task in run.tasks:
                    if seen.get(task.name) != task.state:
                        seen[task.name] = task.state
                        say(task)
                if run.state in ENDED:
                    return run
            time.sleep(POLL_SECONDS)


def name_filter(name: str) -> str:
    """KFP's filter for things of one display name."""
    return json.dumps({"predicates": [{"operation": _EQUALS, "key": "display_name", "stringValue": name}]})


def _run(run: Any) -> Run:
    details = run.run_details.task_details if run.run_details else None
    return Run(
        id=run.run_id,
        name=run.display_name or run.run_id,
        state=run.state or "PENDING",
        created=run.created_at,
        ended=_moment(run.finished_at),
        error=_error(run.error),
        schedule=run.recurring_run_id or "",
        tasks=tuple(_tasks(details or [])),
    )


def _tasks(details: list[Any]) -> Iterator[Task]:
    """The stages among the nodes of a run: KFP lists its own drivers, executors and groups with them."""
    by_pod = {task.pod_name: task for task in details if task.pod_name}
    for task in details:
        name = task.display_name or ""
        if not name or _INNER.fullmatch(name):
            continue
        yield Task(
            name=name,
            state=task.state or "PENDING",
            started=_moment(task.start_time),
            ended=_moment(task.end_time),
            error=_error(task.error),
            pods=tuple(_pods(task, by_pod)),
        )


def _pods(task: Any, by_pod: Mapping[str, Any]) -> Iterator[str]:
    """The leaves below a node, which are the ones with a log."""
    children = [child.pod_name for child in task.child_tasks or [] if child.pod_name]
    if not children and task.pod_name:
        yield task.pod_name
    for pod in children:
        if pod not in by_pod:
            yield pod
        elif not (by_pod[pod].display_name or "").endswith("-driver"):
            yield from _pods(by_pod[pod], by_pod)


def _moment(time: datetime | None) -> datetime | None:
    """KFP says 1970 for what has not happened yet."""
    return time if time is not None and time.year > 1970 else None


def _error(error: Any) -> str:
    return " ".join(str(error.message or "").split()) if error else ""
