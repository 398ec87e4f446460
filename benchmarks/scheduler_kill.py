"""Kills the scheduler again and again while runs come due, and looks whether each was done exactly once.

Schedules that are due every few seconds are served by the real scheduler; their runs are short programs that write down
when they begin and when they end, in place of a training. The scheduler is killed with SIGKILL at random moments and
started again. At the end every time that was due must be in the journal once, as finished or as skipped with a reason;
what is finished must have begun once and ended once, and what is skipped never.

With --runs-too the runs are killed as well, half of the times: they then begin again, and still end once.

    python benchmarks/scheduler_kill.py [--kills 20] [--due 30] [--seed 0] [--runs-too]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from pipeline.cli.scheduled import do_run
from pipeline.scheduling.schedule import Schedule
from pipeline.scheduling.store import Claim, ScheduleStore, first_due

INTERVALS = (2, 3, 5)  # seconds
LONGEST_RUN = 1.5  # seconds, so that some overlap with the next
LONGEST_LIFE = 4.0  # seconds until the next kill; a start takes about one
SETTLE_SECONDS = 60.0


def serve(path: str) -> None:
    """The scheduler, with this file in place of the program that does a run."""
    from pipeline.scheduling.local import LocalScheduler

    LocalScheduler(ScheduleStore(Path(path)), runner=(sys.executable, __file__, "do")).serve()


def work(claim: Claim) -> int:
    """A run: begins, takes a while, ends; as a training does, it does not end twice when it is begun again."""
    occasion, log = os.environ["GAN_PIPELINE_OCCASION"], Path(str(claim.request["log"]))
    _append(log, f"begin {occasion}")
    time.sleep(random.Random(occasion).uniform(0.0, LONGEST_RUN))
    if f"end {occasion}" not in log.read_text().splitlines():
        _append(log, f"end {occasion}")
    return 0


def _append(log: Path, line: str) -> None:
    with log.open("a") as file:
        file.write(f"{line}\n")


class Trial:
    """A store with schedules, the scheduler that serves it, and what its runs wrote."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.store, self.log, self.chance = ScheduleStore(folder / "schedules.db"), folder / "runs.log", chance
        self.log.touch()
        self._output = folder / "scheduler.log"
        for seconds in INTERVALS:
            request = {"log": str(self.log)}
            self.store.ensure(Schedule(name=f"every-{seconds}", every=seconds, request=request))
        self._scheduler = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._output.open("ab") as output:
            return subprocess.Popen([sys.executable, __file__, "serve", str(self.store.path)], stderr=output)

    def kill(self, runs_too: bool) -> None:
        """Kills, then starts again, perhaps a while later."""
        self._scheduler.kill()
        if runs_too:
            for claim in self.store.running():
                with suppress(ProcessLookupError):
                    os.kill(int(claim.runner.partition(":")[0]), signal.SIGKILL)
        self._scheduler.wait()
        time.sleep(self.chance.choice((0.0, 0.0, self.chance.uniform(0.0, 4.0))))
        self._scheduler = self._start()

    def due_by(self, moment: datetime) -> dict[str, list[datetime]]:
        """All times that the schedules have been due at."""
        found: dict[str, list[datetime]] = {}
        for kept in self.store.kept():
            due = first_due(kept, kept.anchor)
            while due and due <= moment:
                found.setdefault(kept.schedule.name, []).append(due)
                due = first_due(kept, due)
        return found

    def finish(self) -> datetime:
        """Lets the scheduler catch up, pauses, waits for what is under way, stops it; the moment of the pause."""
        end, now = time.monotonic() + SETTLE_SECONDS, datetime.now(UTC)
        while time.monotonic() < end and self._missing(now):
            time.sleep(0.1)
        for kept in self.store.kept():
            self.store.pause(kept.schedule.name)
        paused = min(kept.paused or datetime.now(UTC) for kept in self.store.kept())
        end = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < end and (self.store.running() or self.store.waiting()):
            time.sleep(0.1)
        self._scheduler.terminate()
        self._scheduler.wait(timeout=SETTLE_SECONDS)
        psutil.wait_procs(self._runs(), timeout=SETTLE_SECONDS)
        return paused

    def _runs(self) -> list[psutil.Process]:
        """Those still there, of any of the schedulers: what has written down its end has yet to leave the store."""
        command = [sys.executable, __file__, "do", str(self.store.path)]
        return [each for each in psutil.process_iter(["cmdline"]) if (each.info["cmdline"] or [])[:4] == command]

    def _missing(self, moment: datetime) -> set[tuple[str, datetime]]:
        """Times until then that are not in the journal."""
        due = {(name, each) for name, moments in self.due_by(moment).items() for each in moments}
        return due - {
            (name, run.due) for name in self.due_by(moment) for run in self.store.runs(name, 10_000) if run.due
        }

    def faults(self, paused: datetime, runs_too: bool) -> list[str]:
        """What did not happen exactly once."""
        found = []
        journal = {(name, run.due): run for name in self.due_by(paused) for run in self.store.runs(name, 10_000)}
        due = {
            (name, moment)
            for name, moments in self.due_by(paused - timedelta(seconds=0.1)).items()
            for moment in moments
        }
        found += [f"{name} at {moment} is not in the journal" for name, moment in sorted(due - journal.keys())]
        lines = Counter(self.log.read_text().splitlines())
        for (name, moment), run in journal.items():
            occasion = f"{name}@{moment.astimezone(UTC).isoformat(timespec='microseconds')}" if moment else ""
            begun, ended = lines.pop(f"begin {occasion}", 0), lines.pop(f"end {occasion}", 0)
            expected = 1 if run.state == "finished" else 0
            if run.state not in ("finished", "skipped"):
                found.append(f"{occasion} is {run.state}: {run.sentence}")
            if ended != expected or (begun != expected and not (runs_too and begun > expected > 0)):
                found.append(f"{occasion} is {run.state}, began {begun} times and ended {ended} times")
            if run.state == "skipped" and not run.sentence:
                found.append(f"{occasion} is skipped for no reason")
        return found + [f"{line}, which is not in the journal" for line in lines]


def trial(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Kills as often as asked for, over at least as many due times as asked for."""
    trial = Trial(folder, random.Random(arguments.seed))
    for _ in range(arguments.kills):
        time.sleep(trial.chance.uniform(0.1, LONGEST_LIFE))
        trial.kill(arguments.runs_too and trial.chance.random() < 0.5)
    while sum(map(len, trial.due_by(datetime.now(UTC)).values())) < arguments.due:
        time.sleep(0.2)
    faults = trial.faults(trial.finish(), arguments.runs_too)
    states = Counter(run.state for run in trial.store.runs(limit=10_000))
    reasons = Counter(
        run.sentence.split(";")[0][:40] for run in trial.store.runs(limit=10_000) if run.state == "skipped"
    )
    return {
        "kills": arguments.kills,
        "due": sum(states.values()),
        **states,
        "skipped because": dict(reasons.most_common(3)),
        "faults": faults,
    }


def main() -> int:
    """Prints what happened; 0 when every run was done once or skipped with a reason."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--due", type=int, default=30, help="at least so many runs come due")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--runs-too", action="store_true", help="kill runs as well")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = trial(arguments, Path(folder))
    print(json.dumps(report))
    return int(bool(report["faults"]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
    elif sys.argv[1:2] == ["do"]:
        sys.exit(do_run(sys.argv[2:], work))
    else:
        sys.exit(main())
