"""Walks between two latents."""

from __future__ import annotations

import torch
from torch import Tensor


def linear(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Straight line from `start` [Z] to `end` [Z]: [steps, Z], both ends included."""
    share = torch.linspace(0, 1, steps, device=start.device)[:, None]
    return (1 - share) * start + share * end


def spherical(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Great-circle walk (White 2016, "Sampling Generative Networks", section 2.1): [steps, Z], both ends included.

    A straight line between Gaussian latents leaves the shell of radius sqrt(Z) they live on; this one stays near it.
    Parallel latents have no great circle and are joined by the straight line.
    """
    cosine = torch.dot(start / start.norm(), end / end.norm()).clamp(-1, 1)
    angle = torch.acos(cosine)
    if torch.sin(angle) < 1e-6:
        return linear(start, end, steps)
    share = torch.linspace(0, 1, steps, device=start.device)[:, None]
    return (torch.sin((1 - share) * angle) * start + torch.sin(share * angle) * end) / torch.sin(angle)
