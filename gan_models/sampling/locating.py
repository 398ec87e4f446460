"""Where the generator is in a folder that somebody names. Needs no PyTorch."""

from __future__ import annotations

from pathlib import Path

from gan_models.data.table_file import TABLE_FILE
from gan_models.errors import RequestError
from gan_models.files import GENERATORS_FOLDER, INFO_FILE

EXPORTED = ("results/samples", "results/generator")
"""Where a run of the pipeline leaves its generator in its work directory, the exported one first."""


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
    what = "a data set" if (folder / TABLE_FILE).is_file() else "no generator"
    raise RequestError(f"{folder} holds {what}: name a generator folder, a run's work directory or a training's folder")


def last_generator(training: Path) -> Path | None:
    """The generator of most steps that a training has kept so far; None where it has kept none."""
    kept = sorted((training / GENERATORS_FOLDER).glob("step-*"), key=lambda place: (len(place.name), place.name))
    return next((place for place in reversed(kept) if _is_generator(place)), None)


def _is_generator(place: Path) -> bool:
    return (place / INFO_FILE).is_file()
