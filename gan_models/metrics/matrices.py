"""What every figure on features accepts, and how it is computed: float64, whatever the extractor's precision."""

from collections.abc import Iterator
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


def row_blocks(matrix: Tensor) -> Iterator[slice]:
    """Slices over the rows of a matrix [N, D] that are blocks when they are float64."""
    size = rows_per_block(matrix.shape[1])
    for start in range(0, len(matrix), size):
        yield slice(start, min(start + size, len(matrix)))


def as_floats(matrix: Matrix, name: str = "features") -> Tensor:
    """As `as_float64`, but float32 stays float32, without a copy: for what widens a block at a time."""
    tensor = torch.as_tensor(matrix).detach()
    if tensor.dtype != torch.float32:
        return as_float64(tensor, name)
    tensor = tensor.to("cpu")
    if tensor.dim() != 2:
        raise ValueError(f"{name} must be a matrix [N, D], got shape {list(tensor.shape)}")
    if not all(bool(torch.isfinite(tensor[part]).all()) for part in row_blocks(tensor)):
        raise ValueError(f"{name} hold NaN or Inf")
    return tensor
