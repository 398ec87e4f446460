"""`gan-pipeline sample`: a grid of images from a generator folder, of nothing or of images of the user's own."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from gan_models.errors import RequestError

if TYPE_CHECKING:
    from gan_models.data.table import Split
    from gan_models.sampling.generator import LoadedGenerator

MAX_IMAGES = 100_000
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"})


def sample(
    folder: Annotated[Path, Argument(metavar="DIR", help="A generator folder, or a run's work directory.")],
    num: Annotated[int, Option("--num", "-n", metavar="N", help="How many images.")] = 64,
    out: Annotated[Path, Option("--out", "-o", metavar="PNG", help="Where the grid goes.")] = Path("grid.png"),
    seed: Annotated[int, Option(metavar="N", help="Decides the latents.")] = 0,
    labels: Annotated[
        str | None,
        Option(
            metavar="LIST",
            help="Classes by name or number, as in 3,7; repeated in turn. [default: all, in turn]",
        ),
    ] = None,
    truncation: Annotated[
        float | None,
        Option(
            metavar="T",
            help="Draw latents beyond +-T again, as in 0.5: cleaner images, less variety. [default: none]",
        ),
    ] = None,
    given: Annotated[
        Path | None,
        Option(
            "--input",
            metavar="IMAGE|DIR",
            help="Images to translate or colour. [default: those that came with the generator]",
        ),
    ] = None,
    captions: Annotated[
        list[str] | None,
        Option(
            "--caption",
            metavar="TEXT",
            help="What to draw, as in 'a red seven'; several are drawn in turn. "
            "[default: those that came with the generator]",
        ),
    ] = None,
) -> int:
    """Draw a grid of images from a trained generator."""
    from pipeline.request.request import MAX_SEED

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
    read = None if given is None else partial(read_images, given, generator, num)
    asked = Asked(num, seed, labels, truncation, tuple(captions or ()), read)
    picture = generator.task.ask(generator, asked)
    assert picture.pixels is not None
    save_png(picture.pixels, out)
    typer.echo(f"{out}: {picture.sentence}", err=True)
    return 0


def generator_folder(folder: Path) -> Path:
    """The generator folder that was named, or the one inside a work directory that was."""
    from gan_models.files import INFO_FILE
    from pipeline.definitions.stages import result_names

    if not folder.is_dir():
        raise RequestError(f"there is no folder {folder}: name an exported generator, or a run's work directory")
    inside = [folder / "results" / result_names()[output] for output in ("samples", "selected")]
    return next((place for place in (folder, *inside) if (place / INFO_FILE).is_file()), folder)


def read_images(place: Path, generator: LoadedGenerator, at_most: int) -> Split:
    """The image at `place`, or the first `at_most` of a folder in the order of their paths, without labels.

    They are prepared as the training images of the generator were.

    Raises:
        RequestError: there is no image, or one cannot be read.
    """
    import numpy as np
    import torch
    from PIL import Image, UnidentifiedImageError

    from gan_models.data.decoding import to_square
    from gan_models.data.table import Split

    paths = _paths(place)[:at_most]
    channels, size, _ = generator.info.image_shape
    data = generator.recipe.data
    pixels = []
    for path in paths:
        try:
            with Image.open(path) as opened:
                square = to_square(opened.convert("L" if channels == 1 else "RGB"), size, data.resize, data.fit)
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            reason = (str(error).splitlines() or [""])[0] or type(error).__name__
            raise RequestError(f"--input {path}: this is not an image that can be read ({reason})") from None
        pixels.append(np.asarray(square).reshape(size, size, channels))
    return Split(torch.from_numpy(np.stack(pixels)), None, [str(path) for path in paths])


def _paths(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise RequestError(f"--input {place}: there is no such file or folder")
    found = sorted(path for path in place.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    if not found:
        raise RequestError(f"--input {place}: the folder holds no images ({', '.join(sorted(_SUFFIXES))})")
    return found
