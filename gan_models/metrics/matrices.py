"""What every figure on features accepts, and how it is computed: float64, whatever the extractor's precision."""

from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Matrix: TypeAlias = Tensor | NDArray[np.floating]  # N rows of D features (or K logits), NumPy or PyTorch

BLOCK_BYTES = 64 << 20  # a block of pairwise values is at most this large: memory does not grow with the square of N


def as_float64(matrix: Matrix, name: str = "features") -> Tensor:
    """The matrix as float64 [N, D] on the CPU; ValueError for anything else than a matrix, or with NaN or Inf."""
    tensor = torch.as_tensor(matrix).detach().to("cpu", torch.float64)
    if tensor.dim() != 2:
        raise ValueError(f"{name} must be a matrix [N, D], got shape {list(tensor.shape)}")
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name} hold NaN or Inf")
    return tensor


def rows_per_block(columns: int) -> int:
    """How many rows of float64 pairwise values with `columns` others make a block."""
    return max(1, BLOCK_BYTES // (8 * max(1, columns)))
