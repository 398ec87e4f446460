"""Kernel distance (KID): squared maximum mean discrepancy with a polynomial kernel (Binkowski et al. 2018, section 4).

    k(x, y) = (x.y / D + 1)^3

The estimate is unbiased: equal distributions give 0 on average, so it may come out slightly negative, and unlike the
Frechet distance it means the same at 500 images as at 50,000.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan_models.metrics.matrices import Matrix, as_float64


class KernelDistance(NamedTuple):
    """`mean` and (population) standard deviation `std` over the subsets."""

    mean: float
    std: float


def kernel_distance(
    generated: Matrix,
    real: Matrix,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    degree: int = 3,
    gamma: float | None = None,
    offset: float = 1.0,
    seed: int = 2020,
) -> KernelDistance:
    """Unbiased squared MMD of features [N, D] and [M, D], averaged over random subsets.

    Args:
        subset_size: images drawn from either side for a subset, without replacement.
        gamma: factor of the inner product; 1 / D by default.
        seed: of the subsets, which are those of torch-fidelity at equal seed and sizes.

    Raises:
        ValueError: different D, a subset larger than a side or smaller than 2, or values that are not finite.
    """
    x, y = as_float64(generated), as_float64(real)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"features of {x.shape[1]} and {y.shape[1]} dimensions can't be compared")
    if not 2 <= subset_size <= min(len(x), len(y)):
        raise ValueError(f"subsets of {subset_size} can't be drawn from {len(x)} generated and {len(y)} real images")
    scale = 1.0 / x.shape[1] if gamma is None else gamma
    draw = np.random.RandomState(seed)
    estimates = []
    for _ in range(subsets):
        part_x = x[torch.from_numpy(draw.choice(len(x), subset_size, replace=False))]
        part_y = y[torch.from_numpy(draw.choice(len(y), subset_size, replace=False))]
        estimates.append(_discrepancy(part_x, part_y, degree, scale, offset))
    return KernelDistance(float(np.mean(estimates)), float(np.std(estimates)))


def _discrepancy(x: Tensor, y: Tensor, degree: int, scale: float, offset: float) -> float:
    """The U-statistic of two equally large subsets: an image is never compared with itself."""
    count = len(x)
    within = 0.0
    for rows in (x, y):
        with_itself = (rows.square().sum(dim=1) * scale + offset).pow_(degree).sum()
        within += float(_kernel_sum(rows, rows, degree, scale, offset) - with_itself)
    across = float(_kernel_sum(x, y, degree, scale, offset))
    return within / (count * (count - 1)) - 2.0 * across / count**2


def _kernel_sum(x: Tensor, y: Tensor, degree: int, scale: float, offset: float) -> Tensor:
    return torch.addmm(x.new_tensor(offset), x, y.T, alpha=scale).pow_(degree).sum()
