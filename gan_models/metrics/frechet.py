"""Frechet distance between the Gaussians fitted to two sets of features (Heusel et al. 2017, section 2).

    FD = |m1 - m2|^2 + tr S1 + tr S2 - 2 tr sqrt(S1 S2)

The covariances are never formed. With a factor F of each, S = F^T F, the last term is the sum of the singular values
of F1 F2^T, and the factor comes from the centred features themselves by QR. Nothing is squared on the way, so nothing
loses half of its digits, and features that span fewer than D directions (N <= D, dead units) need no special care.
The usual routes, `sqrtm(S1 S2)` and the eigenvalues of `S1 S2`, are slower, and off by 1e-6 in that case.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_models.metrics.matrices import Matrix, as_float64

_ROWS_AT_A_TIME = 8192


@dataclass(frozen=True)
class Gaussian:
    """Mean and covariance of a set of features, the covariance as a factor."""

    mean: Tensor  # float64 [D]
    factor: Tensor  # float64 [R, D] with `factor.T @ factor` the (unbiased) covariance; R <= D or the number of images

    @classmethod
    def of(cls, features: Matrix) -> Gaussian:
        """The Gaussian of features [N, D]; ValueError for fewer than two rows, or values that are not finite."""
        rows = as_float64(features)
        count, dimensions = rows.shape
        if count < 2:
            raise ValueError(f"a covariance needs at least 2 images, got {count}")
        mean = rows.mean(dim=0)
        if count <= dimensions:
            return cls(mean, (rows - mean) / (count - 1) ** 0.5)
        factor = torch.empty(0, dimensions, dtype=torch.float64)
        # QR of a stack whose upper part is already triangular: memory stays at one block, however many rows there are.
        for block in torch.split(rows, max(_ROWS_AT_A_TIME, 2 * dimensions)):
            factor = torch.linalg.qr(torch.cat([factor, block - mean]), mode="r").R
        return cls(mean, factor / (count - 1) ** 0.5)

    @property
    def trace(self) -> float:
        """Sum of the variances."""
        return float(self.factor.square().sum())


def frechet_distance(first: Matrix | Gaussian, second: Matrix | Gaussian) -> float:
    """Squared Frechet distance between the Gaussians of two sets of features [N, D] and [M, D]; symmetric, >= 0.

    A `Gaussian` in place of features saves fitting it again.

    Raises:
        ValueError: different D, fewer than two rows, or values that are not finite.
    """
    one = first if isinstance(first, Gaussian) else Gaussian.of(first)
    two = second if isinstance(second, Gaussian) else Gaussian.of(second)
    if one.mean.shape != two.mean.shape:
        raise ValueError(f"features of {len(one.mean)} and {len(two.mean)} dimensions can't be compared")
    overlap = float(torch.linalg.svdvals(one.factor @ two.factor.T).sum())
    distance = float((one.mean - two.mean).square().sum()) + one.trace + two.trace - 2.0 * overlap
    return max(distance, 0.0)  # rounding leaves equal sets at +-1e-13
