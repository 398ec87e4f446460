"""What Kubeflow's server leaves in Kubernetes, for `kfp_server`: Argo's workflows, and the schedules' own objects.

Kept apart from the server's tables on purpose: a table may know nothing of what is there, and the other way round.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import kfp_server_api as api

STAGES = ("prepare-data", "train-gan", "select-checkpoint", "evaluate-gan", "export-samples")
RETRAINING = ("prepare-data", "find-champion", "check-changes", "notify")  # where nothing has changed
EXIT_HANDLER = "exit-handler-1"  # put around what is followed by `notify`, whatever happens
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
IMPLEMENTATION = "system-container-impl"
"""Argo's template of a stage's pod, which is part of the pod's name and not of the node's id: at its simplest."""


@dataclass
class Attempt:
    """One pod of a stage."""

    state: str
    begun: datetime
    ended: datetime = NEVER
    error: str = ""


@dataclass
class Workflow:
    """A run as Argo keeps it: what has begun, each stage with its pods, one after another."""

    name: str
    owner: str = ""  # the ScheduledWorkflow that takes it along when it is deleted
    stages: tuple[str, ...] = STAGES
    fails_at: str = ""
    driver_fails: str = ""  # the stage that Kubeflow could not start
    refusal: str = ""  # Kubernetes' words for the pod of that stage, which then never is
    pods: dict[str, list[Attempt]] = field(default_factory=dict)
    cached: tuple[str, ...] = ()  # stages that need no pod
    handles_exit: bool = False  # whether what is done at the end, whatever happens, is put around the stages
    templates: dict[str, str] = field(default_factory=dict)  # of the stages' pods, where they are not the simplest

    def compile(self, pipeline: dict[str, Any]) -> None:
        """What Kubeflow's compiler makes of a pipeline: the names of templates, and what is done at the end."""
        spec = pipeline["pipeline_spec"]
        kubernetes = pipeline.get("platform_spec", {}).get("platforms", {}).get("kubernetes", {})
        executors = kubernetes.get("deploymentSpec", {}).get("executors", {})
        for dag in (spec["root"], *spec["components"].values()):
            for name, task in dag.get("dag", {}).get("tasks", {}).items():
                label = spec["components"][task["componentRef"]["name"]].get("executorLabel", "")
                parts = ["retry"] if "retryPolicy" in task else []
                if metadata := executors.get(label, {}).get("podMetadata"):
                    counts = (len(metadata.get(kind, ())) for kind in ("annotations", "labels"))
                    parts = ["metadata", *map(str, counts), *parts]
                self.templates[name] = "-".join([*parts, IMPLEMENTATION])
        if EXIT_HANDLER in spec["root"]["dag"]["tasks"]:
            self.handles_exit, self.stages = True, RETRAINING

    def running(self) -> str:
        """The stage at work; empty between two."""
        return next((stage for stage, attempts in self.pods.items() if attempts[-1].state == "RUNNING"), "")

    def move_on(self, now: datetime) -> str:
        """Begins the next stage, or ends the one that is at work; the state of the run."""
        if stage := self.running():
            attempt = self.pods[stage][-1]
            attempt.ended = attempt.begun + timedelta(seconds=1)
            attempt.state = "FAILED" if stage == self.fails_at else "SUCCEEDED"
            if attempt.state == "FAILED":
                attempt.error = "main: Error (exit code 1)"
                return "FAILED"
            return "SUCCEEDED" if stage == self.stages[-1] else "RUNNING"
        done = [stage for stage, attempts in self.pods.items() if attempts[-1].state == "SUCCEEDED"]
        following = next(stage for stage in self.stages if stage not in done)
        if following in self.cached:
            self.pods[following] = [Attempt("SUCCEEDED", now, now)]
            return "SUCCEEDED" if following == self.stages[-1] else "RUNNING"
        refused = self.refusal and following == self.fails_at
        attempt = Attempt("FAILED", now, now) if refused else Attempt("RUNNING", now)
        self.pods.setdefault(following, []).append(attempt)
        return "FAILED" if refused else "RUNNING"

    def lose_pod(self, now: datetime) -> None:
        """A pod that is deleted or evicted is started again (the policy OnError); one that exits is not."""
        attempts = self.pods[self.running()]
        attempts[-1].state, attempts[-1].ended, attempts[-1].error = "FAILED", now, "pod deleted"
        attempts.append(Attempt("RUNNING", now))

    def stop(self, now: datetime) -> None:
        for attempts in self.pods.values():
            if attempts[-1].state == "RUNNING":
                attempts[-1].state, attempts[-1].ended = "FAILED", now

    def document(self, run_id: str) -> dict[str, Any]:
        """As Argo keeps it, as far as nodes that failed go: what was refused is said in that of the pod."""
        nodes = {}
        for stage, attempts in self.pods.items():
            for number, attempt in enumerate(attempts):
                if attempt.state == "FAILED":
                    refused = f'pods "{self.pod(stage, number)}" is forbidden: {self.refusal}'
                    said = {"phase": "Error", "message": refused if self.refusal else attempt.error}
                    retry = {"displayName": "executor", "type": "Retry", "phase": "Error", "message": "No more retries"}
                    nodes[self.node(f"{self.place(stage)}(0).executor")] = retry
                    path = f"{self.name}{self.place(stage)}(0).executor({number})"
                    about = {
                        "name": path,
                        "displayName": f"executor({number})",
                        "finishedAt": f"{attempt.ended:%FT%TZ}",
                    }
                    nodes[self.pod_node(stage, number)] = {**about, "type": "Pod", **said}
        for stage in [self.driver_fails] * bool(self.driver_fails):
            path, said = f"{self.place(stage)}-driver(0)", "main: Error (exit code 1)"
            about = {"name": f"{self.name}{path}", "type": "Pod", "finishedAt": "2099-01-01T00:00:00Z"}
            nodes[self.node(path)] = {**about, "phase": "Failed", "message": said}
        status = {"phase": "Failed" if nodes else "Running", "nodes": nodes}
        return {"metadata": {"name": self.name, "labels": {"pipeline/runid": run_id}}, "status": status}

    def node(self, path: str) -> str:
        """A node's id: the workflow's name and a hash (FNV-1a) of the node's own name, which is its path from there."""
        mark = 2166136261
        for byte in f"{self.name}{path}".encode():
            mark = (mark ^ byte) * 16777619 % 2**32
        return f"{self.name}-{mark}"

    def place(self, stage: str) -> str:
        """The path of a stage's node."""
        inside = "(0).root(0)" if not self.handles_exit else f"(0).root(0).{EXIT_HANDLER}"
        return f"{inside}.onExit(0).{stage}" if stage == "notify" else f"{inside}{'(0)' * self.handles_exit}.{stage}"

    def pod_node(self, stage: str, attempt: int) -> str:
        """The id of the node of a stage's pod."""
        return self.node(f"{self.place(stage)}(0).executor({attempt})")

    def pod(self, stage: str, attempt: int) -> str:
        """A pod's name, which the log is asked for by."""
        template = self.templates.get(stage, IMPLEMENTATION)
        return self.pod_node(stage, attempt).replace(self.name, f"{self.name}-{template}", 1)

    def driver(self, stage: str) -> str:
        """The name of the pod that Kubeflow starts before a stage's own."""
        node = self.node(f"{self.place(stage)}-driver(0)")
        return node.replace(self.name, f"{self.name}-system-container-driver", 1)

    def details(self, run_id: str) -> list[Any]:
        """Every node, in no order: drivers, groups and executors, each with what a policy of retries puts around it.

        None says what its own id is, nor what went wrong with it.
        """
        found = [
            self._detail(run_id, self.name, "RUNNING", ["(0)"]),
            self._detail(run_id, f"{self.name}(0)", "RUNNING", ["(0).root-driver"]),
            self._detail(run_id, "root-driver", "SUCCEEDED", ["(0).root-driver(0)"]),
            self._detail(run_id, "root-driver(0)", "SUCCEEDED", ["(0).root"]),
            self._detail(run_id, "root", "RUNNING", ["(0).root(0)"]),
            self._detail(run_id, None, None, []),
        ]
        first = f"{self.place(self.stages[0])}-driver"
        if self.handles_exit:
            group, over = f"(0).root(0).{EXIT_HANDLER}", f"{EXIT_HANDLER}.onExit"
            found += [
                self._detail(run_id, "root(0)", "RUNNING", [group]),
                self._detail(run_id, EXIT_HANDLER, "RUNNING", [f"{group}(0)", f"{group}.onExit"]),
                self._detail(run_id, f"{EXIT_HANDLER}(0)", "RUNNING", [first]),
                self._detail(run_id, over, "RUNNING", [f"{group}.onExit(0)"]),
                self._detail(run_id, f"{over}(0)", "RUNNING", [f"{self.place('notify')}-driver"]),
            ]
        else:
            found.append(self._detail(run_id, "root(0)", "RUNNING", [first]))
        for stage, following in zip(self.stages, [*self.stages[1:], ""], strict=True):
            found += self._stage(run_id, stage, f"{self.place(following)}-driver" if following in self.pods else "")
        random.Random(run_id).shuffle(found)
        return found

    def _stage(self, run_id: str, stage: str, following: str) -> list[Any]:
        attempts, path = self.pods.get(stage, []), self.place(stage)
        if not attempts:
            return [self._detail(run_id, stage, None, [])]
        first, last = attempts[0], attempts[-1]
        span = Attempt(last.state, first.begun, last.ended)
        done = Attempt("SUCCEEDED", first.begun, first.begun)
        executors = [f"{path}(0).executor({number})" for number in range(len(attempts))]
        begun = [
            self._detail(run_id, f"{stage}-driver", "SUCCEEDED", [f"{path}-driver(0)"], done),
            self._detail(run_id, f"{stage}-driver(0)", "SUCCEEDED", [path], done),
            self._detail(run_id, stage, last.state, [f"{path}(0)"], span),
        ]
        if stage in self.cached:
            below = [f"{path}(0).executor", *[following] * bool(following)]
            return [
                *begun,
                self._detail(run_id, f"{stage}(0)", "SUCCEEDED", below, done),
                self._detail(run_id, "executor", "SKIPPED", [], done),
            ]
        return [
            *begun,
            self._detail(run_id, f"{stage}(0)", last.state, [f"{path}(0).executor"], span),
            self._detail(run_id, "executor", last.state, executors, span),
            *(
                self._detail(run_id, f"executor({n})", each.state, [following] * bool(following), each)
                for n, each in enumerate(attempts)
            ),
        ]

    def _detail(
        self, run_id: str, name: str | None, state: str | None, children: list[str], span: Attempt | None = None
    ) -> Any:
        return api.V2beta1PipelineTaskDetail(
            run_id=run_id,
            task_id=str(uuid.uuid4()),
            display_name=name,
            state=state,
            start_time=span.begun if span else NEVER,
            end_time=span.ended if span else NEVER,
            child_tasks=[api.PipelineTaskDetailChildTask(pod_name=self.node(child)) for child in children],
        )


