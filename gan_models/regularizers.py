"""Terms added to a player's loss: each sees one `Round` and returns a 0-d tensor; a new one is one entry below."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from gan_models.networks import Discriminator, DiscriminatorOutput


@dataclass(frozen=True)
class Round:
    """What is on the table when a player's loss is taken: images [B, C, H, W], labels [B], D and what it said.

    In G's move `real_output` is None: D has not looked at the real images since it moved.
    """

    discriminator: Discriminator
    real: Tensor
    fake: Tensor
    labels: Tensor | None
    real_output: DiscriminatorOutput | None
    fake_output: DiscriminatorOutput


@dataclass(frozen=True)
class Regularizer:
    """A term of one player's loss.

    `penalises_gradient` asks for D(real) as a differentiable function of the images, in fp32, and excludes batch norm
    in D, where one image's gradient depends on its neighbours.
    """

    player: Literal["discriminator", "generator"]
    value: Callable[[Round], Tensor]
    penalises_gradient: bool = False


def r1(round_: Round) -> Tensor:
    """1/2 E |grad_x D(x)|^2 on real images (Mescheder, Geiger, Nowozin 2018, eq. 9; the weight is their gamma)."""
    assert round_.real_output is not None
    (gradient,) = torch.autograd.grad(round_.real_output.logits.sum(), round_.real, create_graph=True)
    return 0.5 * gradient.square().flatten(1).sum(1).mean()


def feature_matching(round_: Round) -> Tensor:
    """Squared distance of D's mean features on real and on generated images (Salimans et al. 2016, section 3.1)."""
    with torch.no_grad():
        real = round_.discriminator(round_.real, round_.labels).features.float().mean(0)
    distance: Tensor = (round_.fake_output.features.float().mean(0) - real).square().sum()
    return distance


REGULARIZERS: dict[str, Regularizer] = {
    "r1": Regularizer("discriminator", r1, penalises_gradient=True),
    "feature-matching": Regularizer("generator", feature_matching),
}
