"""`gan-pipeline sample`: a grid of images from a generator folder."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gan_models.errors import RequestError, unknown_name
from gan_models.files import INFO_FILE
from pipeline.request.plan import MAX_SEED
from pipeline.workdir import RESULTS

if TYPE_CHECKING:
    from torch import Tensor

    from gan_models.sampling.generator import LoadedGenerator

MAX_IMAGES = 100_000
_ACROSS = 12  # images in a row of the picture, where a row of it holds several of before and after


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
    """Draws `num` images, or translates as many of those `given`, and writes them as one PNG, row by row."""
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
    if "images" in generator.module.inputs:
        return _write_translations(generator, num, out, seed, given)
    if given is not None:
        raise RequestError(f"--input: {generator.info.recipe_name} makes images from nothing; leave the option out")
    if "captions" in generator.module.inputs:
        if labels is not None:
            raise RequestError(f"--labels: {generator.info.recipe_name} is asked in words; use --caption")
        return _write_captioned(generator, num, out, seed, captions, truncation)
    if captions:
        raise RequestError(f"--caption: {generator.info.recipe_name} does not draw from texts; leave the option out")
    classes = None if labels is None else _label_tensor(labels, num, generator.info.class_names)
    samples = generator.sample(num, seed=seed, labels=classes, truncation=truncation)
    every_class = generator.num_classes if labels is None else 0
    save_png(image_grid(samples.images, columns_for(num, every_class)), out)
    typer.echo(f"{out}: {num} images of {generator.info.recipe_name} at step {generator.info.step}", err=True)
    return 0


def _write_translations(generator: LoadedGenerator, num: int, out: Path, seed: int, given: Path | None) -> int:
    """What is made of up to `num` images, the user's own or those that came with the generator: a row for each."""
    from gan_models.sampling.before_after import before_and_after

    from gan_models.sampling.examples import first
    from gan_models.sampling.grids import image_grid, save_png
    from pipeline.commands.input_images import read_images

    info = generator.info
    examples = generator.examples
    if given is not None:
        examples = read_images(given, info.image_shape, generator.recipe.data, num)
    if examples is None:
        raise RequestError(f"{info.recipe_name} translates images and its folder carries none: name some with --input")
    made = before_and_after(generator, first(examples, num), seed)
    rows = len(made.images) // len(made.columns)
    abreast = max(1, _ACROSS // len(made.columns)) if rows > 1 else 1
    save_png(image_grid(made.images, len(made.columns) * abreast), out)
    shown = ", ".join(made.columns)
    typer.echo(f"{out}: {rows} images by {info.recipe_name} at step {info.step}; columns: {shown}", err=True)
    return 0


def _write_captioned(
    generator: LoadedGenerator, num: int, out: Path, seed: int, captions: Sequence[str], truncation: float | None
) -> int:
    """Pictures of the captions in turn, the user's own or those that came with the generator, each with its text."""
    from gan_models.sampling.captioned import asked, captioned_grid, captions_of

    from gan_models.sampling.grids import save_png

    info = generator.info
    examples = asked(captions, info) if captions else generator.examples
    if examples is None:
        raise RequestError(f"{info.recipe_name} draws what a text says and its folder carries none: add --caption TEXT")
    samples = generator.sample(num, seed=seed, examples=examples, truncation=truncation)
    texts = captions_of(samples.inputs["captions"], info)
    save_png(captioned_grid(samples.images, texts, columns_for(num, len(captions))), out)
    typer.echo(f"{out}: {num} images of {info.recipe_name} at step {info.step}", err=True)
    return 0


def generator_folder(folder: Path) -> Path:
    """The generator folder that was named, or the one inside a work directory that was."""
    if not folder.is_dir():
        raise RequestError(f"there is no folder {folder}: name an exported generator, or a run's work directory")
    inside = [folder / "results" / RESULTS[output] for output in ("samples", "selected")]
    return next((place for place in (folder, *inside) if (place / INFO_FILE).is_file()), folder)


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
