"""Frechet distance at infinitely many images (Chong, Forsyth 2020, section 3, "FID-infinity").

The Frechet distance of N images is too large by about a constant over N, and the constant depends on the generator: at
few images the order of two generators may be wrong. Drawn at several N, it lies on a line in 1/N; where the line meets
1/N = 0 is the figure.

The paper draws the generated images alone, against statistics of 50,000 real ones. Here a reference may be as small as
the sample, so both sides are drawn down in proportion, and what is removed is the bias of both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from gan_models.metrics.frechet import frechet_distance
from gan_models.metrics.matrices import Matrix, as_floats

POINTS = 8
SMALLEST = 0.25
"""Share of the images in the smallest draw."""
_ROWS_FOR_A_DIMENSION = 2
"""Images in the smallest draw, for each dimension: with fewer the distances bend away from a line."""


class Extrapolation(NamedTuple):
    """The line that was drawn."""

    value: float  # at 1/N = 0; rounding and chance may leave it slightly negative
    slope: float  # of the distance in 1/N
    counts: list[int]  # generated images in each draw
    distances: list[float]  # of each


def images_needed(dimensions: int) -> int:
    """On either side, for features of so many dimensions."""
    return int(np.ceil(_ROWS_FOR_A_DIMENSION * dimensions / SMALLEST))


def frechet_infinity(generated: Matrix, real: Matrix, *, seed: int = 2020) -> Extrapolation:
    """The Frechet distance of features [N, D] and [M, D], extrapolated to infinite N and M.

    Args:
        seed: of what is drawn: 8 times without replacement, from a quarter to all, evenly spaced in 1/N.

    Raises:
        ValueError: different D, fewer than `images_needed` on a side, or values that are not finite.
    """
    fake, true = as_floats(generated), as_floats(real)
    needed = images_needed(fake.shape[1])
    if min(len(fake), len(true)) < needed:
        raise ValueError(
            f"{len(fake)} generated and {len(true)} real images allow no extrapolation: features of {fake.shape[1]} "
            f"dimensions need {needed} on either side"
        )
    stream = torch.Generator().manual_seed(seed)
    inverse, distances = np.linspace(1.0, 1.0 / SMALLEST, POINTS), []
    counts = [round(len(fake) / each) for each in inverse]
    for count, each in zip(counts, inverse, strict=True):
        drawn = torch.randperm(len(fake), generator=stream)[:count]
        beside = torch.randperm(len(true), generator=stream)[: round(len(true) / each)]
        distances.append(frechet_distance(fake[drawn], true[beside]))
    slope, value = np.polyfit(1.0 / np.array(counts), distances, 1)
    return Extrapolation(float(value), float(slope), counts, distances)
