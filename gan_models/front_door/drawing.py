"""From a folder to a generator to draw from."""

from __future__ import annotations

from pathlib import Path

import torch

from gan_models.data.table_file import IMAGES_FILE
from gan_models.errors import RequestError, home_path
from gan_models.files import GENERATORS_FOLDER, INFO_FILE
from gan_models.sampling.generator import LoadedGenerator, load_generator

EXPORTED = ("results/samples", "results/generator")
"""Where a run of the pipeline leaves its generator in its work directory, the exported one first."""


def load(path: str | Path, *, device: str | torch.device = "auto") -> LoadedGenerator:
    """A trained generator, ready for `.sample(16)`. Nothing is unpickled.

    Args:
        path: a generator folder; the work directory of a `gan-pipeline run`; the folder of a training
            (`gm.train(...).folder`), whose last generator is taken, or one that holds a single training.
        device: `auto` is the GPU where there is one.

    Raises:
        RequestError: there is none, it is damaged, or there is no such device.
    """
    folder = home_path(path)
    if not folder.is_dir():
        raise RequestError(f"there is no folder {folder}: name a generator folder, a work directory or a training")
    return load_generator(generator_folder(folder), chosen_device(device))


def generator_folder(folder: Path) -> Path:
    """The generator folder that was named, or the one that belongs to what was named."""
    if found := next((place for place in (folder, *map(folder.joinpath, EXPORTED)) if _is_generator(place)), None):
        return found
    if kept := last_generator(folder):
        return kept
    trainings = {place: kept for place in sorted(folder.glob("*/")) if (kept := last_generator(place))}
    if len(trainings) == 1:
        return next(iter(trainings.values()))
    if trainings:
        raise RequestError(f"{folder} holds {len(trainings)} trainings: name one of {', '.join(map(str, trainings))}")
    what = "a data set" if (folder / IMAGES_FILE).is_file() else "no generator"
    raise RequestError(f"{folder} holds {what}: name a generator folder, a run's work directory or a training's folder")


def last_generator(training: Path) -> Path | None:
    """The generator of most steps that a training has kept so far; None where it has kept none."""
    kept = sorted((training / GENERATORS_FOLDER).glob("step-*"), key=lambda place: (len(place.name), place.name))
    return next((place for place in reversed(kept) if _is_generator(place)), None)


def chosen_device(device: str | torch.device) -> torch.device:
    """What `auto` stands for, or the device of a name; RequestError where there is none."""
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise RequestError(f"device {str(device)!r}: {reason}; use auto, cpu or cuda") from None
    return chosen


def _is_generator(place: Path) -> bool:
    return (place / INFO_FILE).is_file()
