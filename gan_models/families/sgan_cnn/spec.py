"""The convolutions of semi-supervised learning on CIFAR-10 (Salimans et al. 2016), as a recipe names them."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from gan_models.data.shape import Size
from gan_models.families.base import DiscriminatorSpec, Family, GeneratorSpec, MaxWidth
from gan_models.sections import PositiveInt, Share


class SganCnnGenerator(GeneratorSpec):
    """5x5 transposed convolutions with batch norm, weight norm in the last one (Salimans et al. 2016)."""

    family: Literal["sgan-cnn"] = "sgan-cnn"
    width: PositiveInt = Field(128, description="channels of the last hidden layer; doubles towards the latent")
    weight_norm: bool = Field(True, description="in the last layer")
    max_width: MaxWidth = 512

    def maps(self, size: Size) -> Sequence[int]:
        return self.plan(size).maps[:-1]


class SganCnnDiscriminator(DiscriminatorSpec):
    """Convolutions with weight norm and dropout, mean over places (Salimans et al. 2016)."""

    family: Literal["sgan-cnn"] = "sgan-cnn"
    width: PositiveInt = Field(96, description="channels at full resolution; twice as many on all smaller maps")
    input_dropout: Share = Field(0.2, description="share of the pixels' numbers that are dropped")
    dropout: Share = Field(0.5, description="share of the features that are dropped after each halving")

    def maps(self, size: Size) -> Sequence[int]:
        return self.plan(size).maps[:-1]

    def halvings(self, size: Size) -> int:
        """How often it halves an image: down to twice the coarsest map, as in the 32x32 network."""
        return max(1, self.plan(size).doublings - 1)


FAMILY = Family(SganCnnGenerator, SganCnnDiscriminator, "gan_models.families.sgan_cnn.networks:SganCnn")
