"""Figures that compare two sets of features by their neighbourhoods.

Every image carries a ball that reaches to its k-th nearest neighbour in its own set; the balls of a set make its
manifold. Precision and recall (Kynkaanniemi et al. 2019, section 2) say which share of one set lies on the manifold of
the other; density and coverage (Naeem et al. 2020, section 3) use the real manifold alone, so that generated outliers
can't blow up theirs.

Real sets repeat themselves (icons, blank tiles), and features of equal images differ in their last digits, so balls are
closed and rounding is forgiven: a set compared with itself has 1 in all four. What lies on the rim of a ball enters
density by the part that makes the real images inside, the one in the middle included, exactly k; where no two distances
are equal, that part is 0, and density as published.

Distances are computed a block of rows at a time, so memory grows with N, not with its square: first in float32, twice
as fast, with a bound of its error; then, where it is unclear on which side of a rim a point lies, in float64 from the
features themselves. What is counted is what float64 alone would count.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from gan_models.metrics.matrices import Matrix, as_floats, row_blocks, rows_per_block

_ROUNDING = 1e-5
"""Features of one image, extracted in batches of other sizes, differ by less than this part of their length."""
_SQUARES = 1e-13
"""Error of |x|^2 - 2x.y + |y|^2 in float64, as a part of the largest square."""
_FLOAT32 = 2.0**-24
_PLENTY = 0.01
"""Share of a block from which its distances are all computed in float64, faster than one by one."""
_DIRECTIONS = 8
"""Random ones, along which equal points are found."""


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
    for start, distances in _against_rims(true, fake, true_balls.rim, fake_balls.rim):
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
    return torch.cat([(distances <= rims).any(dim=1) for _, distances in _against_rims(true, fake, None, rims)])


def nearest(queries: Matrix, gallery: Matrix, *, k: int = 1) -> Nearest:
    """The k rows of gallery [M, D] nearest to each of queries [N, D]; ValueError: other D, k > M, NaN or Inf.

    What is as near as rounding can tell is at distance 0.
    """
    rows, others, slack = _points(queries, gallery)
    if not 1 <= k <= len(others):
        raise ValueError(f"{len(others)} images have no {k} nearest neighbours")
    found = [part.topk(k, dim=1, largest=False) for _, part in _to_nearest(rows, others, k)]
    distances = torch.cat([part.values for part in found]).sqrt()
    return Nearest(distances.where(distances > slack, 0.0) * rows.unit, torch.cat([part.indices for part in found]))


def _as_compared(generated: Matrix, real: Matrix, k: int) -> tuple[_Points, _Points]:
    """Both, equal images on one point; ValueError where there are not k neighbours."""
    fake, true, slack = _points(generated, real)
    for count in (len(fake), len(true)):
        if not 1 <= k < count:
            raise ValueError(f"{count} images have no {k}-th nearest neighbour: k must be from 1 to {count - 1}")
    return _one_for_equals(fake, true, slack)


@dataclass(frozen=True)
class _Points:
    """Features [N, D] as they were given, and what their distances are computed from first."""

    features: Tensor
    """float32 or float64."""
    middle: Tensor
    """float64 [D], near all of them: around it, |x|^2 - 2x.y + |y|^2 loses few digits."""
    unit: float
    """A power of two near the length of the features: in units of it, no square overflows."""
    coarse: Tensor
    """float32 [N, D], around the middle, in units."""
    squares: Tensor
    """float32 [N], their squared lengths."""

    def __len__(self) -> int:
        return len(self.features)

    @classmethod
    def around(cls, middle: Tensor, unit: float, features: Tensor) -> _Points:
        coarse = torch.empty(features.shape, dtype=torch.float32)
        squares = torch.empty(len(features), dtype=torch.float32)
        for part in row_blocks(features):
            exact = (features[part].double() - middle) / unit
            coarse[part] = exact
            squares[part] = exact.square().sum(dim=1).float()
        return cls(features, middle, unit, coarse, squares)

    def exact(self, rows: slice | Tensor) -> Tensor:
        """float64 [B, D] of some rows, around the middle, in units."""
        return (self.features[rows].double() - self.middle) / self.unit

    def rows_at(self, rows: Tensor, features: Tensor) -> _Points:
        """With other features in these rows."""
        if not len(rows):
            return self
        changed = self.features.clone()
        changed[rows] = features
        return _Points.around(self.middle, self.unit, changed)


def _points(first: Matrix, second: Matrix) -> tuple[_Points, _Points, float]:
    """Both around the mean of the second, and the distance, in units, up to which they are of equal images."""
    one, two = as_floats(first), as_floats(second)
    if one.shape[1] != two.shape[1]:
        raise ValueError(f"features of {one.shape[1]} and {two.shape[1]} dimensions can't be compared")
    dtype = torch.promote_types(one.dtype, two.dtype)
    one, two = one.to(dtype), two.to(dtype)
    middle = sum((two[part].double().sum(dim=0) for part in row_blocks(two)), torch.tensor(0.0)) / len(two)
    squares = sum(float(side[part].double().square().sum()) for side in (one, two) for part in row_blocks(side))
    length = (squares / (len(one) + len(two))) ** 0.5
    unit = 2.0 ** math.frexp(length)[1]
    sides = (_Points.around(middle, unit, side) for side in (one, two))
    return *sides, _ROUNDING * length / unit


def _coarse_distances(rows: _Points, others: _Points) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Blocks (first row, squared Euclidean distances [B, M] in float32, how far at most they are off [B, 1])."""
    # Each feature is rounded, a product of D terms loses up to D roundings, and sums and rims a few more.
    bound = (rows.coarse.shape[1] + 24) * _FLOAT32
    farthest = others.squares.max()
    size = rows_per_block(len(others))
    for start in range(0, len(rows), size):
        squares = rows.squares[start : start + size, None]
        with _whole_float32():
            distances = torch.addmm(others.squares, rows.coarse[start : start + size], others.coarse.T, alpha=-2.0)
        yield start, distances.add_(squares), bound * (squares + farthest)


