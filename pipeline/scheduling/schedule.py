"""What a schedule is, and what can be done with schedules wherever they are kept: on this machine or on a cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gan_models.errors import RequestError
from pipeline.scheduling.cron import next_due, normalise_cron

Change = Literal["created", "changed", "unchanged"]

MIN_SECONDS, MAX_SECONDS = 1, 366 * 24 * 3600
DATE = "{date}"
"""In the data of a schedule: the day of the due time, in the schedule's time zone, as 2026-11-01."""
_BAD = ("failed", "skipped", "canceled")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?")  # 63 is Kubernetes' limit; KFP appends to it


class Schedule(BaseModel):
    """When to run what. Runs never overlap, and what was due during a pause is not made up for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str  # lower-case letters, digits and dashes, at most 52
    cron: str | None = None
    """Six fields, seconds first; given with five, the seconds are 0. Sunday is 0. As in every cron, a time that
    restricts both day of the month and day of the week is due when either fits."""
    every: int | None = None  # seconds from one run to the next, in place of cron
    timezone: str = "UTC"  # an IANA name; what the fields of cron are in
    on_data: bool = False  # when it is due the data is looked at, and a run starts only where it is new
    start: datetime | None = None  # not due before; without a time zone, in that of the schedule
    end: datetime | None = None  # not due after
    paused: bool = False  # of a schedule that is new: an existing one stays paused, or not, when it is changed
    request: dict[str, JsonValue] = Field(default_factory=dict)  # the arguments of a run or of a retraining

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r}: use at most 52 lower-case letters, digits and dashes, as in nightly-faces")
        return name

    @field_validator("cron")
    @classmethod
    def _normalise(cls, cron: str | None) -> str | None:
        return None if cron is None else normalise_cron(cron)

    @field_validator("every")
    @classmethod
    def _check_interval(cls, every: int | None) -> int | None:
        if every is not None and not MIN_SECONDS <= every <= MAX_SECONDS:
            raise ValueError(f"{every}: expected from {MIN_SECONDS} to {MAX_SECONDS} seconds")
        return every

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{name!r} is no time zone: use an IANA name such as Europe/Berlin, or UTC") from None
        return name

    @field_validator("start", "end")
    @classmethod
    def _with_zone(cls, moment: datetime | None, info: ValidationInfo) -> datetime | None:
        if moment is None or moment.tzinfo is not None:
            return moment
        return moment.replace(tzinfo=ZoneInfo(info.data.get("timezone", "UTC"))).astimezone(UTC)

    @model_validator(mode="after")
    def _one_of_two(self) -> Schedule:
        if (self.cron is None) == (self.every is None):
            raise ValueError("give one of --cron and --every")
        if self.start and self.end and self.end < self.start:
            raise ValueError("--end is before --start")
        return self

    def due_after(self, moment: datetime, anchor: datetime) -> datetime | None:
        """The first time that it is due after a moment, in UTC; intervals are counted from `anchor`, or the start.

        None: it has come to its end.
        """
        if self.every is not None:
            anchor, every = max(filter(None, (anchor, self.start))), timedelta(seconds=self.every)
            return self.within(anchor + max(1, (moment - anchor) // every + 1) * every)
        since = self.not_before(moment).astimezone(ZoneInfo(self.timezone))
        return self.within(next_due(self.cron or "", since).astimezone(UTC))

    def dues_within(self, first: datetime, last: datetime, anchor: datetime) -> Iterator[datetime]:
        """All times from first to last by its cron or interval, whatever its start and end are."""
        free = self.model_copy(update={"start": None, "end": None})
        if self.every is not None:  # intervals are counted backwards as well
            every = timedelta(seconds=self.every)
            anchor -= max(0, (anchor - first) // every + 2) * every
        due = free.due_after(first - timedelta(microseconds=1), anchor)
        while due is not None and due <= last:
            yield due
            due = free.due_after(due, anchor)

    @property
    def is_dated(self) -> bool:
        """Whether its data is another one each day."""
        return DATE in str(self.request.get("data", ""))

    def request_at(self, due: datetime) -> dict[str, JsonValue]:
        """The request of the run of a due time."""
        if not self.is_dated:
            return self.request
        day = f"{due.astimezone(ZoneInfo(self.timezone)):%Y-%m-%d}"
        return {**self.request, "data": str(self.request["data"]).replace(DATE, day)}

    def not_before(self, moment: datetime) -> datetime:
        """The moment, or the last one before the start."""
        return moment if self.start is None else max(moment, self.start - timedelta(seconds=1))

    def within(self, due: datetime) -> datetime | None:
        """None: it is after the end."""
        return None if self.end and due > self.end else due


def make_schedule(**fields: object) -> Schedule:
    """A schedule from what was typed; RequestError for a name, a time or a time zone that cannot be."""
    try:
        return Schedule.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = " ".join(f"--{part}" for part in first["loc"] if part != "name")
        message = first["msg"].removeprefix("Value error, ")
        raise RequestError(f"schedule {fields.get('name')!r}: {place} {message}".replace(":  ", ": ")) from None


class Trouble(NamedTuple):
    """Something that went wrong with a schedule; of a schedule, event and due time are those of no other."""

    event: str  # late, failed, skipped or canceled
    due: datetime | None
    sentence: str


class ScheduledRun(BaseModel):
    """One run that a schedule has started, or should have."""

    id: str = Field(coerce_numbers_to_str=True)
    state: str  # as the engine calls it
    due: datetime | None = None
    begun: datetime | None = None  # the first of its attempts, where that is known
    ended: datetime | None = None
    sentence: str = ""  # why it failed, or was skipped

    @property
    def trouble(self) -> Trouble | None:
        """None: it is under way, or ended well."""
        event = self.state.lower()
        if event not in _BAD:
            return None
        return Trouble(event, self.due, f"run {self.id} {event}{f': {self.sentence}' if self.sentence else ''}")


class ScheduleStatus(BaseModel):
    """A schedule as it is kept."""

    schedule: Schedule  # `paused` says how it is now
    next_run: datetime | None = None  # None: paused, or it has come to its end
    overdue: datetime | None = None  # the first time that has passed, and nothing was started or skipped for it
    runs: list[ScheduledRun] = []  # the latest, newest first

    def troubles(self, now: datetime, grace: timedelta) -> Iterator[Trouble]:
        """What is wrong: nothing happened `grace` after it was due, or the last run was no success."""
        if self.overdue is not None and now - self.overdue > grace:
            sentence = f"late: was due {self.overdue:%Y-%m-%d %H:%M:%S %Z}, and nothing has started it"
            yield Trouble("late", self.overdue, sentence)
        last = next((run for run in self.runs if run.ended or run.trouble), None)
        if last is not None and last.trouble:
            yield last.trouble


class Scheduler(Protocol):
    """Where schedules are kept. A name that does not exist raises RequestError with the nearest one that does."""

    def ensure(self, schedule: Schedule) -> Change:
        """Makes it so: doing it again changes nothing; editing neither loses nor doubles a run."""

    def list(self) -> Sequence[ScheduleStatus]:
        """All schedules, by name, without their runs."""

    def show(self, name: str) -> ScheduleStatus:
        """One, with its latest runs."""

    def pause(self, name: str) -> None:
        """No further run until it is resumed; doing it twice is no error."""

    def resume(self, name: str) -> None:
        """From the next time that is due on."""

    def run_now(self, name: str) -> str:
        """Starts one run outside of its times; returns the run's id."""

    def delete(self, name: str) -> None:
        """Takes it away; runs that it has started stay."""
