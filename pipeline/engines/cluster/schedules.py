"""Schedules on a cluster: recurring runs of Kubeflow Pipelines.

KFP cannot edit a recurring run, and one that is enabled after a pause starts the latest time that it missed. So
whatever changes a schedule, `resume` too, makes a new one that takes over from the old:

    1. the new one is made, disabled, with a note of whether it is to be enabled
    2. the old one is disabled, 3. the new one enabled, 4. the old one deleted; what it has started is left alone

At no time are both enabled, and whoever comes after a change that was cut off finds what is left to be done from what
is there: the newest says what was meant. The hand-over waits for the end of a run under way, of which the new one would
not know, and keeps its distance from the times that either is due at, since the controller needs seconds to notice.
The note travels in the parameter `run` of all that is started: a description holds 255 characters.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from gan_models.errors import RequestError, RunError, unknown_name
from pipeline.engines.cluster.runs import ENDED, POLL_SECONDS, ClusterRuns, name_filter, schedule_of
from pipeline.engines.cluster.settings import ClusterSettings
from pipeline.engines.cluster.submission import Submission, build_submission
from pipeline.request.request import Request
from pipeline.scheduling.cron import next_due
from pipeline.scheduling.schedule import Change, Schedule, ScheduledRun, ScheduleStatus

SHOWN_RUNS, LOOKED_AT = 5, 20
COLUMN = 255  # characters of a text in KFP's tables: a longer one is refused when half of it is done
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
            self._create(self._body(schedule, submission, digest, enable=not schedule.paused), not schedule.paused)
        elif digest not in [kept.digest for kept in found]:
            self._await_quiet(schedule, *(kept.schedule for kept in found))
            # A hand-over that was cut off may have left all of them disabled: the newest knows what was meant.
            enable = not found[0].schedule.paused if len(found) == 1 else found[-1].enable
            self._create(self._body(schedule, submission, digest, enable), enabled=False)
        self._settle(schedule.name)
        return "changed" if found else "created"

    def list(self) -> list[ScheduleStatus]:
        newest = {kept.schedule.name: kept for kept in self._all()}
        return [self._status(newest[name]) for name in sorted(newest)]

    def show(self, name: str) -> ScheduleStatus:
        kept = self._one(name)
        runs = [
            ScheduledRun(id=run.id, state=run.state, due=run.due or run.created, ended=run.ended, sentence=run.error)
            for run in self._runs.list(SHOWN_RUNS, every_experiment=True, schedule=name)
        ]
        status = self._status(kept).model_copy(update={"runs": runs})
        since = max([kept.raw.created_at, *(run.due for run in runs if run.due)])
        idle = not kept.schedule.paused and not self._under_way(name)
        undecided = _due_after(kept.schedule, since, since)
        late = idle and undecided is not None and undecided <= datetime.now(UTC)
        return status.model_copy(update={"overdue": undecided if late else None})

    def pause(self, name: str) -> None:
        self._do("disable", self._settled(name))

    def resume(self, name: str) -> None:
        """From the next time that is due on: what was due in between is not made up for."""
        kept = self._settled(name)
        if kept.schedule.paused:
            self._await_quiet(kept.schedule)
            self._create(_copy(kept, enable=True), enabled=False)
            self._settle(name)

    def run_now(self, name: str) -> str:
        """Starts one run outside of its times; its id. RequestError where a run of it has not ended yet."""
        from kfp_server_api import V2beta1Run

        kept = self._one(name)
        if busy := self._under_way(name):
            raise RequestError(f"the run {busy} of {name} has not ended yet, and they never overlap: wait for it")
        body = V2beta1Run(
            experiment_id=kept.raw.experiment_id,
            # Of equal names the server makes one run.
            display_name=f"{name} by hand {datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3],
            pipeline_spec=kept.raw.pipeline_spec,
            runtime_config=kept.raw.runtime_config,
            service_account=kept.raw.service_account,
        )
        return self._runs.start("start the run", body).id

    def delete(self, name: str) -> None:
        self._one(name)
        for kept in self._find(name):
            self._do("delete", kept)

    # -- the hand-over ----------------------------------------------------------------------------------------------

    def _body(self, schedule: Schedule, submission: Submission, digest: str, enable: bool) -> Any:
        from kfp_server_api import V2beta1RecurringRun, V2beta1RuntimeConfig

        about = {"digest": digest, "enable": enable, "schedule": schedule.model_dump(mode="json")}
        return V2beta1RecurringRun(
            experiment_id=self._runs.experiment(),
            display_name=schedule.name,
            description=f"{_TITLE}: {submission.about}"[:COLUMN],
            pipeline_spec=submission.pipeline.body,
            runtime_config=V2beta1RuntimeConfig(parameters=_remembering(submission.arguments, about)),
            service_account=self._client.connection.service_account,
            trigger=_trigger(schedule),
            no_catchup=True,
            max_concurrency="1",
        )

    def _create(self, body: Any, enabled: bool) -> None:
        from kfp_server_api import RecurringRunMode

        body.mode = RecurringRunMode.ENABLE if enabled else RecurringRunMode.DISABLE
        api = self._client.kfp.recurring_runs
        try:
            self._client.call("make the schedule", api.recurring_run_service_create_recurring_run, body)
        except RunError as error:
            # Kubernetes comes before the server's tables, and nothing is rolled back.
            look = f"kubectl get scheduledworkflows -n {self._client.connection.namespace}"
            raise RunError(f"{error}; Kubernetes may hold one by now that the server does not know: {look}") from None

    def _settle(self, name: str) -> None:
        """Leaves one recurring run of a name: the newest, which says what was meant."""
        *others, keep = self._find(name)
        for other in others:
            if not other.schedule.paused:
                self._do("disable", other)
        if others and keep.enable and keep.schedule.paused:
            owed = _due_after(keep.schedule, keep.raw.created_at, keep.raw.created_at)
            if owed is not None and owed <= datetime.now(UTC):
                self._await_quiet(keep.schedule)  # it owes a time by now, and would start it at once
                self._create(_copy(keep, enable=True), enabled=False)
                *others, keep = self._find(name)
            self._do("enable", keep)
        for other in others:
            self._do("delete", other)

    def _settled(self, name: str) -> _Kept:
        """The one of that name, once a change that was cut off is finished; RequestError where there is none."""
        self._one(name)
        self._settle(name)
        return self._one(name)

    def _await_quiet(self, *schedules: Schedule) -> None:
        """Waits for the end of a run under way, and while one of them is due or has just been."""
        end, said = time.monotonic() + LONGEST_WAIT_SECONDS, ""
        name = schedules[0].name
        while True:
            if busy := self._under_way(name):
                end = time.monotonic() + LONGEST_WAIT_SECONDS
                sentence = f"the run {busy} is under way: {name} changes when it has ended (Ctrl-C leaves it as it is)"
            elif time.monotonic() < end and any(_is_near(schedule) for schedule in schedules):
                sentence = f"{name} is due about now: waiting for a quiet moment to change it"
            else:
                return
            if sentence != said:
                self._note(sentence)
                said = sentence
            time.sleep(POLL_SECONDS if busy else 1)

    def _under_way(self, name: str) -> str:
        """A run of the schedule that has not ended, by its name; "" where there is none. Archived is given up."""
        runs = self._runs.list(LOOKED_AT, every_experiment=True, schedule=name, archived=False)
        return next((run.name for run in runs if run.state not in ENDED), "")

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
        method = getattr(self._client.kfp.recurring_runs, f"recurring_run_service_{what}_recurring_run")
        # Kubernetes would take all runs that it ever started along, one under way among them.
        named = {"propagation_policy": "ORPHAN"} if what == "delete" else {}
        self._client.call(f"{doing} the schedule", method, kept.id, **named)

    def _status(self, kept: _Kept) -> ScheduleStatus:
        schedule = kept.schedule
        following = None if schedule.paused else _due_after(schedule, datetime.now(UTC), kept.raw.created_at)
        return ScheduleStatus(schedule=schedule, next_run=following)

    def _check_timezone(self, schedule: Schedule) -> None:
        zone = self._settings.connection.timezone
        if schedule.cron and schedule.timezone != zone:
            raise RequestError(
                f"schedule {schedule.name!r}: Kubeflow reads all crons of a cluster in one time zone, here {zone}, "
                f"not in {schedule.timezone}: give the hours in {zone}, or use --engine local"
            )


def _trigger(schedule: Schedule) -> Any:
    """A start that has passed is left out: the controller would owe all that was due since."""
    from kfp_server_api import V2beta1CronSchedule, V2beta1PeriodicSchedule, V2beta1Trigger

    start = schedule.start if schedule.start and schedule.start > datetime.now(UTC) else None
    if schedule.cron:
        before = start and start - timedelta(seconds=1)  # what is due at the start itself is due
        return V2beta1Trigger(V2beta1CronSchedule(before, schedule.end, schedule.cron))
    interval = V2beta1PeriodicSchedule(start, schedule.end, str(schedule.every))
    return V2beta1Trigger(periodic_schedule=interval)


def _digest(schedule: Schedule, submission: Submission, service_account: str | None) -> str:
    """Changes whenever a run or its times could."""
    parts = [
        schedule.model_dump(mode="json", exclude={"paused", "on_data"}),
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
    return next_due(schedule.cron, now - distance - timedelta(seconds=1), both_with_star=True) <= now + distance


def _due_after(schedule: Schedule, moment: datetime, anchor: datetime) -> datetime | None:
    """As `Schedule.due_after`, by Kubeflow's reading of a cron: on an unchanging clock, and with its star."""
    if schedule.cron is None:
        return schedule.due_after(moment, anchor)
    zone = ZoneInfo(schedule.timezone)
    on_the_wall = schedule.not_before(moment).astimezone(zone).replace(tzinfo=None)
    return schedule.within(next_due(schedule.cron, on_the_wall, both_with_star=True).replace(tzinfo=zone))


