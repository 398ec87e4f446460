"""Starting a training from the weights of a generator that was trained before, instead of from random ones.

Optimizers, the moving average and the schedule of learning rates begin anew: it is another training, with a name of its
own in `Identity`, and it is a pure function of the starting weights as well.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from gan_models.data.table import TableMetadata
from gan_models.errors import RequestError
from gan_models.files import WEIGHTS_FILE
from gan_models.games.base import Game
from gan_models.recipes import Recipe
from gan_models.sampling.generator import load_generator

DISCRIMINATOR_FILE = "discriminator.safetensors"
_SAME = ("networks", "conditioning")  # the sections of a recipe that decide the shapes of the weights


@dataclass(frozen=True)
class Start:
    """Weights to begin with."""

    generator: dict[str, Tensor]
    discriminator: dict[str, Tensor] | None  # None where the folder holds none: D then begins with random weights
    digest: str  # 16 hex digits over the files they came from


def read_start(folder: Path, recipe: Recipe, metadata: TableMetadata) -> Start:
    """Weights in a generator folder, for a training of `recipe` on such data; RequestError: other shapes, or damage."""
    before = load_generator(folder)
    differing = [name for name in _SAME if getattr(before.recipe, name) != getattr(recipe, name)]
    if before.info.shape != metadata.shape:
        differing.append("the shape, the classes or the words of the data")
    if differing:
        raise RequestError(f"{folder} was trained with other networks ({', '.join(differing)} changed)")
    files = [path for path in (folder / WEIGHTS_FILE, folder / DISCRIMINATOR_FILE) if path.is_file()]
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    return Start(
        generator=before.module.state_dict(),
        discriminator=load_file(folder / DISCRIMINATOR_FILE) if len(files) > 1 else None,
        digest=digest.hexdigest()[:16],
    )


def begin_with(start: Start, game: Game[Any]) -> None:
    """Puts the weights into the networks of a game that has not moved yet."""
    game.generator.load_state_dict(start.generator)
    if start.discriminator is not None:
        game.discriminator.load_state_dict(start.discriminator)
