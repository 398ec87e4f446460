"""Going on with a training of the same recipe that was to have fewer steps, from where it ended."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import yaml

from gan_models.atomic import new_file, new_folder
from gan_models.files import CHECKPOINTS_FOLDER, GENERATORS_FOLDER, HISTORY_FILE, RECIPE_FILE, SAMPLES_FOLDER
from gan_models.recipes import Recipe, recipe_digest
from gan_models.training.checkpoints import newest_checkpoint, take_over


class Shorter(NamedTuple):
    """A training that has come as far as `step` of `steps`."""

    folder: Path
    step: int
    steps: int


def find_shorter(recipe: Recipe, place: Callable[[Recipe], Path]) -> Shorter | None:
    """The one that has come farthest of those with fewer steps and equal in all else; None where there is none.

    Args:
        place: the folder of a training of a recipe, of this data, seed and so on; they lie side by side.
    """
    found = []
    for folder in place(recipe).parent.glob(f"{recipe.file_name}-*"):
        if (newest := newest_checkpoint(folder / CHECKPOINTS_FOLDER)) is None:
            continue
        steps = newest.planned or newest.step  # earlier versions wrote down how far it was alone
        shorter = _of_steps(recipe, steps)
        same = place(shorter) == folder and newest.identity.recipe_digest == recipe_digest(shorter)
        if same and steps < recipe.training.steps:
            found.append(Shorter(folder, newest.step, steps))
    return max(found, key=lambda each: each.step, default=None)


def begin_from(shorter: Shorter, recipe: Recipe, folder: Path, copy: Callable[[str, str], object]) -> None:
    """Puts its state into the folder of a longer training: as if that had come so far.

    Its generators bear the longer recipe's name, for that would have made the same. The checkpoint comes last: until it
    is there, nothing has begun.

    Args:
        copy: of a file, to a path.
    """
    samples = shorter.folder / SAMPLES_FOLDER
    if samples.is_dir():
        with new_folder(folder / SAMPLES_FOLDER) as target:
            shutil.copytree(samples, target, copy_function=copy, dirs_exist_ok=True)
    for kept in (shorter.folder / GENERATORS_FOLDER).glob("step-*"):
        with new_folder(folder / GENERATORS_FOLDER / kept.name) as target:
            shutil.copytree(kept, target, copy_function=copy, dirs_exist_ok=True, ignore=lambda *_: {RECIPE_FILE})
            (target / RECIPE_FILE).write_text(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False))
    if (shorter.folder / HISTORY_FILE).is_file():
        with new_file(folder / HISTORY_FILE) as history:
            copy(str(shorter.folder / HISTORY_FILE), str(history))
    take_over(
        shorter.folder / CHECKPOINTS_FOLDER,
        folder / CHECKPOINTS_FOLDER,
        {"recipe_digest": recipe_digest(recipe)},
        recipe.training.steps,
        copy,
    )


def _of_steps(recipe: Recipe, steps: int) -> Recipe:
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"steps": steps})})
