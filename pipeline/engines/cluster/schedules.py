"""Schedules on a cluster: recurring runs of Kubeflow Pipelines.

KFP cannot edit a recurring run. A changed schedule is therefore a new one that takes over from the old:

    1. the new one is made, disabled, with a note of whether it is to be enabled
    2. the old one is disabled, 3. the new one enabled, 4. the old one deleted

At no time are both enabled, and whoever comes after an `ensure` that was cut off finds what is left to be done from
what is there. The hand-over keeps its distance from the times that either is due at, since the controller needs some
seconds to notice.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from gan_models.errors import RequestError, unknown_name
from pipeline.engines.cluster.client import PAGE
from pipeline.engines.cluster.runs import ENDED, ClusterRuns, name_filter
from pipeline.engines.cluster.settings import ClusterSettings
from pipeline.engines.cluster.submission import Submission, build_submission
from pipeline.request.request import Request
from pipeline.scheduling.cron import next_due
from pipeline.scheduling.schedule import Change, Schedule, ScheduledRun, ScheduleStatus

SHOWN_RUNS = 5
DISTANCE_SECONDS = 15  # of a hand-over from any time that is due
LONGEST_WAIT_SECONDS = 60  # for such a moment: with a run every few seconds there is none
_TITLE = "Schedule of gan-pipeline"


@dataclass(frozen=True)
class _Kept:
    """A recurring run of ours on the server."""

    id: str
    schedule: Schedule
    digest: str
    enable: bool  # whether it was to be enabled once it had taken over
    raw: Any


class ClusterSchedules:
    """The schedules of one namespace, a `Scheduler`; `note` is told in a sentence when something takes a while."""

    def __init__(self, settings: ClusterSettings, note: Callable[[str], None] = lambda sentence: None) -> None:
        self._settings, self._note = settings, note
        self._runs = ClusterRuns(settings.connection)
        self._client = self._runs.client

    def ensure(self, schedule: Schedule) -> Change:
        """As the module says; RequestError for a time zone not the cluster's, or a request that cannot be built."""
        self._check_timezone(schedule)
        submission = build_submission(Request.parse(schedule.request), self._settings)
        digest = _digest(schedule, submission, self._settings.connection.service_account)
        found = self._find(schedule.name)
        if [kept.digest for kept in found] == [digest]:
            return "unchanged"
        if not found:
            self._create(schedule, submission, digest, enable=not schedule.paused, enabled=not schedule.paused)
        elif digest not in [kept.digest for kept in found]:
            self._await_quiet(schedule, *(kept.schedule for kept in found))
            # A hand-over that was cut off may have left all of them disabled: the newest knows what was meant.
            enable = not found[0].schedule.paused if len(found) == 1 else found[-1].enable
            self._create(schedule, submission, digest, enable, enabled=False)
        self._settle(schedule.name, digest)
        return "changed" if found else "created"

    def list(self) -> list[ScheduleStatus]:
        newest = {kept.schedule.name: kept for kept in self._all()}
        return [_status(newest[name]) for name in sorted(newest)]

    def show(self, name: str) -> ScheduleStatus:
        kept = self._one(name)
        runs = [
            ScheduledRun(id=run.id, state=run.state, due=run.created, ended=run.ended, sentence=run.error)
            for run in self._runs.list(SHOWN_RUNS, every_experiment=True, schedule=kept.id)
        ]
        return _status(kept).model_copy(update={"runs": runs})

    def pause(self, name: str) -> None:
        self._do("disable", self._one(name))

    def resume(self, name: str) -> None:
        """From the next time that is due on: what was due in between is not made up for."""
        self._do("enable", self._one(name))

    def run_now(self, name: str) -> str:
        """Starts one run outside of its times; its id. RequestError where a run of it has not ended yet."""
        from kfp_server_api import V2beta1Run

        kept = self._one(name)
        for run in self._runs.list(PAGE, every_experiment=True, schedule=kept.id):
            if run.state not in ENDED:
                raise RequestError(
                    f"the run {run.name} of {name} has not ended yet, and they never overlap: wait for it"
                )
        body = V2beta1Run(
            experiment_id=kept.raw.experiment_id,
            display_name=f"{name} by hand",
            pipeline_spec=kept.raw.pipeline_spec,
            runtime_config=kept.raw.runtime_config,
            service_account=kept.raw.service_account,
            recurring_run_id=kept.id,
        )
        return self._runs.start("start the run", body).id

    def delete(self, name: str) -> None:
        self._one(name)
        for kept in self._find(name):
            self._do("delete", kept)

    # -- the hand-over ----------------------------------------------------------------------------------------------

    def _create(self, schedule: Schedule, submission: Submission, digest: str, enable: bool, enabled: bool) -> None:
        from kfp_server_api import (
            RecurringRunMode,
            V2beta1CronSchedule,
            V2beta1PeriodicSchedule,
            V2beta1RecurringRun,
            V2beta1RuntimeConfig,
            V2beta1Trigger,
        )

        if schedule.cron:
            trigger = V2beta1Trigger(cron_schedule=V2beta1CronSchedule(cron=schedule.cron))
        else:
            trigger = V2beta1Trigger(periodic_schedule=V2beta1PeriodicSchedule(interval_second=str(schedule.every)))
        about = {"digest": digest, "enable": enable, "schedule": schedule.model_dump(mode="json")}
        body = V2beta1RecurringRun(
            experiment_id=self._runs.experiment(),
            namespace=self._client.connection.namespace,
            display_name=schedule.name,
            description=f"{_TITLE}: {submission.about}\n{json.dumps(about, sort_keys=True)}",
            pipeline_spec=submission.pipeline.body,
            runtime_config=V2beta1RuntimeConfig(parameters=dict(submission.arguments)),
            service_account=self._client.connection.service_account,
            trigger=trigger,
            mode=RecurringRunMode.ENABLE if enabled else RecurringRunMode.DISABLE,
            no_catchup=True,
            max_concurrency="1",
        )
        api = self._client.kfp.recurring_runs
        self._client.call("make the schedule", api.recurring_run_service_create_recurring_run, body)

    def _settle(self, name: str, digest: str) -> None:
        """Leaves one recurring run of a name: the oldest that is as wanted, unless somebody else has made a newer."""
        found = self._find(name)
        wanted = [kept for kept in found if kept.digest == digest]
        if not wanted:  # somebody else has deleted or changed it meanwhile
            return
        keep = wanted[0]
        others = [
            kept
            for kept in found
            if kept.id != keep.id and (kept.digest == digest or kept.raw.created_at <= keep.raw.created_at)
        ]
        for other in others:
            self._do("disable", other)
        if others and keep.enable:
            self._do("enable", keep)
        for other in others:
            self._do("delete", other)

    def _await_quiet(self, *schedules: Schedule) -> None:
        """Waits while one of them is due, or has just been."""
        end = time.monotonic() + LONGEST_WAIT_SECONDS
        said = False
        while time.monotonic() < end and any(_is_near(schedule) for schedule in schedules):
            if not said:
                self._note(f"{schedules[0].name} is due about now: waiting for a quiet moment to change it")
                said = True
            time.sleep(1)

    # -- the server ---------------------------------------------------------------------------------------------------

    def _all(self, **named: Any) -> Sequence[_Kept]:
        """Ours, oldest first."""
        found = self._client.pages(
            "list the schedules",
            self._client.kfp.recurring_runs.recurring_run_service_list_recurring_runs,
            "recurring_runs",
            namespace=self._client.connection.namespace,
            **named,
        )
        ours = filter(None, map(_kept, found))
        return sorted(ours, key=lambda kept: (kept.raw.created_at, kept.schedule.paused, kept.id))

    def _find(self, name: str) -> Sequence[_Kept]:
        return self._all(filter=name_filter(name))

    def _one(self, name: str) -> _Kept:
        """The newest of that name; RequestError where there is none, with the nearest."""
        if found := self._find(name):
            return found[-1]
        names = {kept.schedule.name for kept in self._all()}
        if names:
            raise unknown_name("schedule", name, names)
        raise RequestError(
            f"there is no schedule {name!r}, nor any other in {self._client.connection.namespace!r}: check --namespace"
        )

    def _do(self, what: Literal["enable", "disable", "delete"], kept: _Kept) -> None:
        doing = {"enable": "resume", "disable": "pause"}.get(what, what)
        api = self._client.kfp.recurring_runs
        self._client.call(f"{doing} the schedule", getattr(api, f"recurring_run_service_{what}_recurring_run"), kept.id)

    def _check_timezone(self, schedule: Schedule) -> None:
        zone = self._settings.connection.timezone
        if schedule.cron and schedule.timezone != zone:
            raise RequestError(
                f"schedule {schedule.name!r}: Kubeflow reads all crons of a cluster in one time zone, here {zone}, "
                f"not in {schedule.timezone}: give the hours in {zone}, or use --engine local"
            )


