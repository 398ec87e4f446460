"""Schedules that are kept here and done on a cluster: one run for each due time, whoever is killed meanwhile."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.cli.scheduled import _do, do_run
from pipeline.engines.cluster.runs import ClusterRuns
from pipeline.scheduling.schedule import ScheduledRun
from pipeline.scheduling.store import ScheduleStore
from tests.pipeline.kfp_server import Fault, KfpServer

RUNS = r"/runs$"
SMALL = ("--data", "digits", "--recipe", "dcgan", "--set", "data.size=8", "--command", "run")


class Killed(BaseException):
    """What a killed process does not live to see."""


@pytest.fixture(autouse=True)
def settings(tmp_path: Path) -> None:
    (tmp_path / "gan-pipeline.toml").write_text('[cluster]\nimage = "registry.example/gan-pipeline:1"\npvc = "work"\n')


@pytest.fixture
def due(ask: Callable, server: KfpServer, tmp_path: Path) -> Callable[[], ScheduledRun]:
    """Does the run that is due, as the scheduler's process for it would; returns what the journal says then."""
    assert ask("schedule", "ensure", "faces", "--every", "7d", "--on-cluster", *SMALL).code == 0
    store = ScheduleStore(tmp_path / "runs" / "schedules.db")
    store.run_now("faces")

    def due() -> ScheduledRun:
        (claim,) = store.waiting()
        log = tmp_path / "log"
        before = signal.getsignal(signal.SIGTERM)
        try:
            with log.open("w") as said, redirect_stdout(said), redirect_stderr(said):
                do_run([str(store.path), str(claim.id), str(log)], _do)
        except Killed:
            (cut_off,) = store.running()
            store.give_back(cut_off, "its process was killed")
        finally:
            signal.signal(signal.SIGTERM, before)
        return store.runs("faces")[0]

    return due


def killed(*_: object, **__: object) -> None:
    raise Killed


def test_a_due_time_is_one_run_there_of_the_schedules_folder(due: Callable, server: KfpServer) -> None:
    assert due().state == "finished"
    (run,) = server.runs.values()
    assert run.display_name.startswith("faces 20")
    assert '"name": "faces"' in run.runtime_config.parameters["run"]
    assert "/runs/faces" in run.runtime_config.parameters["run"]


@pytest.mark.parametrize("before", ["submit", "follow"])
def test_killed_it_finds_its_run_again(
    due: Callable, server: KfpServer, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ClusterRuns, before, killed)
        assert due().state == "claimed"
    assert due().state == "finished"
    assert len(server.runs) == 1


@pytest.mark.parametrize(("kind", "count"), [("drop", 20), ("401", 5)])
def test_it_is_not_begun_again_because_nobody_answers(
    due: Callable, server: KfpServer, monkeypatch: pytest.MonkeyPatch, kind: str, count: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ClusterRuns, "follow", killed)
        due()
    server.faults += [*[Fault("GET", RUNS, kind)] * count, *[Fault("GET", rf"{RUNS[:-1]}/[^/]+$", kind)] * count]
    assert due().state == "finished"
    assert not server.faults
    assert len(server.runs) == 1


def test_a_run_that_is_deleted_meanwhile_is_not_waited_for(due: Callable, server: KfpServer) -> None:
    server.faults.append(Fault("GET", rf"{RUNS[:-1]}/[^/]+$", "404"))
    assert due().state == "failed"


def test_a_lost_answer_is_no_lost_run(due: Callable, server: KfpServer) -> None:
    server.faults.append(Fault("POST", RUNS, "done"))
    assert due().state == "finished"
    assert len(server.runs) == 1


def test_a_run_that_failed_says_why(due: Callable, server: KfpServer) -> None:
    server.fails_at = "train-gan"
    found = due()
    assert found.state == "failed"
    (run,) = server.runs
    assert found.sentence.startswith("faces 20")
    assert ": failed: " in found.sentence
    assert found.sentence.endswith(f"; see `gan-pipeline runs logs {run}`")


