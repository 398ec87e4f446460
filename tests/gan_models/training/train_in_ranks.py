"""Trains a small recipe on random images, again and again, in as many processes as torchrun would have started.

They are forks of this one, which has imported all that they need: starting them takes no time.

    train_in_ranks.py RECIPE OVERRIDES LAUNCHES TABLE

OVERRIDES and LAUNCHES are JSON; a launch is a folder, how many processes, where to stop, and whether the images are
those of the table, which is written first, and stay on the disk.

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
from gan_models.data import table_writer
from gan_models.data.table import ImageTable, Split, TableMetadata
from gan_models.data.table_writer import TableWriter
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


def write_table(folder: Path) -> None:
    table_writer.SHARD_ROWS = 16
    folder.mkdir()
    writer = TableWriter(folder, 8, 8, 1)
    split = loaded()
    assert split.labels is not None
    writer.append(split.images.numpy(), split.labels.tolist(), ["train"] * len(split), [*split.paths])
    writer.close(METADATA.class_names, "noise", {})


def loaded() -> Split:
    return Split(IMAGES, torch.arange(64) % 2, [str(number) for number in range(64)])


def launch(name: str, overrides: list[str], folder: str, count: int, stop_at: int, table: str = "") -> list[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ |= {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    forks = multiprocessing.get_context("fork")
    processes = [
        forks.Process(target=work, args=(rank, name, overrides, Path(folder), stop_at, table)) for rank in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [int(process.exitcode or 0) for process in processes]


def work(rank: int, name: str, overrides: list[str], folder: Path, stop_at: int, table: str) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    split = ImageTable.open(Path(table)).mapped("train") if table else loaded()
    device = torch.device("cpu")
    with ranks.joined(device):
        try:
            recipe = load_recipe(name, overrides)
            train(recipe, split, METADATA, folder, seed=3, device=device, reporter=Reporter(stop_at))
        except Stopped:
            sys.exit(STOPPED)


if __name__ == "__main__":
    name, overrides, launches, table = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4]
    write_table(Path(table))
    codes = [launch(name, overrides, *each, table if mapped else "") for *each, mapped in launches]
    sys.stdout.write(json.dumps(codes))
