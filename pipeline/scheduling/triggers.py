"""When a schedule is due, as triggers of APScheduler.

APScheduler's own CronTrigger is used for the calendar only, in a clock that never changes. What a change of the clock
does is decided here, for its version 3.11 loses its way on the day that an hour comes twice: it returns the same moment
again and again.

    a time that names the hour (02:30)       once a day: in the hour that comes twice, the first time; in one that is
                                             left out, as much later as the clock is put forward (03:30)
    a time in every hour (minute 30 of *)    whenever the clock shows it: in the hour that comes twice, both times
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from pipeline.scheduling.schedule import FIELDS, Schedule, field_values

_NAMES = ("second", "minute", "hour", "day", "month", "day_of_week")
_TICK = timedelta(microseconds=1)
_HOURS = 24
_LONGEST_CHANGE = timedelta(hours=3)


class WallClockTrigger(BaseTrigger):  # type: ignore[misc]
    """Due when the clock of a time zone shows what a cron expression of six fields says."""

    def __init__(self, cron: str, timezone: str) -> None:
        self.cron, self.timezone = cron, timezone
        self._zone = ZoneInfo(timezone)
        values = [sorted(field_values(kind, field)) for kind, field in zip(FIELDS, cron.split(), strict=True)]
        self._calendars = _calendars(values, cron.split())
        self._every_hour = len(values[2]) == _HOURS

    def __getstate__(self) -> tuple[str, str]:
        return self.cron, self.timezone

    def __setstate__(self, state: tuple[str, str]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """The first time after the previous one; where there is none, the first that is not before now. In UTC."""
        after = previous_fire_time or now - _TICK
        return self._next_by_elapsed(after) if self._every_hour else self._next_by_clock(after)

    def _next_by_clock(self, after: datetime) -> datetime | None:
        """Walks the calendar; a date and time on it is one moment, whether the clock shows it once, twice or never."""
        # Where the clock has just been put forward, what was left out comes in the hours after it.
        offsets = {self._offset(after), self._offset(after - _LONGEST_CHANGE)}
        found = [self._first_on_calendar((after + offset).replace(tzinfo=None), after) for offset in offsets]
        return min((moment for moment in found if moment is not None), default=None)

    def _first_on_calendar(self, wall: datetime | None, after: datetime) -> datetime | None:
        # In the second of two equal hours the calendar is behind: what it has there has been due already.
        while wall is not None and (wall := self._next_on_calendar(wall)) is not None:
            moment = wall.replace(tzinfo=self._zone, fold=0).astimezone(UTC)
            if moment > after:
                return moment
        return None

    def _next_by_elapsed(self, after: datetime) -> datetime | None:
        """Walks through time, from one change of the clock to the next."""
        while True:
            offset = self._offset(after + _TICK)
            found = self._next_on_calendar((after + offset).replace(tzinfo=None))
            if found is None:
                return None
            moment = found.replace(tzinfo=UTC) - offset
            if self._offset(moment) == offset:
                return moment
            after = self._change_of_clock(after + _TICK, moment) - _TICK

    def _offset(self, moment: datetime) -> timedelta:
        offset = moment.astimezone(self._zone).utcoffset()
        assert offset is not None
        return offset

    def _change_of_clock(self, start: datetime, end: datetime) -> datetime:
        """The first moment of another offset than at `start`; `end` has one."""
        first, low, high = self._offset(start), start, end
        while high - low > timedelta(seconds=1):
            middle = low + (high - low) / 2
            low, high = (middle, high) if self._offset(middle) == first else (low, middle)
        return high.replace(microsecond=0)

    def _next_on_calendar(self, wall: datetime) -> datetime | None:
        """The first naive date and time after `wall`."""
        pretended = wall.replace(tzinfo=UTC) + _TICK
        found = [calendar.get_next_fire_time(None, pretended) for calendar in self._calendars]
        moments: list[datetime] = [moment for moment in found if moment is not None]
        return min(moments).replace(tzinfo=None) if moments else None


def _calendars(values: list[list[int]], fields: list[str]) -> list[CronTrigger]:
    """One CronTrigger, or two where days of the month and of the week are restricted, for either will do."""
    texts = [",".join(map(str, each)) for each in values]
    texts[5] = ",".join(FIELDS["day of the week"][2][day] for day in values[5])  # APScheduler counts from Monday
    both = all(field not in ("*", "?") for field in (fields[3], fields[5]))
    left_out = [["day_of_week"], ["day"]] if both else [[]]
    return [
        CronTrigger(
            **{name: text for name, text in zip(_NAMES, texts, strict=True) if name not in without}, timezone=UTC
        )
        for without in left_out
    ]


def trigger_of(schedule: Schedule, anchor: datetime) -> BaseTrigger:
    """The trigger of a schedule; intervals are counted from `anchor`, when the schedule was made or changed."""
    if schedule.cron is not None:
        return WallClockTrigger(schedule.cron, schedule.timezone)
    every = schedule.every or 0
    return IntervalTrigger(seconds=every, start_date=anchor + timedelta(seconds=every), timezone=UTC)
