"""A script for test_tracking_kills.py: a stage and a relay that are killed with SIGKILL again and again.

Run in a process of its own, which imports mlflow once and forks everything else, so that a round costs no imports.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  (imported before forking)
from PIL import Image

from components.context import RunContext
from components.stage.stage import PIPELINE, open_stage
from components.tracking.journal import Line
from components.tracking.mlflow.client import connect
from components.tracking.mlflow.runs import PipelineRuns
from components.tracking.relay import Relay, _Outbox
from gan_models.atomic import write_text

STEPS, CHECKPOINT, IMAGES = 1500, 25, 100


def train(context: RunContext) -> None:
    """A training that goes on from its last checkpoint and so repeats up to 25 steps after each kill."""
    saved = Path(context.state_dir) / "step"
    grid = Path(context.state_dir) / "grid.png"
    if not grid.exists():
        Image.new("L", (8, 8)).save(grid)
    with open_stage("train_gan", context) as stage:
        stage.log_params({"steps": STEPS, "lr": 0.1})
        for step in range(int(saved.read_text()) if saved.exists() else 0, STEPS):
            stage.log_metrics({"loss": step / 10, "accuracy": 0.5}, step=step)
            if step % IMAGES == 0:
                stage.log_image(grid, "samples", step)
                stage.log_checkpoint(f"step-{step}", step, {"loss": step / 10, "FD": 1.0 * step})
            if step % CHECKPOINT == 0:
                write_text(saved, str(step))
            time.sleep(0.004)


def relay(context: RunContext) -> None:
    acknowledge = _Outbox.acknowledge

    def late(self: _Outbox, lines: Sequence[Line]) -> None:
        time.sleep(0.1)  # many kills are to fall between sending and acknowledging
        acknowledge(self, lines)

    _Outbox.acknowledge = late  # type: ignore[method-assign]
    with Relay(context) as running:
        while True:
            running.drain(1.0)


def fork(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def under_fire(context: RunContext, rounds: int, chance: random.Random) -> None:
    connect(context.tracking_uri)
    for _ in range(rounds):
        sending, writing = fork(lambda: relay(context)), fork(lambda: train(context))
        time.sleep(chance.uniform(0.05, 0.5))
        kill(writing)
        writing = fork(lambda: train(context))
        time.sleep(chance.uniform(0.3, 1.0))
        victims = [sending, writing]
        chance.shuffle(victims)
        kill(victims[0])
        time.sleep(chance.uniform(0.0, 0.2))
        kill(victims[1])
    with open_stage(PIPELINE, context):
        train(context)
    with Relay(context) as last:
        pending = last.drain(120)
    if pending or pending.rejected:
        raise SystemExit(f"{pending}")


def first_use(context: RunContext, processes: int) -> None:
    """All at once on a store that does not exist yet."""
    start = time.monotonic() + 0.5

    def work(number: int) -> None:
        run = context.model_copy(update={"run_id": f"run-{number}"})
        run.tracking_folder.mkdir(parents=True)
        while time.monotonic() < start:
            pass
        PipelineRuns(connect(run.tracking_uri), run).of(PIPELINE)

    pids = [fork(lambda number=number: work(number)) for number in range(processes)]  # type: ignore[misc]
    codes = [os.waitpid(pid, 0)[1] for pid in pids]
    if any(codes):
        raise SystemExit(f"exit codes {codes}")


if __name__ == "__main__":
    run = RunContext.model_validate_json(sys.argv[2])
    if sys.argv[1] == "fire":
        under_fire(run, int(sys.argv[3]), random.Random(int(sys.argv[4])))
    else:
        first_use(run, int(sys.argv[3]))
