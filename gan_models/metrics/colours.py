"""How good a colorization is: how near to the true colours with more and more hints, and whether hints are followed."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from gan_models.data.hints import grey_of, place_hints, simulate_hints, with_luminance
from gan_models.data.table import Split, to_float
from gan_models.sampling.generator import LoadedGenerator

HINT_COUNTS = (0, 1, 5, 20)
_DIFFERENT = 0.1
"""Colours that differ by less, as a share of the range of pixels, say nothing about who was followed."""


class Colours(NamedTuple):
    """Distances to the true colours with so many hints."""

    hints: int
    error: float
    """Mean absolute difference, as a share of the range of pixels."""
    psnr: float
    """Peak signal to noise ratio in dB, of the squared error over all images."""


class Followed(NamedTuple):
    """What happens where one hint tells another colour than the true one."""

    share: float
    """Of the images, those whose colour there is nearer to the hint than to the truth."""
    error: float
    """Mean absolute difference to the hint there, as a share of the range of pixels."""
    images: int


def measure_colours(generator: LoadedGenerator, examples: Split, largest: int, seed: int) -> list[Colours]:
    """Distances for each of `HINT_COUNTS`; hints as a simulated user gives them, up to `largest` pixels a side."""
    truth = to_float(examples.images).cpu()
    figures = []
    for count in HINT_COUNTS:
        stream = torch.Generator().manual_seed(seed)
        hints = simulate_hints(truth, torch.full((len(truth),), count), largest, stream)
        drawn = generator.synthesize({"images": grey_of(truth), "hints": hints}).images
        difference = (drawn.double() - examples.images.cpu().double()) / 255
        psnr = -10 * torch.log10(difference.square().mean().clamp(min=1e-12))
        figures.append(Colours(count, float(difference.abs().mean()), float(psnr)))
    return figures


def measure_following(generator: LoadedGenerator, examples: Split, largest: int, seed: int) -> Followed:
    """One hint at the most colourful place of each image: the colour that another image has at its own.

    The hint has the luminance of the place, so that it could be true; images whose partner has nearly the same colour
    are left out.
    """
    truth = to_float(examples.images).cpu()
    squares = _most_colourful(truth, largest)
    order = torch.randperm(len(truth), generator=torch.Generator().manual_seed(seed))
    own = _mean_inside(truth, squares)
    told = with_luminance(_mean_inside(truth, squares)[order], grey_of(own))
    different = ((told - own).abs().mean((1, 2, 3)) / 2) > _DIFFERENT
    if not different.any():
        return Followed(0.0, 0.0, 0)
    truth, squares, own, told = (tensor[different] for tensor in (truth, squares, own, told))
    empty = truth.new_zeros(len(truth), 4, *truth.shape[2:])
    hints = place_hints(empty, squares, told.expand_as(truth))
    drawn = to_float(generator.synthesize({"images": grey_of(truth), "hints": hints}).images)
    found = _mean_inside(drawn, squares)
    to_told, to_own = ((found - colour).abs().mean((1, 2, 3)) / 2 for colour in (told, own))
    return Followed(float((to_told < to_own).double().mean()), float(to_told.mean()), len(truth))


def _most_colourful(images: Tensor, largest: int) -> Tensor:
    """bool [B, 1, H, W]: the square of `largest` pixels a side around the most colourful pixel, inside the image."""
    height, width = images.shape[2:]
    colourful = images.amax(1) - images.amin(1)
    places = colourful.flatten(1).argmax(1)
    rows, columns = places // width, places % width
    return (_near(rows, largest, height)[:, :, None] & _near(columns, largest, width)[:, None, :])[:, None]


def _near(places: Tensor, size: int, side: int) -> Tensor:
    start = (places - size // 2).clamp(min=0, max=max(side - size, 0))
    cells = torch.arange(side)
    return (cells >= start[:, None]) & (cells < start[:, None] + size)


def _mean_inside(images: Tensor, squares: Tensor) -> Tensor:
    """Mean colours [B, 3, 1, 1]."""
    inside = squares.to(images.dtype)
    return (images * inside).sum((2, 3), keepdim=True) / inside.sum((2, 3), keepdim=True)
