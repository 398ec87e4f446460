"""Started by torchrun: trains a small recipe on random images in as many processes as there are.

train_in_ranks.py FOLDER RECIPE STOP_AT [OVERRIDE ...]
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import torch

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


def main(folder: str, name: str, stop_at: str, *overrides: str) -> None:
    recipe = load_recipe(name, overrides)
    split = Split(IMAGES, torch.arange(64) % 2, [str(number) for number in range(64)])
    device = torch.device("cpu")
    with ranks.joined(device):
        try:
            train(recipe, split, METADATA, Path(folder), seed=3, device=device, reporter=Reporter(int(stop_at)))
        except Stopped:
            sys.stdout.write("stopped\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
