"""Several networks of one form, each image going through the one that its number names."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Routed(nn.Module):
    """Branch `numbers[i]` sees image i: equal to running each branch on its own images, in any order."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor, numbers: Tensor) -> Tensor:
        """[B, ...] and int64 [B] in 0..branches-1 -> [B, ...]; a branch without images is not run."""
        if torch.compiler.is_compiling():
            return self._all(x, numbers)
        order = torch.argsort(numbers, stable=True)
        counts: list[int] = torch.bincount(numbers, minlength=len(self.branches)).tolist()
        parts = torch.split(x[order], counts)
        made = [branch(part) for branch, part in zip(self.branches, parts, strict=True) if len(part)]
        return torch.cat(made)[torch.argsort(order)]

    def _all(self, x: Tensor, numbers: Tensor) -> Tensor:
        """Every branch on every image: a traced program cannot depend on how many images go where."""
        outputs: Tensor = self.branches[0](x)
        for number, branch in enumerate(self.branches[1:], 1):
            chosen = (numbers == number).reshape(-1, *(1 for _ in outputs.shape[1:]))
            outputs = torch.where(chosen, branch(x), outputs)
        return outputs
