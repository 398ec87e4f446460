"""Maximum mean discrepancy with a Gaussian kernel (Jayasumana et al. 2024, "Rethinking FID", section 4: CMMD).

    k(x, y) = exp(-|x - y|^2 / (2 sigma^2)), sigma = 10, features divided by their lengths, the figure times 1000

It supposes no Gaussian of the features. `CMMD` is that of CLIP's (ViT-L/14 at 336 pixels); of other features it is
MMD-rbf, and not to be compared with published ones. As the paper has it, the estimate takes each image with itself into
its means: it is never negative, and too large by at most 1000 / sigma^2 (1/N + 1/M), some 0.004 at 5,000 images each.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan_models.metrics.matrices import Matrix, as_floats, row_blocks, rows_per_block

SIGMA = 10.0
SCALE = 1000.0


def rbf_distance(generated: Matrix, real: Matrix) -> float:
    """1000 times the squared MMD of features [N, D] and [M, D], each divided by its length; from 0 up.

    Distances are small beside sigma, so the kernel is near 1 all over: exp(.) - 1 is summed, of float32 distances, with
    an error below 1e-5. Features of length 0 stay there. Memory grows with N, not with its square.

    Raises:
        ValueError: different D, no rows, or values that are not finite.
    """
    x, y = _normalised(generated), _normalised(real)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"features of {x.shape[1]} and {y.shape[1]} dimensions can't be compared")
    if not len(x) or not len(y):
        raise ValueError("a distance needs images on both sides")
    middle = y.mean(dim=0)
    x -= middle
    y -= middle
    return SCALE * max(0.0, _mean_within(x) + _mean_within(y) - 2.0 * _sum(x, y) / (len(x) * len(y)))


def _normalised(features: Matrix) -> Tensor:
    """float32 [N, D], of length 1."""
    rows = as_floats(features)
    made = torch.empty(rows.shape, dtype=torch.float32)
    for part in row_blocks(rows):
        exact = rows[part].double()
        lengths = exact.norm(dim=1, keepdim=True)
        made[part] = (exact / lengths.where(lengths > 0, 1.0)).float()
    return made


def _mean_within(rows: Tensor) -> float:
    """Of all pairs; those of two blocks count twice and are computed once."""
    size = rows_per_block(len(rows))
    total = 0.0
    for start in range(0, len(rows), size):
        block = rows[start : start + size]
        total += _sum(block, block) + 2.0 * _sum(block, rows[start + size :])
    return total / len(rows) ** 2


def _sum(x: Tensor, y: Tensor) -> float:
    """The kernel minus 1, summed over all pairs."""
    total = 0.0
    squares = y.square().sum(dim=1)
    size = rows_per_block(len(y))
    for start in range(0, len(x) if len(y) else 0, size):
        block = x[start : start + size]
        apart = torch.addmm(squares, block, y.T, alpha=-2.0).add_(block.square().sum(dim=1, keepdim=True))
        total += float(apart.clamp_(min=0.0).mul_(-0.5 / SIGMA**2).expm1_().sum(dtype=torch.float64))
    return total
