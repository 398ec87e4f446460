"""Terms added to a player's loss, a class each: its fields are its settings, `value` is the formula.

PyTorch is imported when a term is computed, so that recipes can be read without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field, PrivateAttr

from gan_models.errors import RequestError
from gan_models.plugins import Registry
from gan_models.schedules import Scheduled, scheduled
from gan_models.sections import PositiveFloat, PositiveInt, Section, Share, by_tag

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gan_models.families.interfaces import Discriminator, DiscriminatorOutput, Generator
    from gan_models.recipes.schema import Recipe

if TYPE_CHECKING:
    Weight: TypeAlias = Scheduled
else:
    Weight = scheduled(ge=0.0)
Player = Literal["discriminator", "generator"]
Images = Literal["", "real", "fake", "between"]


@dataclass(frozen=True)
class Round:
    """What is on the table when a player's loss is taken: images [B, C, H, W] as D saw them, what it was told
    of them, and what it said, with logits in fp32.

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
    unchanged: tuple[Tensor, Tensor] | None = None
    """Real and generated images before the augmentations that D saw them through; None where there are none."""
    styles: Tensor | None = None
    """[B, L, W], what the generated images were drawn from, where a penalty is on that."""

    @property
    def real_logits(self) -> Tensor:
        """Of D's own move."""
        assert self.real_output is not None
        return self.real_output.logits

    @property
    def fake_logits(self) -> Tensor:
        return self.fake_output.logits

    @property
    def unchanged_real(self) -> Tensor:
        """Real images before the augmentations."""
        return self.real if self.unchanged is None else self.unchanged[0]

    @property
    def unchanged_fake(self) -> Tensor:
        return self.fake if self.unchanged is None else self.unchanged[1]

    @property
    def network(self) -> nn.Module:
        """The player whose move it is."""
        return self.discriminator if self.player == "discriminator" else self.generator


class Regularizer(Section):
    """A term of a player's loss."""

    name: str
    weight: Weight = Field(1.0, description="factor of the term in the player's loss")
    player: Literal["auto", "generator", "discriminator"] = Field("auto", description="whose loss it joins")
    every: PositiveInt = Field(1, description="applied at every n-th step, scaled by n (lazy regularisation)")

    belongs_to: ClassVar[Player] = "discriminator"
    """Whose loss it joins, unless the recipe says otherwise."""
    either: ClassVar[bool] = False
    """Whether it may join the other's."""
    differentiates: ClassVar[Images] = ""
    """The images that D's output must be a differentiable function of, in fp32. Such a term excludes batch norm in D,
    where one image's gradient depends on its neighbours."""
    stands_apart: ClassVar[bool] = False
    """Whether it can have a step of its own, without the player's loss."""

    @property
    def joins(self) -> Player:
        """Whose loss it joins."""
        return self.belongs_to if self.player == "auto" else self.player

    def check(self, recipe: Recipe) -> None:
        """Refuses what it does not go with: RequestError with the reason and the remedy."""
        if [(term.name, term.joins) for term in recipe.regularizers].count((self.name, self.joins)) > 1:
            raise RequestError(
                f"regularizer {self.name!r} is named twice for the {self.joins}: name it once, with one weight"
            )
        if self.joins != self.belongs_to and not self.either:
            raise RequestError(f"regularizer {self.name!r} belongs to the {self.belongs_to}: leave its player at auto")
        discriminator = recipe.networks.discriminator
        if self.differentiates and discriminator.get("norm", "none") == "batch":
            raise RequestError(
                f"regularizer {self.name!r} penalises D's gradient image by image, which batch norm in D mixes: "
                "set networks.discriminator.norm to none or layer"
            )
        # Minibatch standard deviation stays: it is one map of a whole group's statistics, and PGGAN was published with
        # both (Karras et al. 2018, section 3 and appendix A.1).
        if self.differentiates and discriminator.get("minibatch", "none") == "discrimination":
            raise RequestError(
                f"regularizer {self.name!r} penalises D's gradient image by image, but with "
                "networks.discriminator.minibatch=discrimination D's word on an image depends on its neighbours: set "
                "it to none, or drop the regularizer"
            )

    def value(self, round_: Round) -> Tensor:
        """The term, 0-d, without its weight.

        The images are those of one rank of several: a mean over them is averaged for it; for anything else, and for
        random numbers, see `gan_models.ranks`.
        """
        raise LookupError(f"{self.name} has no value")

    def moved(self, network: nn.Module) -> None:
        """Called after each step of the player's optimizer."""

    def state_dict(self) -> dict[str, Any]:
        """What a term remembers of the training (a game has a copy of its own); most have nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes over a `state_dict`."""


