"""The games on raw logits: pure functions with one signature, so that a new game is one entry in `LOSSES`.

A discriminator loss takes the logits [B] of real and of generated images and the label smoothing; a generator loss
takes the logits [B] of generated images. All return the batch mean as a 0-d tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch.nn.functional import softplus


class Loss(NamedTuple):
    """What each player minimises."""

    discriminator: Callable[[Tensor, Tensor, float], Tensor]
    generator: Callable[[Tensor], Tensor]


def cross_entropy_discriminator(real: Tensor, fake: Tensor, smoothing: float) -> Tensor:
    """Binary cross entropy of D (Goodfellow et al. 2014, eq. 1), real targets 1 - smoothing, fake targets exactly 0.

    One-sided smoothing after Salimans et al. 2016, section 3.4: with target t = 1 - s on reals,
    t softplus(-x) + (1 - t) softplus(x) = softplus(-x) + s x.
    """
    loss = softplus(-real).mean() + softplus(fake).mean()
    return loss + smoothing * real.mean() if smoothing else loss


def minimax_generator(fake: Tensor) -> Tensor:
    """E log(1 - D(G(z))), the game's own value (Goodfellow et al. 2014, eq. 1). Saturates while D wins."""
    return -softplus(fake).mean()


def non_saturating_generator(fake: Tensor) -> Tensor:
    """-E log D(G(z)) (Goodfellow et al. 2014, section 3): same fixed point, strong gradients early."""
    return softplus(-fake).mean()


LOSSES: dict[str, Loss] = {
    "minimax": Loss(cross_entropy_discriminator, minimax_generator),
    "non-saturating": Loss(cross_entropy_discriminator, non_saturating_generator),
}
