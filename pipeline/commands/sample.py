"""`gan-pipeline sample`: a grid of images from a generator folder."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gan_models.errors import RequestError, unknown_name
from pipeline.settings import MAX_SEED
from pipeline.workdir import RESULTS

if TYPE_CHECKING:
    from torch import Tensor

MAX_IMAGES = 100_000
GENERATOR_FILE = "generator.json"


def sample_command(folder: Path, num: int, out: Path, seed: int, labels: str | None) -> int:
    """Draws `num` images and writes them as one PNG, row by row."""
    if not 1 <= num <= MAX_IMAGES:
        raise RequestError(f"--num {num}: expected a number from 1 to {MAX_IMAGES}")
    if not 0 <= seed <= MAX_SEED:
        raise RequestError(f"--seed {seed}: expected a whole number from 0 to {MAX_SEED}")
    if out.suffix.lower() != ".png":
        raise RequestError(f"--out {out}: the grid is written as PNG, so the name ends in .png")
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise RequestError(f"--out {out}: {out.parent.absolute()} is not a folder that can be written")
    folder = generator_folder(folder)

    from gan_models.sampling.generator import load_generator
    from gan_models.sampling.grids import image_grid, save_png

    generator = load_generator(folder)
    classes = None if labels is None else _label_tensor(labels, num, generator.info.class_names)
    samples = generator.sample(num, seed=seed, labels=classes)
    every_class = generator.num_classes if labels is None else 0
    save_png(image_grid(samples.images, columns_for(num, every_class)), out)
    typer.echo(f"{out}: {num} images of {generator.info.recipe_name} at step {generator.info.step}", err=True)
    return 0


def generator_folder(folder: Path) -> Path:
    """The generator folder that was named, or the one inside a work directory that was."""
    if not folder.is_dir():
        raise RequestError(f"there is no folder {folder}: name an exported generator, or a run's work directory")
    inside = [folder / "results" / RESULTS[output] for output in ("samples", "selected")]
    return next((place for place in (folder, *inside) if (place / GENERATOR_FILE).is_file()), folder)


def columns_for(num: int, num_classes: int) -> int:
    """One column for each class where that makes a readable grid, else about square."""
    if 1 < num_classes <= min(num, 20):
        return num_classes
    return max(1, math.ceil(math.sqrt(num)))


def _label_tensor(text: str, num: int, class_names: Sequence[str]) -> Tensor:
    """The classes asked for, in turn, as int64 [num]."""
    import torch

    if not class_names:
        raise RequestError("--labels: this generator was trained without classes; leave the option out")
    positions = {name: position for position, name in enumerate(class_names)}
    chosen = []
    for word in (part.strip() for part in text.split(",")):
        if word in positions:
            chosen.append(positions[word])
        elif word.isdigit() and int(word) < len(class_names):
            chosen.append(int(word))
        else:
            raise unknown_name("class", word, class_names)
    return torch.tensor([chosen[index % len(chosen)] for index in range(num)])
