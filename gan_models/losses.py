"""The games on raw logits: pure functions, so that a new game is one entry in `LOSSES`.

A discriminator loss takes the logits of real and of generated images, a generator loss those of generated images and,
in relativistic games, of real ones; logits [B], or [B, H, W] where D judges patches. All return the mean, 0-d.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from gan_models.recipes.game_specs import Adversarial

_MAX_LOGIT = 10.0


class Loss(NamedTuple):
    """What each player minimises."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    """Of generated and real logits; the real ones are empty unless `relativistic`."""
    relativistic: bool = False
    """G's loss needs D's logits of real images."""
    critic: bool = False
    """D estimates a distance, the negative of its loss, instead of classifying."""
    boundary: float = 0.0
    """The logit above which D takes an image for real; not of critics and relativistic games."""


def cross_entropy_discriminator(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
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


def maximum_likelihood_generator(fake: Tensor) -> Tensor:
    """-E exp(logit D(G(z))), whose expected gradient is that of maximum likelihood (Goodfellow 2016, section 3.2.4).

    The tutorial's factor 1/2 is left out, as in D's loss. A few samples carry nearly all of the gradient, and nothing
    bounds it: logits are clamped at 10, above which a sample gives none.
    """
    return -torch.exp(fake.clamp(max=_MAX_LOGIT)).mean()


def least_squares_discriminator(real: Tensor, fake: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """1/2 E (D(x) - b)^2 + 1/2 E (D(G(z)) - a)^2 on raw logits (Mao et al. 2017, eq. 2)."""
    return 0.5 * (real - b).square().mean() + 0.5 * (fake - a).square().mean()


def least_squares_generator(fake: Tensor, c: float = 1.0) -> Tensor:
    """1/2 E (D(G(z)) - c)^2 (Mao et al. 2017, eq. 2); (a, b, c) = (-1, 1, 0) is the Pearson chi-square game."""
    return 0.5 * (fake - c).square().mean()


def wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    """E f(G(z)) - E f(x), the negative of the estimate of W(P_r, P_g) (Arjovsky et al. 2017, eq. 2)."""
    return fake.mean() - real.mean()


def hinge_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))) (Lim, Ye 2017; Miyato et al. 2018, eq. 16)."""
    return relu(1.0 - real).mean() + relu(1.0 + fake).mean()


def linear_generator(fake: Tensor) -> Tensor:
    """-E D(G(z)), of the Wasserstein and hinge games."""
    return -fake.mean()


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """E softplus(D(G(z)) - D(x)) over pairs (Jolicoeur-Martineau 2019; Huang et al. 2024, "R3GAN", eq. 2)."""
    return softplus(fake - real).mean()


def relativistic_generator(fake: Tensor, real: Tensor) -> Tensor:
    """E softplus(D(x) - D(G(z))) over pairs (Huang et al. 2024, eq. 2)."""
    return softplus(real - fake).mean()


def _alone(generator: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda fake, _: generator(fake)


def _cross_entropy(generator: Callable[[Tensor], Tensor]) -> Callable[[Adversarial], Loss]:
    def loss(game: Adversarial) -> Loss:
        return Loss(lambda real, fake: cross_entropy_discriminator(real, fake, game.label_smoothing), _alone(generator))

    return loss


def _least_squares(game: Adversarial) -> Loss:
    a, b, c = game.targets
    return Loss(
        lambda real, fake: least_squares_discriminator(real, fake, a, b),
        lambda fake, _: least_squares_generator(fake, c),
        boundary=(a + b) / 2,
    )


LOSSES: dict[str, Callable[[Adversarial], Loss]] = {
    "minimax": _cross_entropy(minimax_generator),
    "non-saturating": _cross_entropy(non_saturating_generator),
    "maximum-likelihood": _cross_entropy(maximum_likelihood_generator),
    "least-squares": _least_squares,
    "wasserstein": lambda game: Loss(wasserstein_critic, _alone(linear_generator), critic=True),
    "hinge": lambda game: Loss(hinge_discriminator, _alone(linear_generator)),
    "relativistic": lambda game: Loss(relativistic_discriminator, relativistic_generator, relativistic=True),
}
SMOOTHED = ("minimax", "non-saturating", "maximum-likelihood")
"""Losses with class targets, which one-sided label smoothing applies to."""