@dataclass
class ScheduledWorkflow:
    """What starts the runs of a schedule, whatever the server's table knows of it."""

    name: str
    uid: str  # the server's id of the recurring run
    recurring: Any
    created: datetime
    enabled: bool
    last: datetime | None = None
    started: int = 0

    def due(self, now: datetime) -> datetime | None:
        """The time that is owed by now: without catching up, the latest of all that were missed."""
        trigger = self.recurring.trigger
        times = trigger.periodic_schedule or trigger.cron_schedule
        since = self.last or times.start_time or self.created  # a start that has passed owes what was due since
        until = min(now, times.end_time or now)
        if trigger.periodic_schedule is not None:
            interval = timedelta(seconds=int(times.interval_second))
            periods = (until - since) // interval
            return since + periods * interval if periods > 0 else None
        return max(cron_times(times.cron, since, until), default=None)


_LIMITS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_NAMES = {
    **{
        name: number
        for number, name in enumerate(
            ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"], 1
        )
    },
    **{name: number for number, name in enumerate(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"])},
}


def cron_times(cron: str, since: datetime, until: datetime) -> list[datetime]:
    """All times after `since` up to `until`, as robfig/cron v1 has them: six fields, on an unchanging clock.

    Day of the month and day of the week are both wanted where one of them starts with a star, else either will do.
    """
    fields = cron.upper().split()
    values = [_values(field, *limits) for field, limits in zip(fields, _LIMITS, strict=True)]
    either = not any(fields[place].startswith(("*", "?")) for place in (3, 5))
    found, day = [], since.replace(hour=0, minute=0, second=0, microsecond=0)
    while day <= until:
        of_month, of_week = day.day in values[3], day.isoweekday() % 7 in values[5]
        if day.month in values[4] and (of_month or of_week if either else of_month and of_week):
            found += [
                moment
                for hour in sorted(values[2])
                for minute in sorted(values[1])
                for second in sorted(values[0])
                if since < (moment := day.replace(hour=hour, minute=minute, second=second)) <= until
            ]
        day += timedelta(days=1)
    return found


def _values(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        ends = (
            [low, high]
            if span in ("*", "?")
            else [_NAMES.get(word) or int(_NAMES.get(word, word)) for word in span.split("-")]
        )
        last = high if step and len(ends) == 1 else ends[-1]
        found |= set(range(ends[0], last + 1, int(step or 1)))
    return found