class R1(Regularizer):
    """1/2 E |grad_x D(x)|^2 on real images (Mescheder, Geiger, Nowozin 2018, eq. 9; the weight is their gamma).

    Augmentations are part of D here: x is the image before them, as in all public code that has both.
    """

    name: Literal["r1"] = "r1"
    differentiates: ClassVar[Images] = "real"
    stands_apart: ClassVar[bool] = True

    def value(self, round_: Round) -> Tensor:
        return 0.5 * _squared_gradient_norms(round_.real_logits, round_.unchanged_real).mean()


class R2(Regularizer):
    """1/2 E |grad_x D(x)|^2 on generated images (Mescheder, Geiger, Nowozin 2018, eq. 10), likewise."""

    name: Literal["r2"] = "r2"
    differentiates: ClassVar[Images] = "fake"

    def value(self, round_: Round) -> Tensor:
        return 0.5 * _squared_gradient_norms(round_.fake_logits, round_.unchanged_fake).mean()


class SlopePenalty(Regularizer):
    """Base of the penalties on D's gradient at points of their own."""

    differentiates: ClassVar[Images] = "between"

    def value(self, round_: Round) -> Tensor:
        images = self.points(round_).detach().requires_grad_()
        return self.penalty(_squared_gradient_norms(round_.discriminator(images, round_.labels).logits, images))

    def points(self, round_: Round) -> Tensor:
        """Images [B, C, H, W] at which the gradient is penalised; here between each pair, at a share drawn anew."""
        return round_.real.lerp(round_.fake, _uniform(round_.real))

    def penalty(self, squared_norms: Tensor) -> Tensor:
        """Of |grad D|^2 [B]; here E (|grad D| - 1)^2."""
        # Inside the root, so that a gradient of exactly zero has a derivative.
        return ((squared_norms + 1e-12).sqrt() - 1.0).square().mean()


class GradientPenalty(SlopePenalty):
    """E (|grad D(x^)| - t)^2 / t^2 between real and generated images (Gulrajani et al. 2017, eq. 3; lambda 10)."""

    name: Literal["gradient-penalty"] = "gradient-penalty"
    target: PositiveFloat = Field(1.0, description="the slope t that is asked of D; 750 in PGGAN's CIFAR-10 runs")

    def penalty(self, squared_norms: Tensor) -> Tensor:
        return super().penalty(squared_norms / self.target**2)


class ZeroCentredGradientPenalty(SlopePenalty):
    """E |grad D(x^)|^2 between real and generated images (Thanh-Tung, Tran, Venkatesh 2019, eq. 8)."""

    name: Literal["zero-centred-gradient-penalty"] = "zero-centred-gradient-penalty"

    def penalty(self, squared_norms: Tensor) -> Tensor:
        return squared_norms.mean()


class Dragan(SlopePenalty):
    """The one-centred penalty around real images: x + noise (Kodali et al. 2017, section 2.3, as their code has it).

    x^ = x + a b with a one share U(0, 1) for each image and b uniform in [0, s / 2] for each pixel, s the standard
    deviation of the batch.
    """

    name: Literal["dragan"] = "dragan"

    def points(self, round_: Round) -> Tensor:
        import torch

        from gan_models import ranks

        count, *shape = round_.real.shape
        every = torch.rand(count * ranks.count(), *shape, device=round_.real.device)
        noise = 0.5 * ranks.standard_deviation(round_.real) * ranks.share(every)
        return round_.real + _uniform(round_.real) * noise


class Drift(Regularizer):
    """E D(x)^2 on real images: keeps a critic's output near zero (Karras et al. 2018, appendix A.1; weight 0.001)."""

    name: Literal["drift"] = "drift"

    def value(self, round_: Round) -> Tensor:
        return round_.real_logits.float().square().mean()


class FeatureMatching(Regularizer):
    """Distance of D's mean features on real and on generated images (Salimans et al. 2016, section 3.1).

    The sum over features, of squares as in the paper or absolute, as the authors' code has it for CIFAR-10. That code
    takes means over features: a weight of one by their number.
    """

    name: Literal["feature-matching"] = "feature-matching"
    distance: Literal["squared", "absolute"] = Field("squared", description="of the two means, summed over features")
    belongs_to: ClassVar[Player] = "generator"

    def value(self, round_: Round) -> Tensor:
        import torch

        from gan_models import ranks

        with torch.no_grad():
            real = ranks.mean(round_.discriminator(round_.real, round_.labels).features.float().mean(0))
        apart = ranks.mean(round_.fake_output.features.float().mean(0)) - real
        return (apart.square() if self.distance == "squared" else apart.abs()).sum()


