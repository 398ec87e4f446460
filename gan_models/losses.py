"""The games on raw logits, a class each: its fields are the settings of `game.loss`, its methods what is minimised.

Logits are [B], or [B, H, W] where D judges patches; both methods return the mean, 0-d. PyTorch is imported when a loss
is computed, so that recipes can be read without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gan_models.plugins import Registry
from gan_models.sections import Section, by_tag

if TYPE_CHECKING:
    from torch import Tensor

_MAX_LOGIT = 10.0


class Loss(Section):
    """What each player minimises."""

    name: str

    relativistic: ClassVar[bool] = False
    """G's loss needs D's logits of real images."""
    critic: ClassVar[bool] = False
    """D estimates a distance, the negative of its loss, instead of classifying."""

    @property
    def boundary(self) -> float:
        """The logit above which D takes an image for real; not of critics and relativistic games."""
        return 0.0

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """D's loss of its logits of real and of generated images."""
        raise LookupError(f"{self.name} has no loss for D")

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """G's loss of D's logits of generated images, and of real ones: empty unless `relativistic`."""
        raise LookupError(f"{self.name} has no loss for G")


class CrossEntropy(Loss):
    """Binary cross entropy of D (Goodfellow et al. 2014, eq. 1)."""

    label_smoothing: Annotated[float, Field(ge=0.0, lt=0.5)] = Field(0.0, description="one-sided: real targets 1 - s")

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """-E log D(x) - E log(1 - D(G(z))), real targets 1 - s, fake targets exactly 0.

        One-sided smoothing after Salimans et al. 2016, section 3.4: with target t = 1 - s on reals,
        t softplus(-x) + (1 - t) softplus(x) = softplus(-x) + s x.
        """
        loss = _softplus(-real).mean() + _softplus(fake).mean()
        return loss + self.label_smoothing * real.mean() if self.label_smoothing else loss


class Minimax(CrossEntropy):
    """E log(1 - D(G(z))) for G, the game's own value (Goodfellow et al. 2014, eq. 1). Saturates while D wins."""

    name: Literal["minimax"] = "minimax"

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        return -_softplus(fake).mean()


class NonSaturating(CrossEntropy):
    """-E log D(G(z)) for G (Goodfellow et al. 2014, section 3): same fixed point, strong gradients early."""

    name: Literal["non-saturating"] = "non-saturating"

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        return _softplus(-fake).mean()


class MaximumLikelihood(CrossEntropy):
    """-E exp(logit D(G(z))) for G, whose expected gradient is that of maximum likelihood (Goodfellow 2016, 3.2.4).

    The tutorial's factor 1/2 is left out, as in D's loss. A few samples carry nearly all of the gradient, and nothing
    bounds it: logits are clamped at 10, above which a sample gives none.
    """

    name: Literal["maximum-likelihood"] = "maximum-likelihood"

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        return -fake.clamp(max=_MAX_LOGIT).exp().mean()


class LeastSquares(Loss):
    """Squared distances of raw logits to targets (Mao et al. 2017, eq. 2).

    (a, b, c) = (-1, 1, 0) is the Pearson chi-square game.
    """

    name: Literal["least-squares"] = "least-squares"
    targets: tuple[float, float, float] = Field(
        (0.0, 1.0, 1.0), description="a for fakes and b for reals in D, c for fakes in G"
    )

    @property
    def boundary(self) -> float:
        return (self.targets[0] + self.targets[1]) / 2

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """1/2 E (D(x) - b)^2 + 1/2 E (D(G(z)) - a)^2."""
        a, b, _ = self.targets
        return 0.5 * (real - b).square().mean() + 0.5 * (fake - a).square().mean()

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        """1/2 E (D(G(z)) - c)^2."""
        return 0.5 * (fake - self.targets[2]).square().mean()


class Wasserstein(Loss):
    """E f(G(z)) - E f(x), the negative of the estimate of W(P_r, P_g) (Arjovsky et al. 2017, eq. 2)."""

    name: Literal["wasserstein"] = "wasserstein"
    critic: ClassVar[bool] = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return fake.mean() - real.mean()

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        return -fake.mean()


class Hinge(Loss):
    """E max(0, 1 - D(x)) + E max(0, 1 + D(G(z))) for D (Lim, Ye 2017; Miyato et al. 2018, eq. 16), -E D(G(z)) for G."""

    name: Literal["hinge"] = "hinge"

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return (1.0 - real).relu().mean() + (1.0 + fake).relu().mean()

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        return -fake.mean()


class Relativistic(Loss):
    """E softplus of the other's lead, over pairs (Jolicoeur-Martineau 2019; Huang et al. 2024, "R3GAN", eq. 2)."""

    name: Literal["relativistic"] = "relativistic"
    relativistic: ClassVar[bool] = True

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        return _softplus(fake - real).mean()

    def generator(self, fake: Tensor, real: Tensor) -> Tensor:
        return _softplus(real - fake).mean()


def _softplus(logits: Tensor) -> Tensor:
    from torch.nn.functional import softplus

    return softplus(logits)


_OWN = (Minimax, NonSaturating, MaximumLikelihood, LeastSquares, Wasserstein, Hinge, Relativistic)
LOSSES: Registry[type[Loss]] = Registry("game.loss", "gan_pipeline.losses", by_tag("name", *_OWN))
