"""`gan-pipeline schedule` and `models` as a user types them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.scheduling.schedule import make_schedule
from pipeline.scheduling.store import ScheduleStore

REQUEST = ["--data", "digits", "--set", "data.size=8"]


@pytest.fixture
def nightly(ask: Callable) -> Callable:
    assert ask("schedule", "ensure", "nightly", "--cron", "30 2 * * *", *REQUEST).out.startswith("nightly: created")
    return ask


def test_ensure_is_idempotent_and_says_what_it_did(nightly: Callable) -> None:
    same = ["schedule", "ensure", "nightly", "--cron", "30 2 * * *", *REQUEST]
    assert nightly(*same).out.startswith("nightly: unchanged; next run: ")
    assert nightly(*same, "--timezone", "Europe/Berlin").out.startswith("nightly: changed")


def test_a_life(nightly: Callable) -> None:
    assert "0 30 2 * * * UTC" in nightly("schedule", "list").out
    assert nightly("schedule", "pause", "nightly").out == "nightly: paused\n"
    assert nightly("schedule", "list").out.rstrip().endswith("paused")
    assert nightly("schedule", "resume", "nightly").out == "nightly: resumed\n"
    started = nightly("schedule", "run-now", "nightly")
    assert "starts now" in started.out
    assert "no scheduler is running" in started.err
    shown = nightly("schedule", "show", "nightly").out
    assert "claimed" in shown
    assert "request    retrain --seed 0 --data digits" in shown
    assert "has not ended yet" in nightly("schedule", "run-now", "nightly").sentence
    assert nightly("schedule", "delete", "nightly").code == 0
    assert nightly("schedule", "show", "nightly").code == 2


def test_a_start_and_an_end(ask: Callable) -> None:
    every = ["schedule", "ensure", "nightly", "--cron", "30 2 * * *", "--timezone", "Europe/Berlin", *REQUEST]
    made = ask(*every, "--start", "2100-01-31", "--end", "2100-03-01T12:00")
    assert made.out == "nightly: created; next run: 2100-01-31 02:30:00 CET\n"
    listed = ask("schedule", "list").out
    assert "Europe/Berlin, from 2100-01-31 00:00:00 CET, until 2100-03-01 12:00:00 CET" in listed
    assert ask(*every, "--start", "2100-01-31", "--end", "2100-03-01T12:00").out.startswith("nightly: unchanged")
    ended = ask(*every, "--end", "2020-01-01")
    assert ended.out == "nightly: changed; next run: ended\n"
    assert ask("schedule", "health").code == 0
    assert "--start" in ask(*every, "--start", "soon").sentence


def test_health(nightly: Callable, tmp_path: Path) -> None:
    healthy = nightly("schedule", "health")
    assert (healthy.code, healthy.out.startswith("✓ nightly: ")) == (0, True)
    store = ScheduleStore(tmp_path / "runs" / "schedules.db")
    past = datetime.now(UTC) - timedelta(days=2)
    store.ensure(make_schedule(name="hourly", every=3600), now=past)
    late = nightly("schedule", "health")
    assert late.code == 1
    assert f"✗ hourly: late: was due {past + timedelta(hours=1):%Y-%m-%d %H:%M}" in late.out
    assert nightly("schedule", "health", "--grace", "7d").code == 0
    store.record_due()
    skipped = nightly("schedule", "health", "--json")
    assert skipped.code == 1
    assert "skipped: the scheduler was not running" in json.loads(skipped.out)["hourly"][0]
    nightly("schedule", "pause", "nightly")
    assert json.loads(nightly("schedule", "health", "--json").out)["nightly"] == []
    assert "--grace 'soon': expected a number" in nightly("schedule", "health", "--grace", "soon").sentence


def test_health_tells_a_webhook_once(nightly: Callable, tmp_path: Path, hook: Any) -> None:
    store = ScheduleStore(tmp_path / "runs" / "schedules.db")
    past = datetime.now(UTC) - timedelta(days=2)
    store.ensure(make_schedule(name="hourly", every=3600), now=past)
    hook.answers[:] = [500] * 3
    deaf = nightly("schedule", "health", "--webhook-env", "HOOK")
    assert "the webhook of HOOK was not told that schedule hourly: late: was due" in deaf.err
    assert "it answered 500" in deaf.err
    assert nightly("schedule", "health").code == 1
    del hook.got[:]
    for _ in range(2):
        assert nightly("schedule", "health", "--webhook-env", "HOOK").err == ""
    (message,) = hook.got
    assert message["text"].startswith("schedule hourly: late: was due ")
    assert (message["event"], message["schedule"], message["engine"]) == ("late", "hourly", "local")
    assert datetime.fromisoformat(message["due"]) == past.replace(microsecond=0) + timedelta(hours=1)
    assert b"s3cret" not in store.path.read_bytes()


@pytest.mark.parametrize("command", [["schedule", "health"], ["scheduler"]])
def test_a_webhook_without_an_address_is_refused(
    ask: Callable, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMPTY", "")
    assert "--webhook-env EMPTY: the environment" in ask(*command, "--webhook-env", "EMPTY").sentence
    refused = ask(*command, "--webhook-env", "https://hooks.example/s3cret")
    assert refused.code == 2
    assert "not an address" in refused.sentence
    assert "s3cret" not in refused.sentence


def test_a_backfill(ask: Callable, tmp_path: Path) -> None:
    photos = ["schedule", "ensure", "photos", "--cron", "0 2 * * *", "--data", "folder:photos/{date}"]
    assert "give --model" in ask(*photos).sentence
    assert "Kubeflow fills in no {date}" in ask(*photos, "--engine", "cluster").sentence
    made = ask(*photos, "--model", "photos")
    assert made.code == 0, made.err
    week = ["schedule", "backfill", "photos", "--from", "2020-11-01", "--to", "2020-11-02"]
    listed = ask(*week, "--dry-run")
    assert listed.out.splitlines() == [
        f"2020-11-01 02:00:00 UTC  folder:{tmp_path}/photos/2020-11-01",
        f"2020-11-02 02:00:00 UTC  folder:{tmp_path}/photos/2020-11-02",
        "photos: 2 runs would be queued",
    ]
    queued = ask(*week)
    assert queued.out.endswith("photos: 2 runs are queued\n")
    assert "no scheduler is running" in queued.err
    assert "2020-11-02 02:00:00 UTC  queued" in ask("schedule", "show", "photos").out
    assert "backfill is for schedules of this machine" in ask(*week, "--engine", "cluster").sentence
    wrong = ["schedule", "backfill", "photos", "--from", "2020-11-02"]
    assert "--to 2020-11-01 is before --from 2020-11-02" in ask(*wrong, "--to", "2020-11-01").sentence
    assert "--to 'soon': expected a day or a time" in ask(*wrong, "--to", "soon").sentence


def test_a_schedule_on_new_data(ask: Callable, images: Path) -> None:
    every = ["schedule", "ensure", "cats", "--on-data", "--every", "10m", "--set", "data.size=8"]
    made = ask(*every, "--data", "folder:images")
    assert made.out.startswith("cats: created; next run: looks at the data at ")
    assert ask(*every, "--data", "folder:images").out.startswith("cats: unchanged")
    assert "every 600 s, on new data" in ask("schedule", "list").out
    for wrong in ([], ["--data", "folder:images/{date}", "--model", "cats"]):
        assert "--on-data looks at one place" in ask(*every, *wrong).sentence
    there = ask(*every, "--data", "folder:images", "--engine", "cluster")
    assert (there.code, "nobody who looks at the data" in there.sentence) == (2, True)


def test_places_are_absolute_for_the_scheduler_runs_elsewhere(ask: Callable, images: Path, tmp_path: Path) -> None:
    store = ["--tracking-uri", "sqlite:///here.db"]
    made = ask("schedule", "ensure", "cats", "--every", "6h", "--data", "folder:images", "--set", "data.size=8", *store)
    assert made.code == 0, made.err
    request = json.loads(ask("schedule", "show", "cats", "--json").out)["schedule"]["request"]
    assert request["data"] == f"folder:{images}"
    assert request["workdir"] == f"{tmp_path}/runs/cats"
    assert request["tracking_uri"] == f"sqlite:///{tmp_path}/here.db"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--every", "soon"], "as in 30m or 7d"),
        ([], "give one of --cron and --every"),
        (["--every", "1h", "--cron", "* * * * *"], "give one of --cron and --every"),
        (["--cron", "61 * * * *"], "minute '61'"),
        (["--cron", "* * * * *", "--timezone", "Mars/Base"], "no time zone"),
        (["--every", "1h", "--set", "training.step=3"], "did you mean 'steps'?"),
        (["--every", "1h", "--command", "run", "--warm-start"], "--warm-start is for --command retrain"),
        (
            ["--every", "1h", "--tracking-uri", "http://ann:s3cret@host"],
            "holds a login, which a schedule does not keep",
        ),
        (["--every", "1h", "--webhook-env", "https://hooks.example/s3cret"], "the name of an environment variable"),
    ],
)
def test_wrong_schedules_are_refused_and_nothing_is_kept(
    ask: Callable, tmp_path: Path, arguments: list[str], words: str
) -> None:
    answer = ask("schedule", "ensure", "nightly", *REQUEST, *arguments)
    assert answer.code == 2
    assert words in answer.sentence
    assert "s3cret" not in answer.sentence
    assert not list(tmp_path.rglob("*.db"))


def test_misspelt_schedules(nightly: Callable) -> None:
    assert "did you mean 'nightly'?" in nightly("schedule", "pause", "nigthly").sentence


def test_models_without_a_store(ask: Callable, tmp_path: Path) -> None:
    answer = ask("models", "list")
    assert answer.code == 2
    assert "there is no MLflow store at" in answer.sentence
    assert not list(tmp_path.iterdir())