def _clock(schedule: Schedule) -> datetime:
    """On the wall, as Kubeflow's controller counts."""
    return datetime.now(ZoneInfo(schedule.timezone)).replace(tzinfo=None)


def _remembering(arguments: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a pipeline whose `run` carries the note."""
    run = {**json.loads(arguments["run"]), "schedule": about}
    return {**arguments, "run": json.dumps(run, sort_keys=True)}


def _copy(kept: _Kept, enable: bool) -> Any:
    """The same recurring run, to be made anew: it owes no time that the old one missed."""
    from kfp_server_api import V2beta1RecurringRun, V2beta1RuntimeConfig

    same = ("experiment_id", "display_name", "description", "pipeline_spec", "service_account")
    parameters = _remembering(kept.raw.runtime_config.parameters, {**schedule_of(kept.raw), "enable": enable})
    return V2beta1RecurringRun(
        **{name: getattr(kept.raw, name) for name in same},
        trigger=_trigger(kept.schedule),
        runtime_config=V2beta1RuntimeConfig(parameters=parameters),
        no_catchup=True,
        max_concurrency="1",
    )


def _kept(raw: Any) -> _Kept | None:
    """None: somebody else's."""
    fields = schedule_of(raw)
    try:
        schedule = Schedule.model_validate(fields["schedule"])
    except (KeyError, ValidationError):
        return None
    enabled = (raw.mode or raw.status) in ("ENABLE", "ENABLED")
    return _Kept(
        id=raw.recurring_run_id,
        schedule=schedule.model_copy(update={"paused": not enabled}),
        digest=str(fields.get("digest", "")),
        enable=bool(fields.get("enable", True)),
        raw=raw,
    )
