"""Figures that compare two sets of features by their neighbourhoods.

Every image carries a ball that reaches to its k-th nearest neighbour in its own set; the balls of a set make its
manifold. Precision and recall (Kynkaanniemi et al. 2019, section 2) say which share of one set lies on the manifold of
the other; density and coverage (Naeem et al. 2020, section 3) use the real manifold alone, so that generated outliers
can't blow up theirs.

Real sets repeat themselves (icons, blank tiles), and features of equal images differ in their last digits, so balls are
closed and rounding is forgiven: a set compared with itself has 1 in all four. What lies on the rim of a ball enters
density by the part that makes the real images inside, the one in the middle included, exactly k; where no two distances
are equal, that part is 0, and density as published.

Distances are computed a block of rows at a time, in float64, so memory grows with N, not with its square.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from gan_models.metrics.matrices import Matrix, as_float64, rows_per_block

_ROUNDING = 1e-5
"""Features of one image, extracted in batches of other sizes, differ by less than this part of their length."""
_SQUARES = 1e-13
"""Error of |x|^2 - 2x.y + |y|^2 in float64, as a part of the largest square."""


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
        k: a ball reaches to this nearest neighbour.

    Raises:
        ValueError: different D, k not below the number of images on either side, or values that are not finite.
    """
    fake, true = _as_compared(generated, real, k)
    fake_balls, true_balls = _balls(fake, k), _balls(true, k)
    on_real = torch.zeros(len(fake), dtype=torch.int64)
    recalled = covered = 0
    held = 0.0
    for start, distances in _squared_distances(true, fake):
        balls = true_balls.rows(start, len(distances))
        inside = distances <= balls.rim[:, None]
        within = (distances < balls.inner[:, None]).sum(dim=1)
        on_real += inside.sum(dim=0)
        covered += int(inside.any(dim=1).sum())
        recalled += int((distances <= fake_balls.rim).any(dim=1).sum())
        held += float((within + (inside.sum(dim=1) - within) * balls.part).sum())
    return Neighbourhoods(
        precision=float((on_real > 0).double().mean()),
        recall=recalled / len(true),
        density=held / k / len(fake),
        coverage=covered / len(true),
    )


def recalled(generated: Matrix, real: Matrix, *, k: int = 5) -> Tensor:
    """Which of the real images lie on the generated manifold, bool [M]: their share is recall."""
    fake, true = _as_compared(generated, real, k)
    rims = _balls(fake, k).rim
    return torch.cat([(distances <= rims).any(dim=1) for _, distances in _squared_distances(true, fake)])


def nearest(queries: Matrix, gallery: Matrix, *, k: int = 1) -> Nearest:
    """The k rows of gallery [M, D] nearest to each of queries [N, D]; ValueError: other D, k > M, NaN or Inf.

    What is as near as rounding can tell is at distance 0.
    """
    rows, others = _centred(queries, gallery)
    if not 1 <= k <= len(others):
        raise ValueError(f"{len(others)} images have no {k} nearest neighbours")
    found = [part.topk(k, dim=1, largest=False) for _, part in _squared_distances(rows, others)]
    distances = torch.cat([part.values for part in found]).sqrt()
    return Nearest(
        distances.where(distances > _slack(queries, gallery), 0.0), torch.cat([part.indices for part in found])
    )


def _as_compared(generated: Matrix, real: Matrix, k: int) -> tuple[Tensor, Tensor]:
    """Both around the mean of the real ones, equal images on one point; ValueError where there are not k neighbours."""
    fake, true = _centred(generated, real)
    for count in (len(fake), len(true)):
        if not 1 <= k < count:
            raise ValueError(f"{count} images have no {k}-th nearest neighbour: k must be from 1 to {count - 1}")
    points = _one_for_equals(torch.cat([fake, true]), _slack(generated, real))
    return points[: len(fake)], points[len(fake) :]


def _centred(first: Matrix, second: Matrix) -> tuple[Tensor, Tensor]:
    """Both as float64 around the mean of the second: distances stay, the digits lost in |x|^2 - 2x.y + |y|^2 do not."""
    one, two = as_float64(first), as_float64(second)
    if one.shape[1] != two.shape[1]:
        raise ValueError(f"features of {one.shape[1]} and {two.shape[1]} dimensions can't be compared")
    middle = two.mean(dim=0)
    return one - middle, two - middle


def _slack(first: Matrix, second: Matrix) -> float:
    """The distance below which features [N, D] and [M, D] are those of equal images."""
    lengths = torch.cat([as_float64(matrix).square().sum(dim=1) for matrix in (first, second)])
    return _ROUNDING * float(lengths.mean().sqrt())


def _squared_distances(rows: Tensor, others: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Blocks (first row, squared Euclidean distances [B, M]) of rows [N, D] to others [M, D]."""
    norms = others.square().sum(dim=1)
    size = rows_per_block(len(others))
    for start in range(0, len(rows), size):
        block = rows[start : start + size]
        distances = torch.addmm(norms, block, others.T, alpha=-2.0)
        yield start, distances.add_(block.square().sum(dim=1, keepdim=True)).clamp_(min=0.0)


def _one_for_equals(points: Tensor, slack: float) -> Tensor:
    """The points [N, D], those no farther apart than `slack` moved onto one of them, so that they are equal to the bit.

    Equal points are side by side along any direction: only what is near along a random one is looked at.
    """
    direction = torch.randn(points.shape[1], 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    along, order = (points @ (direction / direction.norm()))[:, 0].sort()
    moved = torch.arange(len(points))
    apart = torch.nonzero(along.diff() > slack)[:, 0] + 1
    for members in torch.tensor_split(order, apart):
        while len(members) > 1:
            near = (points[members] - points[members[0]]).norm(dim=1) <= slack
            moved[members[near]] = members[0]
            members = members[~near]
    return points[moved]


class _Balls(NamedTuple):
    """Of each point [N]; distances are squared."""

    inner: Tensor  # below it lies what is inside and, for all that rounding can tell, not on the rim
    rim: Tensor  # up to it lies what is inside or on the rim
    part: Tensor  # that a point on the rim counts for, so that the ball holds exactly k points of its own set

    def rows(self, start: int, count: int) -> _Balls:
        return _Balls(*(column[start : start + count] for column in self))


def _balls(points: Tensor, k: int) -> _Balls:
    """Around each point, to its k-th nearest neighbour among the others."""
    parts = []
    rounding = _SQUARES * float(points.square().sum(dim=1).max())
    for start, distances in _squared_distances(points, points):
        distances.diagonal(start).zero_()  # itself, first in the order whatever rounding says
        radii = distances.topk(k + 1, dim=1, largest=False).values[:, -1]
        inner, rim = radii - rounding, radii + rounding
        within = (distances < inner[:, None]).sum(dim=1)
        on_rim = (distances <= rim[:, None]).sum(dim=1) - within
        parts.append(_Balls(inner, rim, (k - within) / on_rim))
    return _Balls(*(torch.cat(column) for column in zip(*parts, strict=True)))
