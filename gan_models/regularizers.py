"""Terms added to a player's loss: each sees one `Round` and returns a 0-d tensor; a new one is one entry below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from gan_models import ranks
from gan_models.families.building import Discriminator, DiscriminatorOutput, Generator

Player = Literal["discriminator", "generator"]


@dataclass(frozen=True)
class Round:
    """What is on the table when a player's loss is taken: images [B, C, H, W], labels [B], D and what it said.

    In G's move `real_output` is None: D has not looked at the real images since it moved.
    """

    player: Player
    generator: Generator
    discriminator: Discriminator
    real: Tensor
    fake: Tensor
    labels: Tensor | None
    real_output: DiscriminatorOutput | None
    fake_output: DiscriminatorOutput

    @property
    def network(self) -> nn.Module:
        """The player whose move it is."""
        return self.discriminator if self.player == "discriminator" else self.generator


class Regularizer:
    """A term of a player's loss.

    Attributes:
        player: whose loss it joins, unless the recipe says otherwise.
        either: whether it may join the other's.
        differentiates: the images that D's output must be a differentiable function of, in fp32. Such a term excludes
            batch norm in D, where one image's gradient depends on its neighbours.
    """

    player: ClassVar[Player] = "discriminator"
    either: ClassVar[bool] = False
    differentiates: ClassVar[Literal["", "real", "fake", "between"]] = ""

    def value(self, round_: Round) -> Tensor:
        """The term, 0-d, without its weight."""
        raise NotImplementedError

    def moved(self, network: nn.Module) -> None:
        """Called after each step of the player's optimizer."""

    def state_dict(self) -> dict[str, Any]:
        """What must go into a checkpoint; most terms have nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over a `state_dict`."""


class R1(Regularizer):
    """1/2 E |grad_x D(x)|^2 on real images (Mescheder, Geiger, Nowozin 2018, eq. 9; the weight is their gamma)."""

    differentiates = "real"

    def value(self, round_: Round) -> Tensor:
        assert round_.real_output is not None
        return 0.5 * _squared_gradient_norms(round_.real_output.logits, round_.real).mean()


class R2(Regularizer):
    """1/2 E |grad_x D(x)|^2 on generated images (Mescheder, Geiger, Nowozin 2018, eq. 10)."""

    differentiates = "fake"

    def value(self, round_: Round) -> Tensor:
        return 0.5 * _squared_gradient_norms(round_.fake_output.logits, round_.fake).mean()


class GradientPenalty(Regularizer):
    """E (|grad D(x^)| - 1)^2 between real and generated images (Gulrajani et al. 2017, eq. 3; lambda 10).

    One share for each pair of images, drawn anew.
    """

    differentiates = "between"
    centre: ClassVar[float] = 1.0

    def value(self, round_: Round) -> Tensor:
        images = self.points(round_).detach().requires_grad_()
        logits = round_.discriminator(images, round_.labels).logits
        # Inside the root, so that a gradient of exactly zero has a derivative.
        norms = (_squared_gradient_norms(logits, images) + 1e-12).sqrt()
        return (norms - self.centre).square().mean()

    def points(self, round_: Round) -> Tensor:
        """Images [B, C, H, W] at which the gradient is penalised."""
        return torch.lerp(round_.real, round_.fake, _uniform(round_.real))


class ZeroCentredGradientPenalty(GradientPenalty):
    """E |grad D(x^)|^2 between real and generated images (Thanh-Tung, Tran, Venkatesh 2019, eq. 8)."""

    centre = 0.0

    def value(self, round_: Round) -> Tensor:
        images = self.points(round_).detach().requires_grad_()
        return _squared_gradient_norms(round_.discriminator(images, round_.labels).logits, images).mean()


class Dragan(GradientPenalty):
    """The one-centred penalty around real images: x + noise (Kodali et al. 2017, section 2.3, as their code has it).

    x^ = x + a b with a one share U(0, 1) for each image and b uniform in [0, s / 2] for each pixel, s the standard
    deviation of the batch.
    """

    def points(self, round_: Round) -> Tensor:
        real = round_.real
        noise = 0.5 * real.std() * torch.rand_like(real)
        return real + _uniform(real) * noise


