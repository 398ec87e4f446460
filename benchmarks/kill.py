"""Kills a run again and again, and compares what comes out with a run that was left in peace.

The same settings run once undisturbed, then again and again with SIGKILL, at random moments of each stage and between,
to the command line, the stage that is running, or to both, each time followed by the same command again.
At the end the weights must be equal byte for byte, the chosen step must be the same, and MLflow must hold the same
history: every metric at the same steps, none twice, equal values where a value does not depend on the clock. No
process, no temporary file and no other file may be there that is not there after the undisturbed run.

    python benchmarks/kill.py [--kills 20] [--seed 0] [--set training.steps=3000 ...]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from pipeline.engines.local.processes import stage_processes

SETTINGS = (
    "data.size=8",
    "networks.generator.width=8",
    "networks.discriminator.width=8",
    "training.steps=4000",
    "training.tick=500",
    "training.batch_size=16",
    "training.keep=3",
    "training.threads=1",
    "training.checkpoint_seconds=0.5",
    "selection.samples=100",
    "evaluation.samples=100",
    "export.samples=8",
)
BY_THE_CLOCK = ("images_per_second", "seconds", "memory_gb")
VICTIMS = ("command line", "stage", "both")
FUNCTION = "--function_to_execute"
BETWEEN = "between stages"
LOOK_SECONDS = 0.05
BY_TIME = re.compile(r"(?<=^artifacts/)[^/]+|(?<=^tracking/)[^/]+|(?<=^cache/)[^/]+|\d{8}(?=$|/)")
BY_CHANCE = re.compile(r"\.(lease|relay)/|^logs/|\.sending$|/checkpoints/step-")


class Run:
    """A run in a folder, with a store of its own, and the command that starts or continues it."""

    def __init__(self, folder: Path, data: str, settings: list[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.workdir = folder / "run"
        self.store = f"sqlite:///{folder / 'mlflow.db'}"
        overrides = [word for setting in settings for word in ("--set", setting)]
        call = "from pipeline.cli import main; main()"
        where = ["--workdir", str(self.workdir), "--tracking-uri", self.store]
        self._command = [sys.executable, "-c", call, "run", "--data", data, *where, *overrides]
        self.temporary = folder / "temporary"
        self.temporary.mkdir(exist_ok=True)
        self._environment = {**os.environ, "TMPDIR": str(self.temporary)}

    def start(self) -> subprocess.Popen[bytes]:
        quiet = subprocess.DEVNULL
        return subprocess.Popen(self._command, stdout=quiet, stderr=quiet, env=self._environment)

    def finish(self) -> None:
        """Runs to the end."""
        subprocess.run(self._command, check=True, stdout=subprocess.DEVNULL, env=self._environment)

    def is_named(self, words: list[str]) -> bool:
        """Whether a command line has this run's work directory in it."""
        return any(str(self.workdir) in word for word in words)

    def files(self) -> set[str]:
        """All that is in the work directory but for names that say when, or for the how manieth time."""
        names = {str(path.relative_to(self.workdir)) for path in self.workdir.rglob("*")}
        return {BY_TIME.sub("*", name) for name in names if not BY_CHANCE.search(name)}

    def weights(self) -> str:
        """SHA-256 of the exported generator."""
        return hashlib.sha256((self.workdir / "results/samples/generator.safetensors").read_bytes()).hexdigest()

    def chosen_step(self) -> int:
        step: int = json.loads((self.workdir / "results/samples/generator.json").read_text())["step"]
        return step

    def history(self) -> dict[str, list[tuple[int, float]]]:
        """Stage and metric -> (step, value) in the order of the steps, over all runs that MLflow has in the store."""
        from mlflow import MlflowClient

        client = MlflowClient(self.store)
        found: dict[str, list[tuple[int, float]]] = {}
        for experiment in client.search_experiments():
            for run in client.search_runs([experiment.experiment_id]):
                stage = run.data.tags.get("gan_pipeline.stage", run.info.run_id)
                for key in run.data.metrics:
                    values = client.get_metric_history(run.info.run_id, key)
                    found.setdefault(f"{stage} {key}", []).extend((value.step, value.value) for value in values)
        return {key: sorted(values) for key, values in found.items()}


def watch(process: subprocess.Popen[bytes]) -> dict[str, float]:
    """Waits for a run; seconds that each stage's process was there."""
    spans: dict[str, tuple[float, float]] = {}
    while process.poll() is None:
        moment = time.monotonic()
        for name in running(process):
            spans[name] = (spans.get(name, (moment, moment))[0], moment)
        time.sleep(LOOK_SECONDS)
    return {name: last - first for name, (first, last) in spans.items()}