class HistoricalAveraging(Regularizer):
    """|theta - mean of past theta|^2, in the player's own loss (Salimans et al. 2016, section 3.3)."""

    name: Literal["historical-averaging"] = "historical-averaging"
    either: ClassVar[bool] = True

    _sums: list[Any] = PrivateAttr(default_factory=list)
    _count: int = PrivateAttr(0)

    def value(self, round_: Round) -> Tensor:
        import torch

        parameters = list(round_.network.parameters())
        if not self._count:
            return parameters[0].new_zeros(())
        terms = [
            (parameter - total / self._count).square().sum()
            for parameter, total in zip(parameters, self._sums, strict=True)
        ]
        return torch.stack(terms).sum()

    def moved(self, network: nn.Module) -> None:
        import torch

        current = [parameter.detach() for parameter in network.parameters()]
        if not self._sums:
            self._sums = [torch.zeros_like(parameter) for parameter in current]
        torch._foreach_add_(self._sums, current)
        self._count += 1

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self._sums, "count": self._count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._sums, self._count = list(state["sums"]), state["count"]


class PathLength(Regularizer):
    """E (|J_w^T y| - a)^2, y ~ N(0, I) over the pixels, a the moving average of the first (Karras et al. 2020a, eq. 4).

    Equally long steps of the style then change the image equally much. J_w^T y is the gradient of sum(G(w) y) and, as
    in the authors' code, its length the root of the mean over layers of |gradient of the layer's w|^2, with y divided
    by the image's side (appendix B).
    """

    name: Literal["path-length"] = "path-length"
    weight: Weight = Field(2.0, description="factor of the term in the player's loss")
    every: Annotated[int, Field(ge=2)] = Field(4, description="taken at every n-th step, scaled by n")
    decay: Share = Field(0.01, description="share of a new length in the moving average")
    shrink: PositiveInt = Field(2, description="by how much fewer images than a batch it is taken on")
    belongs_to: ClassVar[Player] = "generator"
    stands_apart: ClassVar[bool] = True

    _mean: Any = PrivateAttr(0.0)

    def check(self, recipe: Recipe) -> None:
        super().check(recipe)
        if not recipe.game.penalises_apart:
            raise RequestError(
                f"regularizer {self.name!r} is taken in steps of its own on the styles of stylegan2's generator: set "
                "game.kind=stylegan2, or drop the regularizer"
            )

    def value(self, round_: Round) -> Tensor:
        import torch

        from gan_models import ranks

        images, styles = round_.fake, round_.styles
        assert styles is not None
        count, *shape = images.shape
        noise = ranks.share(torch.randn(count * ranks.count(), *shape, device=images.device))
        projected = (images * noise).sum() / (shape[1] * shape[2]) ** 0.5
        (gradient,) = torch.autograd.grad(projected, styles, create_graph=True)
        lengths = gradient.square().sum(2).mean(1).sqrt()
        mean = (1.0 - self.decay) * self._mean + self.decay * ranks.mean(lengths.mean())
        self._mean = mean.detach()
        return (lengths - mean).square().mean()

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self._mean}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._mean = state["mean"]


class Orthogonal(Regularizer):
    """|W^T W (1 - I)|_F^2 over the weight matrices (Brock, Donahue, Simonyan 2019, eq. 3; weight 1e-4).

    Off-diagonal entries only, embeddings left out; of convolutions the matrix [outputs, inputs * places]. Between rows
    (filters), as the authors' code has it.
    """

    name: Literal["orthogonal"] = "orthogonal"
    belongs_to: ClassVar[Player] = "generator"
    either: ClassVar[bool] = True

    def value(self, round_: Round) -> Tensor:
        import torch

        return torch.stack([_off_diagonal(matrix) for matrix in weight_matrices(round_.network)]).sum()


def weight_matrices(network: nn.Module) -> list[Tensor]:
    """Weights of linear and convolution layers as [outputs, inputs * places], embeddings left out."""
    from torch import nn

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
    import torch

    from gan_models import ranks

    return ranks.share(torch.rand(len(images) * ranks.count(), 1, 1, 1, device=images.device))


def _squared_gradient_norms(logits: Tensor, images: Tensor) -> Tensor:
    """|grad_x D(x)|^2 for each image, [B]."""
    import torch

    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.square().flatten(1).sum(1)


_OWN = (
    *(R1, R2, GradientPenalty, ZeroCentredGradientPenalty, Dragan, Drift),
    *(FeatureMatching, HistoricalAveraging, Orthogonal, PathLength),
)
REGULARIZERS: Registry[type[Regularizer]] = Registry("regularizer", "gan_pipeline.regularizers", by_tag("name", *_OWN))
