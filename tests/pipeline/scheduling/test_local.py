"""The scheduler as a process: killed, stopped, started twice, with schedules edited under it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline.scheduling.schedule import make_schedule
from pipeline.scheduling.store import ScheduleStore

pytestmark = pytest.mark.slow

REPO = Path(__file__).parents[3]
SERVE = """
import json, logging, sys
from pathlib import Path
from pipeline.scheduling.local import LocalScheduler
from pipeline.scheduling.store import ScheduleStore
runner, options = (sys.executable, sys.argv[2]), json.loads(sys.argv[3])
logging.basicConfig(level=logging.INFO if options.pop("log", False) else logging.ERROR)
LocalScheduler(ScheduleStore(Path(sys.argv[1])), runner=runner, **options).serve()
"""
RUN = """
import os, signal, sys, time
from pathlib import Path
from components.artifacts import Told
from pipeline.cli.scheduled import do_run

def work(claim):
    request, told = claim.request, []
    signal.signal(signal.SIGTERM, lambda *_: told.append(1))
    log = Path(request["log"])
    with log.open("a") as file:
        file.write(f"begin {os.environ['GAN_PIPELINE_OCCASION']}\\n")
    while not Path(request["go"]).exists():
        if told:
            return 3
        time.sleep(0.02)
    if request.get("told"):
        Told(occasion=os.environ["GAN_PIPELINE_OCCASION"]).keep(Path(request["workdir"]))
    if request.get("fail"):
        print("gan-pipeline: the disk is full")
        return 1
    with log.open("a") as file:
        file.write(f"end {os.environ['GAN_PIPELINE_OCCASION']}\\n")
    return 0

