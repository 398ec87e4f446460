"""A schedule as it is typed: times that can be, and a sentence for those that cannot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gan_models.errors import RequestError
from pipeline.cli import call
from pipeline.request.request import Request
from pipeline.scheduling.cron import next_due, normalise_cron
from pipeline.scheduling.schedule import make_schedule
from pipeline.scheduling.store import ScheduleStore


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


def test_a_pause_is_no_difference_but_a_time_is(tmp_path: Path) -> None:
    store = ScheduleStore(tmp_path / "schedules.db")
    nightly = make_schedule(name="nightly", every=60, request={"seed": 1})
    assert store.ensure(nightly) == "created"
    assert store.ensure(nightly.model_copy(update={"paused": True})) == "unchanged"
    assert store.ensure(nightly.model_copy(update={"every": 61})) == "changed"
    assert store.ensure(nightly.model_copy(update={"every": 61, "request": {"seed": 2}})) == "changed"


@pytest.mark.parametrize(
    ("cron", "after", "due"),
    [
        ("0 0 2 * * *", "2026-03-01 01:59:59", "2026-03-01 02:00:00"),
        ("0 0 2 * * *", "2026-03-01 02:00:00", "2026-03-02 02:00:00"),
        ("0 0 0 29 2 *", "2026-03-01 00:00:00", "2028-02-29 00:00:00"),
        ("0 30 8 * * MON-FRI", "2026-02-27 09:00:00", "2026-03-02 08:30:00"),
        ("0 0 0 13 * FRI", "2026-03-01 00:00:00", "2026-03-06 00:00:00"),  # either fits, as in every cron
        ("*/20 59 23 31 12 ?", "2026-12-31 23:59:40", "2027-12-31 23:59:00"),
        ("0 0 0 */10 * MON", "2026-03-01 00:00:00", "2026-03-02 00:00:00"),  # every tenth day is a restriction as well
    ],
)
def test_when_it_is_due_next(cron: str, after: str, due: str) -> None:
    moment = datetime.fromisoformat(due)
    assert next_due(cron, datetime.fromisoformat(after)) == moment
    assert next_due(cron, moment - timedelta(seconds=1)) == moment
    assert next_due(cron, moment) > moment + timedelta(seconds=1)


def test_a_request_as_a_command_line() -> None:
    request = {"command": "retrain", "data": "digits", "seed": 3, "force": True, "overrides": ["training.steps=5"]}
    words = ["retrain", "--seed", "3", "--data", "digits", "--force", "--set", "training.steps=5"]
    assert Request.parse(request).command_line() == words


def test_a_schedule_of_today_stands_for_the_command_line_of_today() -> None:
    kept = make_schedule(
        name="faces",
        cron="0 30 2 * * *",
        request={
            "command": "retrain",
            "recipe": "dcgan",
            "data": "folder:/images",
            "overrides": ["data.size=8", "training.steps=5"],
            "seed": 4,
            "workdir": "/runs/faces",
            "tracking_uri": "sqlite:////runs/mlflow.db",
            "name": "faces",
            "model": "faces",
            "force": True,
            "warm_start": True,
            "webhook_env": "HOOK",
        },
    )
    request = Request.parse(kept.request)
    assert request.document() == kept.request
    assert " ".join(request.command_line()) == (
        "retrain --seed 4 --recipe dcgan --data folder:/images --workdir /runs/faces "
        "--tracking-uri sqlite:////runs/mlflow.db --name faces --model faces --webhook-env HOOK --force --warm-start "
        "--set data.size=8 --set training.steps=5"
    )


@pytest.mark.parametrize("field", [name for name in Request.model_fields if name != "command"])
def test_every_field_of_a_request_comes_back_from_its_command_line(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"overrides": ["a=1"], "seed": 7, "force": True, "warm_start": True, "engine": "docker"}
    asked = Request.parse({"command": "run", field: values.get(field, "here")})
    if field in ("model", "webhook_env", "force", "warm_start"):
        asked = asked.model_copy(update={"command": "retrain"})
    told: list[Request] = []
    monkeypatch.setattr("pipeline.commands.run.run_command", lambda request, as_json: told.append(request) or 0)
    assert call(asked.command_line()) == 0
    assert told == [asked]


def test_a_start_and_an_end() -> None:
    """Both are times at which it may be due; without a zone they are in the schedule's."""
    berlin = make_schedule(
        name="a", cron="0 0 2 * * *", timezone="Europe/Berlin", start="2027-01-10T02:00", end="2027-01-12T02:00"
    )
    found, moment = [], datetime(2027, 1, 1, tzinfo=UTC)
    while due := berlin.due_after(moment, moment):
        found.append(due)
        moment = due
    assert found == [datetime(2027, 1, day, 1, tzinfo=UTC) for day in (10, 11, 12)]
    start = datetime(2027, 1, 10, tzinfo=UTC)
    hourly = make_schedule(name="a", every=3600, start=start, end=start + timedelta(hours=2))
    anchor = datetime(2027, 1, 1, 0, 30, tzinfo=UTC)
    first = hourly.due_after(anchor, anchor)
    assert first == start + timedelta(hours=1)
    assert hourly.due_after(first, anchor) == start + timedelta(hours=2)
    assert hourly.due_after(start + timedelta(hours=2), anchor) is None
    with pytest.raises(RequestError, match="--end is before --start"):
        make_schedule(name="a", every=60, start="2027-01-02", end="2027-01-01")
