"""When a schedule is due: as a clock on the wall shows it, on the days that the clock is changed as well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.scheduling.schedule import make_schedule

SPRING, AUTUMN = datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)


def due(cron: str, start: datetime, count: int, zone: str = "Europe/Berlin") -> list[str]:
    return [f"{moment.astimezone(ZoneInfo(zone)):%d %H:%M %z}" for moment in dues(cron, zone, start, count)]


def dues(cron: str, zone: str, start: datetime, count: int) -> list[datetime]:
    """The first of them may be `start` itself."""
    schedule = make_schedule(name="s", cron=cron, timezone=zone)
    found = [start - timedelta(microseconds=1)]
    for _ in range(count):
        found.append(schedule.due_after(found[-1], start))
    return found[1:]


@pytest.mark.parametrize(
    ("cron", "start", "expected"),
    [
        # 02:30 does not exist on 29 March: when the clock goes on, no day is left out
        ("30 2 * * *", SPRING, ["29 03:00 +0200", "30 02:30 +0200", "31 02:30 +0200"]),
        ("15 30 2 * * *", SPRING, ["29 03:00 +0200", "30 02:30 +0200"]),
        ("0 30 2 ? * *", SPRING, ["29 03:00 +0200", "30 02:30 +0200"]),
        # 02:30 comes twice on 25 October: the first time only
        ("30 2 * * *", AUTUMN, ["25 02:30 +0200", "26 02:30 +0100", "27 02:30 +0100"]),
        ("*/20 2 * * *", SPRING, ["29 03:00 +0200", "30 02:00 +0200", "30 02:20 +0200"]),
        ("*/20 2 * * *", AUTUMN, ["25 02:00 +0200", "25 02:20 +0200", "25 02:40 +0200", "26 02:00 +0100"]),
        ("0 3 * * *", AUTUMN, ["25 03:00 +0100", "26 03:00 +0100"]),
        # what is due every hour is due in every hour that there is
        ("30 * * * *", SPRING + timedelta(hours=12), ["29 01:30 +0100", "29 03:30 +0200", "29 04:30 +0200"]),
        ("30 * * * *", AUTUMN + timedelta(hours=12), ["25 02:30 +0200", "25 02:30 +0100", "25 03:30 +0100"]),
    ],
)
def test_the_days_of_changed_clocks(cron: str, start: datetime, expected: list[str]) -> None:
    assert due(cron, start, len(expected)) == expected


def test_seconds_are_of_each_minute_that_is_due() -> None:
    start = datetime(2026, 3, 29, 1, 0, 5, tzinfo=UTC)  # 03:00:05: 02:30 was left out five seconds ago
    found = dues("*/20 30 2 * * *", "Europe/Berlin", start, 3)
    assert [f"{moment.astimezone(ZoneInfo('Europe/Berlin')):%d %H:%M:%S}" for moment in found] == [
        "29 03:00:20",
        "29 03:00:40",
        "30 02:30:00",
    ]


def test_sunday_is_0_and_either_kind_of_day_will_do() -> None:
    start = datetime(2026, 11, 22, 13, tzinfo=UTC)  # a Sunday
    assert due("0 12 * * 0", start, 2, "UTC") == ["29 12:00 +0000", "06 12:00 +0000"]
    assert due("0 12 1 * MON", start, 3, "UTC") == ["23 12:00 +0000", "30 12:00 +0000", "01 12:00 +0000"]


def test_intervals_are_counted_from_the_anchor() -> None:
    anchor, daily = datetime(2026, 10, 24, 12, tzinfo=UTC), make_schedule(name="s", every=86400)
    for before in (anchor - timedelta(days=3), anchor, anchor + timedelta(hours=23)):
        assert daily.due_after(before, anchor) == anchor + timedelta(days=1)
    assert daily.due_after(anchor + timedelta(days=30), anchor) == anchor + timedelta(days=31)


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
    minute=st.sampled_from(["0", "30", "*/20", "7,45"]),
)
def test_every_hour_is_what_a_look_at_the_clock_each_minute_finds(zone: str, start: datetime, minute: str) -> None:
    moment = start.replace(second=0, microsecond=0, tzinfo=UTC)
    wanted = {0} if minute == "0" else {30} if minute == "30" else {0, 20, 40} if "/" in minute else {7, 45}
    clock = ZoneInfo(zone)
    seen = [m for m in (moment + timedelta(minutes=n) for n in range(300)) if m.astimezone(clock).minute in wanted]
    assert dues(f"{minute} * * * *", zone, moment, len(seen)) == seen


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    start=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
)
def test_once_a_day_is_once_for_every_date(zone: str, start: datetime, hour: int, minute: int) -> None:
    moments = dues(f"{minute} {hour} * * *", zone, start.replace(tzinfo=UTC), 400)
    found = [moment.astimezone(ZoneInfo(zone)).date() for moment in moments]
    assert found == [found[0] + timedelta(days=n) for n in range(400)]
