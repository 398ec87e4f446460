"""When a schedule is due: as a clock on the wall shows it, on the days that the clock is changed as well."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.scheduling.schedule import make_schedule
from pipeline.scheduling.triggers import WallClockTrigger, trigger_of

SPRING, AUTUMN = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)


def due(cron: str, start: datetime, count: int, zone: str = "Europe/Berlin") -> list[str]:
    trigger = trigger_of(make_schedule(name="s", cron=cron, timezone=zone), start)
    trigger = pickle.loads(pickle.dumps(trigger))  # as it comes out of the job store
    found, before = [], None
    for _ in range(count):
        before = trigger.get_next_fire_time(before, start)
        found.append(before.astimezone(ZoneInfo(zone)).strftime("%d %H:%M %z"))
    return found


@pytest.mark.parametrize(
    ("cron", "start", "expected"),
    [
        # 02:30 does not exist on 29 March: one hour later by the new clock, no day is left out
        ("30 2 * * *", SPRING, ["29 03:30 +0200", "30 02:30 +0200", "31 02:30 +0200"]),
        # 02:30 comes twice on 25 October: the first time only
        ("30 2 * * *", AUTUMN, ["25 02:30 +0200", "26 02:30 +0100", "27 02:30 +0100"]),
        ("*/20 2 * * *", SPRING, ["29 03:00 +0200", "29 03:20 +0200", "29 03:40 +0200", "30 02:00 +0200"]),
        ("0 3 * * *", AUTUMN, ["25 03:00 +0100", "26 03:00 +0100"]),
        # what is due every hour is due in every hour that there is
        ("30 * * * *", SPRING + timedelta(hours=12), ["29 01:30 +0100", "29 03:30 +0200", "29 04:30 +0200"]),
        ("30 * * * *", AUTUMN + timedelta(hours=12), ["25 02:30 +0200", "25 02:30 +0100", "25 03:30 +0100"]),
    ],
)
def test_the_days_of_changed_clocks(cron: str, start: datetime, expected: list[str]) -> None:
    assert due(cron, start, len(expected)) == expected


def test_sunday_is_0_and_either_kind_of_day_will_do() -> None:
    start = datetime(2026, 11, 22, 13, tzinfo=UTC)  # a Sunday
    assert due("0 12 * * 0", start, 2, "UTC") == ["29 12:00 +0000", "06 12:00 +0000"]
    assert due("0 12 1 * MON", start, 3, "UTC") == ["23 12:00 +0000", "30 12:00 +0000", "01 12:00 +0000"]


def test_intervals_are_counted_from_the_anchor() -> None:
    anchor = datetime(2026, 10, 24, 12, tzinfo=UTC)
    trigger = trigger_of(make_schedule(name="s", every=86400), anchor)
    first = trigger.get_next_fire_time(None, anchor)
    assert first == anchor + timedelta(days=1)
    assert trigger.get_next_fire_time(None, anchor + timedelta(days=30, seconds=1)) == anchor + timedelta(days=31)


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
    minute=st.sampled_from(["0", "30", "*/20", "7,45"]),
)
def test_every_hour_is_what_a_look_at_the_clock_each_minute_finds(zone: str, start: datetime, minute: str) -> None:
    moment = start.replace(second=0, microsecond=0, tzinfo=UTC)
    trigger = WallClockTrigger(f"0 {minute} * * * *", zone)
    wanted = {0} if minute == "0" else {30} if minute == "30" else {0, 20, 40} if "/" in minute else {7, 45}
    clock = ZoneInfo(zone)
    seen = [m for m in (moment + timedelta(minutes=n) for n in range(300)) if m.astimezone(clock).minute in wanted]
    found, before = [], None
    for _ in seen:
        before = trigger.get_next_fire_time(before, moment)
        found.append(before)
    assert found == seen


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
)
def test_once_a_day_is_once_for_every_date(zone: str, start: datetime, hour: int, minute: int) -> None:
    trigger = WallClockTrigger(f"0 {minute} {hour} * * *", zone)
    found, before = [], None
    for _ in range(400):
        before = trigger.get_next_fire_time(before, start.replace(tzinfo=UTC))
        found.append(before.astimezone(ZoneInfo(zone)).date())
    assert found == [found[0] + timedelta(days=n) for n in range(400)]