def running(process: subprocess.Popen[bytes]) -> dict[str, list[psutil.Process]]:
    """The processes of the stages that are at work in a run."""
    found: dict[str, list[psutil.Process]] = {}
    with suppress(psutil.NoSuchProcess):
        for stage in stage_processes(psutil.Process(process.pid)):
            with suppress(psutil.Error):
                command = stage.cmdline()
                found.setdefault(command[command.index(FUNCTION) + 1], []).append(stage)
    return found


def kill(run: Run, chance: random.Random, target: str, seconds: float) -> str:
    """Starts the run and kills a part of it while the stage `target` is at work, or at any moment.

    Returns:
        the stage that was at work, `BETWEEN` where none was, or "finished" or "failed": it had ended before.
    """
    process = run.start()
    while target != BETWEEN and process.poll() is None and target not in running(process):
        time.sleep(LOOK_SECONDS)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=chance.uniform(0.0, seconds))
        return "finished" if process.returncode == 0 else "failed"
    victim = chance.choice(VICTIMS)
    at_work = running(process)
    if victim != "command line":
        for stage in (each for processes in at_work.values() for each in processes):
            with suppress(psutil.NoSuchProcess):
                stage.kill()
    if victim != "stage" or not at_work:
        process.kill()
    process.wait()
    return next(iter(at_work), BETWEEN)


def leftovers(run: Run, calm: Run) -> list[str]:
    """What is there after a run that was killed and not after one that was left in peace: processes and files."""
    found = [f"process {each.pid}: {' '.join(words)[:100]}" for each, words in _commands() if run.is_named(words)]
    found += [f"temporary {path.name}" for path in run.temporary.iterdir()]
    return found + [f"{name} of one run only" for name in sorted(run.files() ^ calm.files())]


def _commands() -> Iterator[tuple[psutil.Process, list[str]]]:
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            yield process, process.cmdline()


def differences(calm: Run, killed: Run) -> list[str]:
    """What is not the same about two runs; empty when all is."""
    found = []
    if calm.weights() != killed.weights():
        found.append("the weights differ")
    if calm.chosen_step() != killed.chosen_step():
        found.append(f"step {killed.chosen_step()} was chosen, not {calm.chosen_step()}")
    expected, got = calm.history(), killed.history()
    if missing := sorted(expected.keys() ^ got.keys()):
        found.append(f"metrics of one run only: {', '.join(missing)}")
    for key in sorted(expected.keys() & got.keys()):
        steps, others = ([step for step, _ in values] for values in (expected[key], got[key]))
        if len(set(others)) != len(others):
            found.append(f"{key} has steps twice: {sorted({step for step in others if others.count(step) > 1})}")
        elif steps != others:
            found.append(f"{key} has the steps {others}, not {steps}")
        elif expected[key] != got[key] and not key.endswith(BY_THE_CLOCK):
            found.append(f"{key} has other values")
    return found


def main() -> int:
    """Prints the kills and what differs; 0 when nothing does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments and victims")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--folder", type=Path, help="keep everything here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        report = compare(arguments, arguments.folder or Path(scratch))
    print(json.dumps(report))
    return int(bool(report["differences"]))


def compare(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Kills as often as asked for, twice in each stage of a run, and compares every run with one left in peace."""
    chance = random.Random(arguments.seed)
    settings = [*SETTINGS, *arguments.settings]
    calm = Run((folder / "calm").absolute(), arguments.data, settings)
    took = watch(calm.start())
    calm.finish()  # it has; this says so, or fails
    print("undisturbed:", ", ".join(f"{name} {seconds:.1f} s" for name, seconds in took.items()), flush=True)
    took[BETWEEN] = sum(took.values())
    hit: Counter[str] = Counter()
    runs = 0
    found: list[str] = []
    while hit.total() < arguments.kills:
        runs += 1
        killed = Run((folder / f"killed-{runs}").absolute(), arguments.data, settings)
        for target in (*took, *took):  # a stage that is done is met no more: the run ends, and the next one begins
            if hit.total() == arguments.kills:
                break
            where = kill(killed, chance, target, took[target])
            if where in ("finished", "failed"):
                found += [f"run {runs} failed"] if where == "failed" else []
                continue
            hit[where] += 1
            print(f"run {runs}, kill {hit.total()}: {where}", flush=True)
        killed.finish()
        found += [f"run {runs}: {each}" for each in (*differences(calm, killed), *leftovers(killed, calm))]
    return {"kills": dict(hit), "runs": runs, "differences": found, "sha256": calm.weights()}


if __name__ == "__main__":
    sys.exit(main())
