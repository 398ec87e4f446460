"""What Kubeflow's server leaves in Kubernetes, for `kfp_server`: Argo's workflows, and the schedules' own objects.

Kept apart from the server's tables on purpose: a table may know nothing of what is there, and the other way round.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import kfp_server_api as api

STAGES = ("prepare-data", "train-gan", "select-checkpoint", "evaluate-gan", "export-samples")
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
IMPLEMENTATION = "system-container-impl"
"""Argo's template of a stage's pod, which is part of the pod's name and not of the node's id."""


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
    refusal: str = ""  # Kubernetes' words for the pod of that stage, which then never is
    pods: dict[str, list[Attempt]] = field(default_factory=dict)

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
                    said = {"message": f'pods "{self.pod(stage, number)}" is forbidden: {self.refusal}'}
                    retry = {"displayName": "executor", "type": "Retry", "phase": "Error", "message": "No more retries"}
                    nodes[self.node(stage, "executor")] = retry
                    pod = {"displayName": f"executor({number})", "type": "Pod", "phase": "Error", **said}
                    nodes[self.node(stage, "executor", str(number))] = pod
        status = {"phase": "Failed" if nodes else "Running", "nodes": nodes}
        return {"metadata": {"name": self.name, "labels": {"pipeline/runid": run_id}}, "status": status}

    def node(self, *path: str) -> str:
        """A node's id: the workflow's name and a hash of the node's place in it."""
        return f"{self.name}-{zlib.crc32('.'.join(path).encode())}"

    def pod(self, stage: str, attempt: int) -> str:
        """A pod's name, which the log is asked for by."""
        return self.node(stage, "executor", str(attempt)).replace(self.name, f"{self.name}-{IMPLEMENTATION}")

    def details(self, run_id: str) -> list[Any]:
        """Every node, in no order: drivers, groups and executors, each with what a policy of retries puts around it."""
        found = [
            self._detail(run_id, "root", ("root",), "RUNNING", [("root", "0")]),
            self._detail(run_id, "root(0)", ("root", "0"), "RUNNING", [(stage,) for stage in self.stages]),
            self._detail(run_id, f"{self.name}(0)", (self.name, "0"), "RUNNING", [("root",)]),
            self._detail(run_id, "", ("nameless",), None, []),
        ]
        for stage in self.stages:
            found += self._stage(run_id, stage)
        random.Random(run_id).shuffle(found)
        return found

    def _stage(self, run_id: str, stage: str) -> list[Any]:
        attempts = self.pods.get(stage, [])
        if not attempts:
            return [self._detail(run_id, stage, (stage,), None, [])]
        first, last = attempts[0], attempts[-1]
        span = Attempt(last.state, first.begun, last.ended)
        done = Attempt("SUCCEEDED", first.begun, first.begun)
        executors = [(stage, "executor", str(number)) for number in range(len(attempts))]
        pods = [
            self._detail(run_id, f"executor({number})", executors[number], attempt.state, [], attempt)
            for number, attempt in enumerate(attempts)
        ]
        return [
            self._detail(run_id, f"{stage}-driver", (stage, "driver"), "SUCCEEDED", [(stage, "driver", "0")], done),
            self._detail(run_id, f"{stage}-driver(0)", (stage, "driver", "0"), "SUCCEEDED", [], done),
            self._detail(run_id, stage, (stage,), last.state, [(stage, "driver"), (stage, "0")], span),
            self._detail(run_id, f"{stage}(0)", (stage, "0"), last.state, [(stage, "executor")], span),
            self._detail(run_id, "executor", (stage, "executor"), last.state, executors, span),
            *pods,
        ]

    def _detail(
        self,
        run_id: str,
        name: str,
        path: tuple[str, ...],
        state: str | None,
        children: list[tuple[str, ...]],
        span: Attempt | None = None,
    ) -> Any:
        return api.V2beta1PipelineTaskDetail(
            run_id=run_id,
            display_name=name,
            pod_name=self.node(*path),
            state=state,
            start_time=span.begun if span else NEVER,
            end_time=span.ended if span else NEVER,
            error=api.GoogleRpcStatus(code=2, message=span.error) if span and span.error else None,
            child_tasks=[api.PipelineTaskDetailChildTask(pod_name=self.node(*child)) for child in children],
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
