"""Figures that compare two sets of features by their neighbourhoods.

Every image carries a ball that reaches to its k-th nearest neighbour in its own set; the balls of a set make its
manifold. Precision and recall (Kynkaanniemi et al. 2019, section 2) say which share of one set lies on the manifold of
the other; density and coverage (Naeem et al. 2020, section 3) use the real manifold alone, so that generated outliers
can't blow up theirs.

Distances are computed a block of rows at a time, in float64, so memory grows with N, not with its square.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from gan_models.metrics.matrices import Matrix, as_float64, rows_per_block


class Neighbourhoods(NamedTuple):
    """All four, for the price of one pass: shares from 0 to 1, but for density."""

    precision: float  # generated images within the real manifold: are they plausible?
    recall: float  # real images within the generated manifold: is everything there?
    density: float  # real balls around a generated image, divided by k; may exceed 1
    coverage: float  # share of the real balls that hold a generated image


class Nearest(NamedTuple):
    """`distances` float64 [N, k], ascending, and the `indices` int64 [N, k] of the neighbours."""

    distances: Tensor
    indices: Tensor


def neighbourhoods(generated: Matrix, real: Matrix, *, k: int = 5) -> Neighbourhoods:
    """Precision, recall, density and coverage of generated [N, D] against real [M, D] features.

    Args:
        k: a ball reaches to this nearest neighbour. A ball is open: its own rim does not belong to it.

    Raises:
        ValueError: different D, k not below the number of images on either side, or values that are not finite.
    """
    fake, true = _centred(generated, real)
    for count in (len(fake), len(true)):
        if not 1 <= k < count:
            raise ValueError(f"{count} images have no {k}-th nearest neighbour: k must be from 1 to {count - 1}")
    fake_radii, true_radii = _squared_radii(fake, k), _squared_radii(true, k)
    on_real = torch.zeros(len(fake), dtype=torch.int64)
    recalled = covered = 0
    for start, distances in _squared_distances(true, fake):
        radii = true_radii[start : start + len(distances), None]
        inside = distances < radii
        on_real += inside.sum(dim=0)
        covered += int(inside.any(dim=1).sum())
        recalled += int((distances < fake_radii).any(dim=1).sum())
    return Neighbourhoods(
        precision=float((on_real > 0).double().mean()),
        recall=recalled / len(true),
        density=float(on_real.double().mean()) / k,
        coverage=covered / len(true),
    )


def nearest(queries: Matrix, gallery: Matrix, *, k: int = 1) -> Nearest:
    """The k rows of gallery [M, D] nearest to each of queries [N, D]; ValueError: other D, k > M, NaN or Inf."""
    rows, others = _centred(queries, gallery)
    if not 1 <= k <= len(others):
        raise ValueError(f"{len(others)} images have no {k} nearest neighbours")
    found = [part.topk(k, dim=1, largest=False) for _, part in _squared_distances(rows, others)]
    return Nearest(torch.cat([part.values for part in found]).sqrt(), torch.cat([part.indices for part in found]))


def _centred(first: Matrix, second: Matrix) -> tuple[Tensor, Tensor]:
    """Both as float64 around the mean of the second: distances stay, the digits lost in |x|^2 - 2x.y + |y|^2 do not."""
    one, two = as_float64(first), as_float64(second)
    if one.shape[1] != two.shape[1]:
        raise ValueError(f"features of {one.shape[1]} and {two.shape[1]} dimensions can't be compared")
    middle = two.mean(dim=0)
    return one - middle, two - middle


def _squared_distances(rows: Tensor, others: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Blocks (first row, squared Euclidean distances [B, M]) of rows [N, D] to others [M, D]."""
    norms = others.square().sum(dim=1)
    size = rows_per_block(len(others))
    for start in range(0, len(rows), size):
        block = rows[start : start + size]
        distances = torch.addmm(norms, block, others.T, alpha=-2.0)
        yield start, distances.add_(block.square().sum(dim=1, keepdim=True)).clamp_(min=0.0)


def _squared_radii(points: Tensor, k: int) -> Tensor:
    """Squared distance [N] of each point to its k-th nearest neighbour among the others."""
    radii = []
    for start, distances in _squared_distances(points, points):
        distances.diagonal(start).zero_()  # itself, first in the order whatever rounding says
        radii.append(distances.topk(k + 1, dim=1, largest=False).values[:, -1])
    return torch.cat(radii)