def _digest(schedule: Schedule, submission: Submission, service_account: str | None) -> str:
    """Changes whenever a run or its times could."""
    parts = [
        schedule.model_dump(mode="json", exclude={"paused"}),
        submission.pipeline.body,
        dict(submission.arguments),
        service_account,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _is_near(schedule: Schedule) -> bool:
    """Whether a cron is due within the distance, before or after now; intervals begin anew with the new schedule."""
    if schedule.cron is None:
        return False
    now, distance = _clock(schedule), timedelta(seconds=DISTANCE_SECONDS)
    return next_due(schedule.cron, now - distance - timedelta(seconds=1)) <= now + distance


def _clock(schedule: Schedule) -> datetime:
    """On the wall, as Kubeflow's controller counts."""
    return datetime.now(ZoneInfo(schedule.timezone)).replace(tzinfo=None)


def _kept(raw: Any) -> _Kept | None:
    """None: somebody else's."""
    title, _, about = (raw.description or "").partition("\n")
    if not title.startswith(_TITLE):
        return None
    try:
        fields = json.loads(about)
        schedule = Schedule.model_validate(fields["schedule"])
    except (ValueError, KeyError, ValidationError):
        return None
    enabled = (raw.mode or raw.status) in ("ENABLE", "ENABLED")
    return _Kept(
        id=raw.recurring_run_id,
        schedule=schedule.model_copy(update={"paused": not enabled}),
        digest=str(fields.get("digest", "")),
        enable=bool(fields.get("enable", True)),
        raw=raw,
    )


def _status(kept: _Kept) -> ScheduleStatus:
    schedule, following = kept.schedule, None
    if schedule.cron and not schedule.paused:  # of an interval only the controller knows
        following = next_due(schedule.cron, _clock(schedule)).replace(tzinfo=ZoneInfo(schedule.timezone))
    return ScheduleStatus(schedule=schedule, next_run=following)