sys.exit(do_run(sys.argv[1:], work))
"""


class Place:
    """A store, a scheduler on it, and runs that last until they are let go."""

    def __init__(self, folder: Path) -> None:
        self.store = ScheduleStore(folder / "schedules.db")
        self.log, self.go, self.program = folder / "log", folder / "go", folder / "run.py"
        self.log.touch()
        self.program.write_text(RUN)
        self.schedulers: list[subprocess.Popen[bytes]] = []

    @property
    def request(self) -> dict[str, str]:
        return {"log": str(self.log), "go": str(self.go)}

    def ensure(self, seconds: int = 1, **more: str) -> None:
        self.store.ensure(make_schedule(name="faces", every=seconds, request={**self.request, **more}))

    def serve(self, **options: Any) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", SERVE, str(self.store.path), str(self.program), json.dumps(options)]
        self.schedulers.append(subprocess.Popen(command, stderr=subprocess.PIPE))
        return self.schedulers[-1]

    def state(self, number: int | str) -> str:
        return {run.id: run.state for run in self.store.runs("faces", 1000)}.get(str(number), "")

    def begun(self) -> int:
        """The run that is under way: never more than one."""
        (claim,) = self.store.running()
        return claim.id

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.go.touch()
    for scheduler in place.schedulers:
        scheduler.kill()
        scheduler.communicate()
    for claim in place.store.running():
        pid = int(claim.runner.partition(":")[0])
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGKILL)


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited for a minute"
        time.sleep(0.05)


def test_a_run_outlives_a_killed_scheduler_and_is_not_done_twice(place: Place) -> None:
    place.ensure()
    place.serve()
    wait_until(place.lines)
    number = place.begun()
    place.schedulers[0].kill()
    place.serve()
    wait_until(lambda: sum(run.state == "skipped" for run in place.store.runs("faces")) > 2)
    assert place.state(number) == "running"
    assert len(place.lines()) == 1
    place.store.pause("faces")
    place.go.touch()
    wait_until(lambda: place.state(number) == "finished")
    occasion = place.lines()[0].removeprefix("begin ")
    assert place.lines() == [f"begin {occasion}", f"end {occasion}"]


def test_sigterm_stops_runs_in_good_order_and_the_next_scheduler_continues_them(place: Place) -> None:
    place.ensure()
    scheduler = place.serve()
    wait_until(place.lines)
    number = place.begun()
    scheduler.terminate()
    assert scheduler.wait(timeout=60) == 0
    assert place.state(number) == "claimed"
    assert place.store.running() == []
    place.store.pause("faces")  # no further ones; this one has begun
    place.store.resume("faces")
    place.go.touch()
    place.serve()
    wait_until(lambda: place.state(number) == "finished")
    occasion = place.lines()[0].removeprefix("begin ")
    assert place.lines()[:3] == [f"begin {occasion}", f"begin {occasion}", f"end {occasion}"]


def test_two_schedulers_never_serve_one_store(place: Place) -> None:
    place.go.touch()
    place.ensure(1)
    place.serve()
    wait_until(place.lines)
    program = [sys.executable, "-c", "from pipeline.cli import main; main()"]
    second = subprocess.run(
        [*program, "scheduler", "--store", str(place.store.path)], capture_output=True, text=True, check=False
    )
    assert second.returncode == 2
    assert "another scheduler serves" in second.stderr


def test_an_edit_is_taken_over_while_it_serves(place: Place) -> None:
    place.go.touch()
    place.ensure(3600)
    place.serve()
    time.sleep(1.0)
    assert place.lines() == []
    place.ensure(1)
    wait_until(lambda: len(place.lines()) >= 2)
    place.store.pause("faces")
    count = len(place.store.runs("faces", 1000))
    time.sleep(2.5)
    assert len(place.store.runs("faces", 1000)) <= count + 1


def test_a_failure_is_in_the_journal_with_its_sentence(place: Place) -> None:
    place.go.touch()
    place.ensure(3600, fail="yes")
    number = place.store.run_now("faces")
    place.serve()
    wait_until(lambda: place.state(number) == "failed")
    assert place.store.runs("faces")[0].sentence == "the disk is full"


def test_troubles_are_told_once_whoever_is_killed(place: Place, hook: Any) -> None:
    """A run that failed, and a time that nobody was there for; a scheduler that comes back repeats nothing."""
    place.go.touch()
    place.ensure(3600, fail="yes", webhook_env="HOOK")
    missed = make_schedule(name="missed", every=3600, request=place.request)
    place.store.ensure(missed, now=datetime.now(UTC) - timedelta(hours=2, minutes=59))
    number = place.store.run_now("faces")
    hook.answers[:] = [503]  # and it is tried again
    place.serve(webhook_env="HOOK")
    wait_until(lambda: place.state(number) == "failed" and len(hook.got) >= 4 and not place.store.notices())
    place.schedulers[0].kill()
    place.serve(webhook_env="HOOK")
    second = place.store.run_now("faces")
    wait_until(lambda: place.state(second) == "failed")
    wait_until(lambda: len(hook.got) >= 5 and not place.store.notices())
    told = sorted((message["schedule"], message["event"]) for message in hook.got[1:])
    assert told == [("faces", "failed"), ("faces", "failed"), ("missed", "late"), ("missed", "skipped")]
    assert f"schedule faces: run {number} failed: the disk is full" in [message["text"] for message in hook.got]


def test_a_backfill_that_is_killed_goes_on_one_after_the_other(place: Place) -> None:
    dated = make_schedule(name="faces", cron="0 2 * * *", request={**place.request, "data": "folder:/photos/{date}"})
    place.store.ensure(dated)
    first, last = datetime(2020, 11, 1, tzinfo=UTC), datetime(2020, 11, 4, tzinfo=UTC)
    assert len(place.store.backfill("faces", first, last)) == 3
    place.serve()
    wait_until(place.lines)
    place.schedulers[0].kill()
    os.kill(int(place.store.running()[0].runner.partition(":")[0]), signal.SIGKILL)
    place.go.touch()
    place.serve()
    wait_until(lambda: [run.state for run in place.store.runs("faces")] == ["finished"] * 3)
    ends = [line[:26] for line in place.lines() if line.startswith("end")]
    assert ends == [f"end faces@2020-11-0{day}T02:00" for day in (1, 2, 3)]
    assert len(place.lines()) == 7, "the first began twice"
    assert place.store.backfill("faces", first, last) == []


def test_new_data_starts_a_run_and_the_same_data_none(place: Place, tmp_path: Path) -> None:
    place.go.touch()
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "1.png").write_bytes(b"1")
    request = {**place.request, "data": f"folder:{photos}"}
    place.store.ensure(make_schedule(name="faces", every=1, on_data=True, request=request))
    place.serve()
    wait_until(lambda: [run.state for run in place.store.runs("faces")] == ["finished"])
    place.schedulers[0].kill()
    place.serve()
    looked = place.store.kept()[0].since
    wait_until(lambda: place.store.kept()[0].since > looked + timedelta(seconds=3))
    assert len(place.store.runs("faces")) == 1
    (photos / "2.png").write_bytes(b"2")
    wait_until(lambda: [run.state for run in place.store.runs("faces")] == ["finished"] * 2)
    shutil.rmtree(photos)
    wait_until(lambda: place.store.runs("faces")[0].state == "failed")
    assert "there is nothing at" in place.store.runs("faces")[0].sentence


def test_a_run_that_cannot_be_started_is_told(place: Place, hook: Any) -> None:
    place.ensure(3600, webhook_env="HOOK")
    place.store.run_now("faces")
    place.store.path.with_name("schedules-logs").write_text("no folder")
    place.serve()
    wait_until(lambda: hook.got)
    assert "schedule faces: run 1 cannot be started: " in hook.got[0]["text"]
    assert place.state(1) == "claimed"


def test_a_run_that_has_told_its_failure_is_not_told_again(place: Place, hook: Any) -> None:
    place.go.touch()
    place.ensure(3600, fail="yes", webhook_env="HOOK", workdir=str(place.log.parent), told="yes")
    number = place.store.run_now("faces")
    place.serve()
    wait_until(lambda: place.state(number) == "failed")
    assert place.store.notices() == []
    assert hook.got == []


def test_a_monitor_is_answered_while_it_serves(place: Place) -> None:
    place.ensure(1)
    scheduler = place.serve(metrics="0", log=True)
    assert scheduler.stderr is not None
    address = next(line.split()[-1] for line in scheduler.stderr if b"metrics at" in line).decode()

    def says(sample: str) -> bool:
        with urllib.request.urlopen(address, timeout=60) as answer:
            return sample in answer.read().decode().splitlines()

    wait_until(lambda: says('gan_pipeline_schedule_running{schedule="faces"} 1'))
    place.store.pause("faces")
    assert says('gan_pipeline_schedule_paused{schedule="faces"} 1')


@pytest.mark.parametrize("more", [[], ["--runs-too"]])
def test_random_kills_change_nothing(more: list[str]) -> None:
    """A few of the kills of benchmarks/scheduler_kill.py."""
    script = [sys.executable, str(REPO / "benchmarks/scheduler_kill.py"), "--kills", "4", "--due", "8", *more]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["faults"] == []
