"""Rows that show what an image-to-image generator does to each of a few images."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gan_models.data.hints import grey_of, simulate_hints
from gan_models.data.table import Split, to_float, to_uint8
from gan_models.families.building import Inputs
from gan_models.recipes.game_specs import Colorization
from gan_models.sampling.generator import LoadedGenerator

_HINTS = 5


class BeforeAfter(NamedTuple):
    """`images` uint8 [rows * columns, H, W, C], row by row; `columns` says what each column shows."""

    images: Tensor
    columns: list[str]


def before_and_after(generator: LoadedGenerator, examples: Split, seed: int) -> BeforeAfter:
    """A row for each example.

    Translators: the image, then itself in every domain. Colorizers: in grey, coloured without hints, in grey with a few
    hints (of its own colours), coloured with these, the image.

    Raises:
        ValueError: the generator takes no images.
    """
    inputs = generator.module.inputs
    images = to_float(examples.images).cpu()
    if inputs == ("images", "domains"):
        return _in_every_domain(generator, images)
    if inputs == ("images", "hints"):
        return _coloured(generator, images, seed)
    raise ValueError(f"{generator.info.recipe_name} takes {', '.join(inputs)}, not images")


def given(inputs: Inputs) -> Tensor | None:
    """The images among a generator's inputs, hints painted over, float [N, C or 1, H, W]; None where it takes none."""
    images, hints = inputs.get("images"), inputs.get("hints")
    if images is None or hints is None:
        return images
    return torch.where(hints[:, :1] > 0, hints[:, 1:], images.expand(-1, hints.shape[1] - 1, -1, -1))


def _in_every_domain(generator: LoadedGenerator, images: Tensor) -> BeforeAfter:
    names = generator.info.domain_names
    columns = [to_uint8(images)]
    for number in range(len(names)):
        domains = torch.full((len(images),), number)
        columns.append(generator.synthesize({"images": images, "domains": domains}).images)
    return BeforeAfter(torch.stack(columns, dim=1).flatten(0, 1), ["image", *names])


def _coloured(generator: LoadedGenerator, images: Tensor, seed: int) -> BeforeAfter:
    stream = torch.Generator().manual_seed(seed)
    game = generator.recipe.game
    assert isinstance(game, Colorization)
    hints = simulate_hints(images, torch.full((len(images),), _HINTS), game.hint_size, stream)
    grey = grey_of(images)
    shown = given({"images": grey, "hints": hints})
    assert shown is not None
    without, told = (
        generator.synthesize({"images": grey, "hints": each}).images for each in (torch.zeros_like(hints), hints)
    )
    columns = [to_uint8(grey.expand_as(images)), without, to_uint8(shown), told, to_uint8(images)]
    names = ["grey", "coloured", "hints", "coloured with hints", "true colours"]
    return BeforeAfter(torch.stack(columns, dim=1).flatten(0, 1), names)
