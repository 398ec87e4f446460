"""How sure one is that a generator is nearer to the real images than another one (Efron 1979, the bootstrap)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from gan_models.metrics.frechet import frechet_distance

_QUANTILE_95 = 1.959964
_MOST, _FEWEST = 200, 25
_QUICK_DIMENSIONS = 256


class Difference(NamedTuple):
    """The Frechet distance of a first set minus that of a second one, to the same reference: negative, first better."""

    first: float
    second: float
    value: float
    error: float
    """Standard error over the resamples."""
    low: float
    high: float
    """The 95 % interval: value -+ 1.96 errors."""
    resamples: int


def difference_of_distances(
    first: Tensor, second: Tensor, reference: Tensor, *, seed: int, report: Callable[[], None] = lambda: None
) -> Difference:
    """Compares features [N, D] of two generators' images with features [M, D] of real ones.

    The rows of both generators are drawn alike, for row i of both was made from the same latent, and so are the rows
    of the reference, which both are judged by. Resampling makes every distance larger (fewer distinct images), by about
    as much for both: the spread of the difference is used, not its mean.

    Args:
        report: called after each resample.
    """
    count = resamples_for(first.shape[1])
    stream = torch.Generator().manual_seed(seed)
    before, after = frechet_distance(first, reference), frechet_distance(second, reference)
    paired = len(first) == len(second)
    drawn = []
    for _ in range(count):
        rows = _draw(len(first), stream)
        others = rows if paired else _draw(len(second), stream)
        real = reference[_draw(len(reference), stream)]
        drawn.append(frechet_distance(first[rows], real) - frechet_distance(second[others], real))
        report()
    mean = sum(drawn) / count
    error = math.sqrt(sum((value - mean) ** 2 for value in drawn) / (count - 1))
    value = before - after
    return Difference(
        before, after, value, error, value - _QUANTILE_95 * error, value + _QUANTILE_95 * error, resamples=count
    )


def resamples_for(dimensions: int) -> int:
    """Fewer where features are wide and a distance takes seconds; 25 give the error to about a seventh of itself."""
    return max(_FEWEST, min(_MOST, _MOST * _QUICK_DIMENSIONS // dimensions))


def _draw(size: int, stream: torch.Generator) -> Tensor:
    return torch.randint(size, (size,), generator=stream)