def test_what_a_person_has_stopped_is_not_begun_again(
    ask: Callable, due: Callable, server: KfpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(ClusterRuns, "follow", killed)
        due()
    (run,) = server.runs
    assert ask("runs", "stop", run).code == 0
    found = due()
    assert found.state == "failed"
    assert len(server.runs) == 1


def test_a_server_that_is_away_is_a_failed_run(due: Callable, server: KfpServer) -> None:
    server.token = "another"
    assert due().state == "failed"
    assert not server.runs


def test_days_are_made_up_for(ask: Callable, server: KfpServer, tmp_path: Path) -> None:
    words = ("--recipe", "dcgan", "--data", "folder:/state/photos/{date}", "--model", "photos", "--on-cluster")
    answer = ask("schedule", "ensure", "photos", "--cron", "0 2 * * *", *words)
    assert answer.code == 0, answer.err
    days = [f"{datetime.now(UTC) - timedelta(days=back):%Y-%m-%d}" for back in (2, 1)]
    backfill = ("schedule", "backfill", "photos", "--from", days[0], "--to", days[1])
    assert "2 runs" in ask(*backfill).out
    store = ScheduleStore(tmp_path / "runs" / "schedules.db")

    def do_next() -> str:
        store.claim_queued()
        (claim,) = store.waiting()
        log = tmp_path / "log"
        with log.open("w") as said, redirect_stdout(said), redirect_stderr(said):
            do_run([str(store.path), str(claim.id), str(log)], _do)
        return f"{claim.due:%Y-%m-%d}"

    server.fails_at = "find-champion"
    assert do_next() == days[0]
    server.fails_at = ""
    assert do_next() == days[1]
    # What failed is queued again, and is another run there; what ended well is left alone.
    assert "1 run is" in ask(*backfill).out
    assert do_next() == days[0]
    sources = [json.loads(run.runtime_config.parameters["data"])["source"] for run in server.runs.values()]
    assert sources == [f"folder:/state/photos/{day}" for day in (days[0], days[1], days[0])]
    assert [run.state for run in store.runs("photos")] == ["finished", "finished"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--engine", "cluster"), "--on-cluster is for a schedule that is kept here"),
        (("--workdir", "here"), "--workdir"),
        (("--data", "folder:/elsewhere"), "copy it to the volume"),
    ],
)
def test_what_cannot_be_is_refused(ask: Callable, server: KfpServer, words: tuple[str, ...], said: str) -> None:
    given = [word for pair in zip(SMALL[::2], SMALL[1::2], strict=True) if pair[0] not in words for word in pair]
    answer = ask("schedule", "ensure", "faces", "--every", "1h", "--on-cluster", *given, *words)
    assert answer.code == 2
    assert said in answer.sentence
    assert "there are no schedules" in ask("schedule", "list").err


def test_the_words_for_a_cluster_that_keeps_it_say_how(ask: Callable, server: KfpServer) -> None:
    kept = ("schedule", "ensure", "faces", "--engine", "cluster", "--recipe", "dcgan", "--model", "faces")
    for words in (("--on-data", "--every", "10m", "--data", "digits"), ("--every", "1d", "--data", "folder:/x/{date}")):
        assert "--on-cluster in place of --engine cluster" in ask(*kept, *words).sentence


@pytest.mark.slow
def test_the_process_of_a_run_is_stopped_and_killed(due: Callable, server: KfpServer, tmp_path: Path) -> None:
    """The real process, by its signals."""
    store = ScheduleStore(tmp_path / "runs" / "schedules.db")
    (claim,) = store.waiting()

    def begin() -> subprocess.Popen[bytes]:
        with (tmp_path / "log").open("ab") as log:
            command = [sys.executable, "-m", "pipeline.cli.scheduled", str(store.path), str(claim.id), log.name]
            process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
        end = time.monotonic() + 120
        while not (asked := [path for method, path in server.requests if method == "GET" and "/runs/" in path]):
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        server.requests.clear()
        assert asked
        return process

    first = begin()
    first.terminate()
    assert first.wait() == 3
    assert [each.state for each in store.runs("faces")] == ["claimed"]
    second = begin()
    second.kill()
    second.wait()
    assert [each.schedule for each in store.release_dead()] == ["faces"]
    assert due().state == "finished"
    assert len(server.runs) == 1
