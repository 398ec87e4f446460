"""The truncation trick (Brock, Donahue, Simonyan 2019, section 3.1): less variety for more fidelity, after training."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_models.errors import RequestError

LEAST = 0.02
"""Below this nearly every number is drawn again and again, and the images are all but one."""


def check_threshold(threshold: float, name: str) -> None:
    """Raises RequestError for a threshold that cannot be sampled at; `name` is what the user calls it."""
    if not threshold >= LEAST:
        raise RequestError(f"{name}={threshold:g}: latents are cut off at a number of at least {LEAST}, such as 0.5")


def truncate(latents: Tensor, threshold: float, stream: torch.Generator) -> Tensor:
    """Latents [N, Z] from N(0, I) with each number beyond +-`threshold` drawn again until it is within.

    Drawn again, never clamped, so that what comes is the truncated normal distribution. Numbers that are within stay as
    they are: a larger threshold changes fewer of the same images.
    """
    flat = latents.flatten().clone()
    beyond = torch.nonzero(flat.abs() > threshold)[:, 0]
    while len(beyond):
        flat[beyond] = torch.randn(len(beyond), generator=stream, dtype=flat.dtype)
        beyond = beyond[flat[beyond].abs() > threshold]
    return flat.reshape(latents.shape)
