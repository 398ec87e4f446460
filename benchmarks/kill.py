"""Kills a run again and again, and compares what comes out with a run that was left in peace.

The same settings run twice: once undisturbed, once with SIGKILL at random moments to the command line, to the stage
that is running, or to both, each time followed by the same command again; one run is long enough to take all kills.
At the end the weights must be equal byte for byte, the chosen step must be the same, and MLflow must hold the same
history: every metric at the same steps, none twice, equal values where a value does not depend on the clock.

    python benchmarks/kill.py [--kills 20] [--seed 0] [--set training.steps=3000 ...]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

SETTINGS = (
    "data.size=8",
    "networks.generator.width=8",
    "networks.discriminator.width=8",
    "training.steps=12000",
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

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def finish(self) -> float:
        """Runs to the end; seconds it took."""
        started = time.perf_counter()
        subprocess.run(self._command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started

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


def kill_at_random(run: Run, chance: random.Random, longest: float) -> str:
    """Starts the run and kills a part of it at a random moment; says which, or that it had finished before."""
    process = run.start()
    delay = chance.uniform(0.0, longest)
    victim = chance.choice(VICTIMS)
    try:
        process.wait(timeout=delay)
    except subprocess.TimeoutExpired:
        pass
    else:
        return "finished" if process.returncode == 0 else "failed"
    stages = [child for child in psutil.Process(process.pid).children(recursive=True) if _is_stage(child)]
    if victim != "command line" and not stages:
        victim = "command line"  # between two stages
    if victim != "command line":
        for stage in stages:
            stage.kill()
    if victim != "stage":
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return f"{victim} after {delay:.1f} s"


def _is_stage(process: psutil.Process) -> bool:
    try:
        return "kfp.dsl.executor_main" in process.cmdline()[1:3]
    except psutil.Error:
        return False


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
    """Kills as often as asked for; a run that got to its end in spite of it is compared, and the next one begun."""
    chance = random.Random(arguments.seed)
    settings = [*SETTINGS, *arguments.settings]
    calm = Run((folder / "calm").absolute(), arguments.data, settings)
    seconds = calm.finish()
    print(f"undisturbed: {seconds:.1f} s", flush=True)
    # Several times as long as it takes to get back to training, so that most of a run's kills meet it at work.
    longest = seconds * min(0.6, 4 / arguments.kills)
    kills = runs = 0
    found: list[str] = []
    while kills < arguments.kills:
        runs += 1
        killed = Run((folder / f"killed-{runs}").absolute(), arguments.data, settings)
        while kills < arguments.kills:
            what = kill_at_random(killed, chance, longest)
            if what in ("finished", "failed"):
                print(f"run {runs} {what}", flush=True)
                break
            kills += 1
            print(f"kill {kills}: {what}", flush=True)
        killed.finish()
        found += [f"run {runs}: {difference}" for difference in differences(calm, killed)]
    return {"kills": kills, "runs": runs, "differences": found, "sha256": calm.weights()}


if __name__ == "__main__":
    sys.exit(main())
