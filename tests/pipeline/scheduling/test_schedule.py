"""A schedule as it is typed: times that can be, and a sentence for those that cannot."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from gan_models.errors import RequestError
from pipeline.scheduling.schedule import equal_schedules, is_due, make_schedule, next_due, normalise_cron


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("30 2 * * *", "0 30 2 * * *"),
        ("15 30 2 * * mon-fri", "15 30 2 * * MON-FRI"),
        ("  0 0  9 ? * 1-5 ", "0 0 9 ? * 1-5"),
        ("*/10 0-12/2,23 1,15 jan *", "0 */10 0-12/2,23 1,15 JAN *"),
        ("0 0 29 2 *", "0 0 0 29 2 *"),
        ("0 0 31 2 1", "0 0 0 31 2 1"),  # Mondays are days of February
    ],
)
def test_times_that_can_be(typed: str, kept: str) -> None:
    assert make_schedule(name="nightly", cron=typed).cron == kept
    assert normalise_cron(kept) == kept


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"cron": "* * * *"}, "has 4 fields"),
        ({"cron": "60 * * * *"}, "minute '60': expected 0 to 59"),
        ({"cron": "0 24 * * *"}, "hour '24'"),
        ({"cron": "0 0 0 * *"}, "day of the month '0'"),
        ({"cron": "0 0 * * 7"}, "expected 0 to 6 or SUN to SAT"),
        ({"cron": "0 0 * foo *"}, "month 'FOO'"),
        ({"cron": "*/0 * * * *"}, "after the slash"),
        ({"cron": "5-1 * * * *"}, "from low to high"),
        ({"cron": "? * * * *"}, "minute '?'"),
        ({"cron": "0 0 30 2 *"}, "never due"),
        ({"cron": "@daily"}, "has 1 fields"),
        ({"every": 0}, "--every 0: expected from 1"),
        ({"every": 60, "cron": "0 0 * * *"}, "give one of --cron and --every"),
        ({}, "give one of --cron and --every"),
        ({"every": 60, "timezone": "Berlin"}, "'Berlin' is no time zone"),
        ({"every": 60, "name": "Nightly"}, "lower-case letters"),
        ({"every": 60, "name": "n" * 53}, "at most 52"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(fields: dict[str, object], words: str) -> None:
    with pytest.raises(RequestError) as refused:
        make_schedule(**{"name": "nightly", **fields})
    assert words in str(refused.value)


def test_a_pause_is_no_difference_but_a_time_is() -> None:
    nightly = make_schedule(name="nightly", every=60, request={"seed": 1})
    assert equal_schedules(nightly, nightly.model_copy(update={"paused": True}))
    assert not equal_schedules(nightly, nightly.model_copy(update={"every": 61}))
    assert not equal_schedules(nightly, nightly.model_copy(update={"request": {"seed": 2}}))


@pytest.mark.parametrize(
    ("cron", "after", "due"),
    [
        ("0 0 2 * * *", "2026-03-01 01:59:59", "2026-03-01 02:00:00"),
        ("0 0 2 * * *", "2026-03-01 02:00:00", "2026-03-02 02:00:00"),
        ("0 0 0 29 2 *", "2026-03-01 00:00:00", "2028-02-29 00:00:00"),
        ("0 30 8 * * MON-FRI", "2026-02-27 09:00:00", "2026-03-02 08:30:00"),
        ("0 0 0 13 * FRI", "2026-03-01 00:00:00", "2026-03-06 00:00:00"),  # either fits, as in every cron
        ("*/20 59 23 31 12 ?", "2026-12-31 23:59:40", "2027-12-31 23:59:00"),
    ],
)
def test_when_it_is_due_next(cron: str, after: str, due: str) -> None:
    moment = datetime.fromisoformat(due)
    assert next_due(cron, datetime.fromisoformat(after)) == moment
    assert is_due(cron, moment)
    assert not is_due(cron, moment + timedelta(seconds=1))
