"""Two processes that train together do what one does on the same batches, but for the order of the sums."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

PROGRAM = Path(__file__).with_name("train_in_ranks.py")
STOPPED = 7  # of its processes
TINY = [
    "data.size=8", "networks.generator.width=4", "networks.discriminator.width=4", "training.batch_size=16",
    "training.steps=8", "training.tick=4", "training.keep=2", "training.threads=1", "training.precision=fp32",
    "training.checkpoint_seconds=1000",
]  # fmt: skip
RECIPES = {
    "dcgan": ["game.augmentations=[translation]"],
    "wgan-gp": ["game.discriminator_steps=2"],
}


def go(name: str, *launches: tuple[Path, int, int], mapped: int = 0) -> list[list[int]]:
    """
    Args:
        mapped: how many of the launches, the last ones, read their images from a table on the disk.
    """
    first = len(launches) - mapped
    asked = [(str(folder), *how, number >= first) for number, (folder, *how) in enumerate(launches)]
    table = launches[0][0].with_name("table")
    done = subprocess.run(
        [sys.executable, str(PROGRAM), name, json.dumps([*TINY, *RECIPES[name]]), json.dumps(asked), str(table)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def state(folder: Path) -> dict[str, torch.Tensor]:
    """Weights and statistics of both players and of the average in the newest checkpoint."""
    newest = max((folder / "checkpoints").glob("step-*"))
    saved = torch.load(newest / "state.pt", weights_only=True)
    players = {f"{player}.{name}": value for player in ("generator", "discriminator")
               for name, value in saved["game"][player].items()}  # fmt: skip
    return players | {f"average.{number}": value for number, value in enumerate(saved["average"])}


def history(folder: Path) -> list[dict[str, float]]:
    timed = ("images_per_second", "memory_gb")
    with (folder / "history.csv").open() as file:
        return [{k: float(v) for k, v in row.items() if k not in timed} for row in csv.DictReader(file)]


@pytest.mark.slow
@pytest.mark.parametrize("name", RECIPES)
def test_two_ranks_equal_one_at_the_same_batch_and_resume_bit_for_bit(name: str, tmp_path: Path) -> None:
    one_folder, two_folder, cut = tmp_path / "one", tmp_path / "two", tmp_path / "cut"
    codes = go(name, (one_folder, 1, 0), (two_folder, 2, 0), (cut, 2, 5), (cut, 2, 0))
    assert codes == [[0], [0, 0], [STOPPED, STOPPED], [0, 0]]
    one, two = state(one_folder), state(two_folder)
    assert one.keys() == two.keys()
    for key in one:
        torch.testing.assert_close(two[key], one[key], rtol=1e-4, atol=1e-5, msg=key)
    for expected, found in zip(history(one_folder), history(two_folder), strict=True):
        assert found == pytest.approx(expected, rel=1e-2, abs=2e-3)

    again = state(cut)
    assert all(torch.equal(again[key], two[key]) for key in two)
    for expected, found in zip(history(two_folder), history(cut), strict=True):
        assert found == pytest.approx(expected, rel=1e-5)  # the means were taken in two parts


@pytest.mark.slow
def test_two_ranks_read_a_mapped_table_as_images_in_memory_and_resume_bit_for_bit(tmp_path: Path) -> None:
    """64 images make four batches of 16: step 5 is in the middle of the second epoch."""
    loaded, mapped, cut = tmp_path / "loaded", tmp_path / "mapped", tmp_path / "cut"
    codes = go("dcgan", (loaded, 2, 0), (mapped, 2, 0), (cut, 2, 6), (cut, 2, 0), mapped=3)
    assert codes == [[0, 0], [0, 0], [STOPPED, STOPPED], [0, 0]]
    expected = state(loaded)
    for folder in (mapped, cut):
        found = state(folder)
        assert all(torch.equal(found[key], value) for key, value in expected.items())
