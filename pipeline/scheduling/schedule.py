"""What a schedule is, and what can be done with schedules wherever they are kept: on this machine or on a cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import product
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator, model_validator

from gan_models.errors import RequestError

Change = Literal["created", "changed", "unchanged"]

MIN_SECONDS, MAX_SECONDS = 1, 366 * 24 * 3600
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,50}[a-z0-9])?")  # 63 is Kubernetes' limit; KFP appends to it
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # days of each month
FIELDS = {
    "second": (0, 59, ()),
    "minute": (0, 59, ()),
    "hour": (0, 23, ()),
    "day of the month": (1, 31, ()),
    "month": (1, 12, _MONTHS),
    "day of the week": (0, 6, _DAYS),  # Sunday is 0
}


class Schedule(BaseModel):
    """When to run what. Runs never overlap, and what was due during a pause is not made up for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """Lower-case letters, digits and dashes, at most 52."""
    cron: str | None = None
    """Six fields, seconds first; given with five, the seconds are 0. Sunday is 0. As in every cron, a time that
    restricts both day of the month and day of the week is due when either fits."""
    every: int | None = None
    """Seconds from one run to the next, in place of cron."""
    timezone: str = "UTC"
    """An IANA name; what the fields of cron are in."""
    paused: bool = False
    """Of a schedule that is new: an existing one stays paused, or not, when it is changed."""
    request: dict[str, JsonValue] = Field(default_factory=dict)
    """The arguments of a run or of a retraining."""

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

    @model_validator(mode="after")
    def _one_of_two(self) -> Schedule:
        if (self.cron is None) == (self.every is None):
            raise ValueError("give one of --cron and --every")
        return self


def make_schedule(**fields: object) -> Schedule:
    """A schedule from what was typed.

    Raises:
        RequestError: a name, a time or a time zone that cannot be.
    """
    try:
        return Schedule.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = " ".join(f"--{part}" for part in first["loc"] if part != "name")
        message = first["msg"].removeprefix("Value error, ")
        raise RequestError(f"schedule {fields.get('name')!r}: {place} {message}".replace(":  ", ": ")) from None


def normalise_cron(cron: str) -> str:
    """Six fields with one space between them.

    >>> normalise_cron("30 2 * * mon-fri")
    '0 30 2 * * MON-FRI'

    Raises:
        ValueError: not a time that can be.
    """
    fields = cron.upper().split()
    if len(fields) not in (5, 6):
        raise ValueError(f"{cron!r} has {len(fields)} fields: expected 5 (minute first) or 6 (second first)")
    fields = ["0"] * (6 - len(fields)) + fields
    values = {kind: field_values(kind, field) for kind, field in zip(FIELDS, fields, strict=True)}
    every_day = fields[5] in ("*", "?")
    last = max(_LONGEST[month - 1] for month in values["month"])
    if every_day and min(values["day of the month"]) > last:
        raise ValueError(f"{cron!r} is never due: none of its months has that day")
    return " ".join(fields)


def is_due(cron: str, moment: datetime) -> bool:
    """Whether a normalised cron is due in the second of a moment, both in the same time zone."""
    second, minute, hour, *_ = _values(cron)
    return moment.second in second and moment.minute in minute and moment.hour in hour and _is_day(cron, moment)


def next_due(cron: str, after: datetime) -> datetime:
    """The first time after a moment that a normalised cron is due at, both in the same time zone without leaps."""
    second, minute, hour, *_ = map(sorted, _values(cron))
    day = after.replace(hour=0, minute=0, second=0, microsecond=0)
    while True:  # it ends: a cron that is never due was refused
        if _is_day(cron, day):
            for h, m, s in product(hour, minute, second):
                if (due := day.replace(hour=h, minute=m, second=s)) > after:
                    return due
        day += timedelta(days=1)


def _values(cron: str) -> list[set[int]]:
    return [field_values(kind, field) for kind, field in zip(FIELDS, cron.split(), strict=True)]


def _is_day(cron: str, moment: datetime) -> bool:
    *_, day, month, weekday = _values(cron)
    days = (moment.day in day, moment.isoweekday() % 7 in weekday)
    restricted = [field not in ("*", "?") for field in (cron.split()[3], cron.split()[5])]
    return moment.month in month and (any(days) if all(restricted) else all(days))


def field_values(kind: str, text: str) -> set[int]:
    first, last, names = FIELDS[kind]
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        if slash and not (step.isdecimal() and int(step) > 0):
            raise ValueError(f"{kind} {text!r}: expected a number from 1 after the slash, as in */5")
        if span in ("*", "?") and (span == "*" or kind.startswith("day")):
            start, end = first, last
        else:
            ends = [_number(kind, word, first, last, names) for word in span.split("-")]
            if len(ends) > 2 or ends[0] > ends[-1]:
                raise ValueError(f"{kind} {text!r}: expected one value, or a range from low to high")
            start, end = ends[0], last if slash and len(ends) == 1 else ends[-1]
        values.update(range(start, end + 1, int(step or 1)))
    return values


def _number(kind: str, word: str, first: int, last: int, names: tuple[str, ...]) -> int:
    if word.lower() in names:
        return first + names.index(word.lower())
    if word.isdecimal() and first <= int(word) <= last:
        return int(word)
    also = f" or {names[0].upper()} to {names[-1].upper()}" if names else ""
    raise ValueError(f"{kind} {word!r}: expected {first} to {last}{also}")


class ScheduledRun(BaseModel):
    """One run that a schedule has started, or should have."""

    id: str
    state: str
    """As the engine calls it."""
    due: datetime | None = None
    ended: datetime | None = None
    sentence: str = ""
    """Why it failed, or was skipped."""


class ScheduleStatus(BaseModel):
    """A schedule as it is kept."""

    schedule: Schedule
    """`paused` says how it is now."""
    next_run: datetime | None = None
    """None: paused, or not known before it is due."""
    runs: list[ScheduledRun] = []
    """The latest, newest first."""


class Scheduler(Protocol):
    """Where schedules are kept. A name that does not exist raises RequestError with the nearest one that does."""

    def ensure(self, schedule: Schedule) -> Change:
        """Makes it so: doing it again changes nothing; editing neither loses nor doubles a run."""

    def list(self) -> list[ScheduleStatus]:
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


def equal_schedules(one: Schedule, other: Schedule) -> bool:
    """Whether they do the same at the same times, paused or not."""
    return _essence(one) == _essence(other)


def _essence(schedule: Schedule) -> Mapping[str, object]:
    return schedule.model_dump(exclude={"paused"})