@contextmanager
def _whole_float32() -> Iterator[None]:
    """Products of float32 that are not made of halves, whatever a training has asked for."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _against_rims(
    rows: _Points, others: _Points, row_rims: Tensor | None, rims: Tensor
) -> Iterator[tuple[int, Tensor]]:
    """Blocks (first row, squared distances float64 [B, M]), exact where they are near the rim of either point's ball.

    Args:
        row_rims: float64 [N] of the rows; None: they have no balls.
        rims: float64 [M] of the others.
    """
    for start, coarse, error in _coarse_distances(rows, others):
        unclear = (coarse - rims.float()).abs_() <= error
        if row_rims is not None:
            unclear |= (coarse - row_rims[start : start + len(coarse), None].float()).abs_() <= error
        yield start, _made_exact(rows, others, start, coarse, unclear)


def _to_nearest(rows: _Points, others: _Points, k: int) -> Iterator[tuple[int, Tensor]]:
    """Blocks (first row, squared distances float64 [B, M]), exact up to the k-th nearest and whatever is as near."""
    for start, coarse, error in _coarse_distances(rows, others):
        rim = coarse.topk(k, dim=1, largest=False).values[:, -1:]
        yield start, _made_exact(rows, others, start, coarse, coarse <= rim + 2.0 * error)


def _made_exact(rows: _Points, others: _Points, start: int, coarse: Tensor, where: Tensor) -> Tensor:
    """Squared distances [B, M] in float64, computed anew where `where` bool [B, M] says so."""
    distances = coarse.double().clamp_(min=0.0)
    first, second = where.nonzero(as_tuple=True)
    if len(first) > _PLENTY * where.numel():
        block = rows.exact(slice(start, start + len(coarse)))
        for part in row_blocks(others.features):
            columns = others.exact(part)
            distances[:, part] = torch.addmm(columns.square().sum(dim=1), block, columns.T, alpha=-2.0)
            distances[:, part] += block.square().sum(dim=1, keepdim=True)
        return distances.clamp_(min=0.0)
    size = max(1, rows_per_block(others.features.shape[1]) // 16)  # near the processor
    for one, two in zip(torch.split(first, size), torch.split(second, size), strict=True):
        apart = (rows.features[start + one].double() - others.features[two].double()) / others.unit
        distances[one, two] = apart.square_().sum(dim=1)
    return distances


def _one_for_equals(fake: _Points, true: _Points, slack: float) -> tuple[_Points, _Points]:
    """Both, points no farther apart than `slack` moved onto one of them, so that they are equal to the bit.

    Equal points are neighbours along any directions: only what is near along a few random ones is looked at.
    """
    dimensions = fake.features.shape[1]
    stream = torch.Generator().manual_seed(0)
    directions = torch.linalg.qr(torch.randn(dimensions, _DIRECTIONS, generator=stream, dtype=torch.float64)).Q
    parts = [side.exact(part) @ directions for side in (fake, true) for part in row_blocks(side.features)]
    along, reach = torch.cat(parts).numpy(), slack * (1.0 + 1e-9)
    tree = cKDTree(along, balanced_tree=False)
    accompanied = np.isfinite(tree.query(along, k=2, distance_upper_bound=reach)[0][:, 1])
    waiting, moved = torch.from_numpy(accompanied.copy()), torch.arange(len(along))
    features = torch.cat([fake.features, true.features]) if accompanied.any() else fake.features[:0]
    for point in np.nonzero(accompanied)[0].tolist():
        if waiting[point]:
            near = torch.tensor(tree.query_ball_point(along[point], reach))
            near = near[waiting[near]]
            for rows in torch.split(near, rows_per_block(dimensions)):
                apart = (features[rows].double() - features[point].double()) / fake.unit
                equal = rows[apart.square_().sum(dim=1) <= slack**2]
                moved[equal], waiting[equal] = point, False
    rows = (moved != torch.arange(len(moved))).nonzero()[:, 0]
    ours = rows < len(fake)
    return (
        fake.rows_at(rows[ours], features[moved[rows[ours]]]),
        true.rows_at(rows[~ours] - len(fake), features[moved[rows[~ours]]]),
    )


class _Balls(NamedTuple):
    """Of each point [N]; distances are squared."""

    inner: Tensor  # below it lies what is inside and, for all that rounding can tell, not on the rim
    rim: Tensor  # up to it lies what is inside or on the rim
    part: Tensor  # that a point on the rim counts for, so that the ball holds exactly k points of its own set

    def rows(self, start: int, count: int) -> _Balls:
        return _Balls(*(column[start : start + count] for column in self))


def _balls(points: _Points, k: int) -> _Balls:
    """Around each point, to its k-th nearest neighbour among the others."""
    parts = []
    rounding = _SQUARES * float(points.squares.max())
    for start, distances in _to_nearest(points, points, k + 1):
        distances.diagonal(start).zero_()  # itself, first in the order whatever rounding says
        radii = distances.topk(k + 1, dim=1, largest=False).values[:, -1]
        inner, rim = radii - rounding, radii + rounding
        within = (distances < inner[:, None]).sum(dim=1)
        on_rim = (distances <= rim[:, None]).sum(dim=1) - within
        parts.append(_Balls(inner, rim, (k - within) / on_rim))
    return _Balls(*(torch.cat(column) for column in zip(*parts, strict=True)))
