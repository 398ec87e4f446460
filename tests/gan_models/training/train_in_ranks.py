"""Trains a small recipe on random images, again and again, in as many processes as torchrun would have started.

They are forks of this one, which has imported all that they need: starting them takes no time.

    train_in_ranks.py RECIPE OVERRIDES LAUNCHES    # in JSON; a launch is a folder, how many processes, where to stop

Prints the exit codes of the processes of each launch.
"""

import json
import multiprocessing
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
import torch._dynamo  # which every optimizer would import

from gan_models import ranks
from gan_models.data.table import Split, TableMetadata
from gan_models.recipes import load_recipe
from gan_models.training.loop import Stopped, train

IMAGES = torch.randint(0, 256, (64, 8, 8, 1), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
METADATA = TableMetadata(
    height=8, width=8, channels=1, class_names=("a", "b"), counts={"train": {"a": 32, "b": 32}}, fingerprint="f" * 64,
    source="noise", options={},
)  # fmt: skip


class Reporter:
    """Asks to stop after so many steps; only the lead's word counts."""

    def __init__(self, stop_at: int) -> None:
        self.steps, self.stop_at = 0, stop_at if ranks.is_lead() else 0

    def progress(self, step: int, figures: Mapping[str, float]) -> None: ...
    def tick(self, step: int, metrics: Mapping[str, float], grid: Path) -> None: ...
    def note(self, sentence: str) -> None: ...

    def stop_requested(self) -> bool:
        self.steps += 1
        return self.steps == self.stop_at


STOPPED = 7
"""Exit code of a process that was asked to stop."""


def launch(name: str, overrides: list[str], folder: str, count: int, stop_at: int) -> list[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ |= {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    forks = multiprocessing.get_context("fork")
    processes = [
        forks.Process(target=work, args=(rank, name, overrides, Path(folder), stop_at)) for rank in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [int(process.exitcode or 0) for process in processes]


def work(rank: int, name: str, overrides: list[str], folder: Path, stop_at: int) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    split = Split(IMAGES, torch.arange(64) % 2, [str(number) for number in range(64)])
    device = torch.device("cpu")
    with ranks.joined(device):
        try:
            recipe = load_recipe(name, overrides)
            train(recipe, split, METADATA, folder, seed=3, device=device, reporter=Reporter(stop_at))
        except Stopped:
            sys.exit(STOPPED)


if __name__ == "__main__":
    name, overrides, launches = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
    sys.stdout.write(json.dumps([launch(name, overrides, *each) for each in launches]))
