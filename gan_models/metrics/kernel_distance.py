"""Kernel distance (KID): squared maximum mean discrepancy with a polynomial kernel (Binkowski et al. 2018, section 4).

    k(x, y) = (x.y / D + 1)^3

The estimate is unbiased: equal distributions give 0 on average, so it may come out slightly negative, and unlike the
Frechet distance it means the same at 500 images as at 50,000.
"""

import numpy as np
import torch
from torch import Tensor

from gan_models.metrics.matrices import Matrix, as_float64, rows_per_block
from gan_models.metrics.metric import Score


def kernel_distance(
    generated: Matrix, real: Matrix, *, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> Score:
    """Unbiased squared MMD of features [N, D] and [M, D]: mean and (population) deviation over random subsets.

    Args:
        subset_size: images drawn from either side for a subset, without replacement.
        seed: of the subsets, which are those of torch-fidelity at equal seed and sizes.

    Raises:
        ValueError: different D, a subset larger than a side or smaller than 2, or values that are not finite.
    """
    x, y = as_float64(generated), as_float64(real)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"features of {x.shape[1]} and {y.shape[1]} dimensions can't be compared")
    if not 2 <= subset_size <= min(len(x), len(y)):
        raise ValueError(f"subsets of {subset_size} can't be drawn from {len(x)} generated and {len(y)} real images")
    draw = np.random.RandomState(seed)
    drawn = [[draw.choice(len(rows), subset_size, replace=False) for rows in (x, y)] for _ in range(subsets)]
    of_x, of_y = (torch.from_numpy(np.stack(rows)) for rows in zip(*drawn, strict=True))
    within = torch.zeros(subsets, dtype=torch.float64)
    for rows, members in ((x, of_x), (y, of_y)):
        # An image is never compared with itself: that makes the estimate unbiased.
        of_itself = (rows.square().sum(dim=1) * (1.0 / rows.shape[1]) + 1.0).pow_(3)
        within += _subset_sums(rows, members, rows, members) - of_itself[members].sum(dim=1)
    across = _subset_sums(x, of_x, y, of_y)
    estimates = within / (subset_size * (subset_size - 1)) - 2.0 * across / subset_size**2
    return Score(float(estimates.mean()), float(estimates.std(correction=0)))


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    """[N, M] for x [N, D] and y [M, D]."""
    return torch.addmm(x.new_tensor(1.0), x, y.T, alpha=1.0 / x.shape[1]).pow_(3)


def _subset_sums(x: Tensor, of_x: Tensor, y: Tensor, of_y: Tensor) -> Tensor:
    """For each subset s, float64 [S]: the kernel summed over all pairs of x[of_x[s]] and y[of_y[s]].

    Overlapping subsets share their pairs: where that is less work, every pair of the whole sets is computed once, and
    the sums are two products with matrices that say which image is in which subset.
    """
    subsets, size = of_x.shape
    dimensions = x.shape[1]
    if len(x) * len(y) * (dimensions + subsets) > subsets * size**2 * dimensions:
        return torch.stack([_kernel(x[one], y[two]).sum() for one, two in zip(of_x, of_y, strict=True)])
    in_x, in_y = (
        torch.zeros(subsets, len(rows), dtype=torch.float64).scatter_(1, members, 1.0)
        for rows, members in ((x, of_x), (y, of_y))
    )
    sums = torch.zeros(subsets, len(y), dtype=torch.float64)
    block = rows_per_block(len(y))
    for start in range(0, len(x), block):
        sums += in_x[:, start : start + block] @ _kernel(x[start : start + block], y)
    return (sums * in_y).sum(dim=1)
