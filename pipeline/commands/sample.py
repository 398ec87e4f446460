"""`gan-pipeline sample`: a grid of images from a generator folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gan_models.errors import RequestError
from gan_models.files import INFO_FILE
from pipeline.definitions.stages import result_names
from pipeline.request.plan import MAX_SEED

if TYPE_CHECKING:
    from gan_models.data.table import Split

MAX_IMAGES = 100_000


def sample_command(
    folder: Path,
    num: int,
    out: Path,
    seed: int,
    labels: str | None,
    truncation: float | None = None,
    given: Path | None = None,
    captions: Sequence[str] = (),
) -> int:
    """Draws what the generator's task makes of the request, and writes it as one PNG."""
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
    from gan_models.sampling.grids import save_png
    from gan_models.tasks.base import Asked

    generator = load_generator(folder)

    def read() -> Split:
        from pipeline.commands.input_images import read_images

        assert given is not None
        return read_images(given, generator.info.image_shape, generator.recipe.data, num)

    asked = Asked(num, seed, labels, truncation, tuple(captions), None if given is None else read)
    picture = generator.task.ask(generator, asked)
    assert picture.pixels is not None
    save_png(picture.pixels, out)
    typer.echo(f"{out}: {picture.sentence}", err=True)
    return 0


def generator_folder(folder: Path) -> Path:
    """The generator folder that was named, or the one inside a work directory that was."""
    if not folder.is_dir():
        raise RequestError(f"there is no folder {folder}: name an exported generator, or a run's work directory")
    inside = [folder / "results" / result_names()[output] for output in ("samples", "selected")]
    return next((place for place in (folder, *inside) if (place / INFO_FILE).is_file()), folder)