class Drift(Regularizer):
    """E D(x)^2 on real images: keeps a critic's output near zero (Karras et al. 2018, appendix A.1; weight 0.001)."""

    def value(self, round_: Round) -> Tensor:
        assert round_.real_output is not None
        return round_.real_output.logits.float().square().mean()


class FeatureMatching(Regularizer):
    """Squared distance of D's mean features on real and on generated images (Salimans et al. 2016, section 3.1)."""

    player = "generator"

    def value(self, round_: Round) -> Tensor:
        with torch.no_grad():
            real = round_.discriminator(round_.real, round_.labels).features.float().mean(0)
        distance: Tensor = (round_.fake_output.features.float().mean(0) - real).square().sum()
        return distance


class HistoricalAveraging(Regularizer):
    """|theta - mean of past theta|^2, in the player's own loss (Salimans et al. 2016, section 3.3)."""

    either = True

    def __init__(self) -> None:
        self._sums: list[Tensor] = []
        self._count = 0

    def value(self, round_: Round) -> Tensor:
        parameters = list(round_.network.parameters())
        if not self._count:
            return parameters[0].new_zeros(())
        terms = [
            (parameter - total / self._count).square().sum()
            for parameter, total in zip(parameters, self._sums, strict=True)
        ]
        return torch.stack(terms).sum()

    @torch.no_grad()
    def moved(self, network: nn.Module) -> None:
        current = [parameter.detach() for parameter in network.parameters()]
        if not self._sums:
            self._sums = [torch.zeros_like(parameter) for parameter in current]
        torch._foreach_add_(self._sums, current)
        self._count += 1

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self._sums, "count": self._count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._sums, self._count = list(state["sums"]), state["count"]


class Orthogonal(Regularizer):
    """|W^T W (1 - I)|_F^2 over the weight matrices (Brock, Donahue, Simonyan 2019, eq. 3; weight 1e-4).

    Off-diagonal entries only, embeddings left out; of convolutions the matrix [outputs, inputs * places]. Between rows
    (filters), as the authors' code has it.
    """

    player = "generator"
    either = True

    def value(self, round_: Round) -> Tensor:
        terms = [_off_diagonal(matrix) for matrix in weight_matrices(round_.network)]
        return torch.stack(terms).sum()


def weight_matrices(network: nn.Module) -> list[Tensor]:
    """Weights of linear and convolution layers as [outputs, inputs * places], embeddings left out."""
    matrices = []
    for module in network.modules():
        if isinstance(module, nn.ConvTranspose2d):
            matrices.append(_raw_weight(module).transpose(0, 1).flatten(1))
        elif isinstance(module, nn.Linear | nn.Conv2d):
            matrices.append(_raw_weight(module).flatten(1))
    return matrices


def _raw_weight(module: nn.Module) -> Tensor:
    """The parameter itself: reading a spectrally normalised weight would take a step of its power iteration."""
    named = dict(module.named_parameters())
    return named["weight"] if "weight" in named else named["parametrizations.weight.original"]


def _off_diagonal(matrix: Tensor) -> Tensor:
    products = matrix @ matrix.T
    return products.square().sum() - products.diagonal().square().sum()


def _uniform(images: Tensor) -> Tensor:
    """One share U(0, 1) for each image, [B, 1, 1, 1]."""
    return ranks.share(torch.rand(len(images) * ranks.count(), 1, 1, 1, device=images.device))


def _squared_gradient_norms(logits: Tensor, images: Tensor) -> Tensor:
    """|grad_x D(x)|^2 for each image, [B]."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.square().flatten(1).sum(1)


REGULARIZERS: dict[str, type[Regularizer]] = {
    "r1": R1,
    "r2": R2,
    "gradient-penalty": GradientPenalty,
    "zero-centred-gradient-penalty": ZeroCentredGradientPenalty,
    "dragan": Dragan,
    "drift": Drift,
    "feature-matching": FeatureMatching,
    "historical-averaging": HistoricalAveraging,
    "orthogonal": Orthogonal,
}
