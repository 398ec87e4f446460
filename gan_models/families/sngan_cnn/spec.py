"""The standard CNN of SNGAN (Miyato et al. 2018), as a recipe names it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from gan_models.families.base import ConvolutionalDiscriminator, ConvolutionalGenerator, Family, MaxWidth
from gan_models.families.resolutions import plan
from gan_models.sections import PositiveInt


class SnganCnnGenerator(ConvolutionalGenerator):
    """Transposed convolutions that double a small map until it is an image (Miyato et al. 2018, table 3)."""

    family: Literal["sngan-cnn"] = "sngan-cnn"
    width: PositiveInt = Field(64, description="channels of the last hidden layer; doubles towards the latent")
    max_width: MaxWidth = 512

    def maps(self, size: int) -> Sequence[int]:
        return plan(size, self.family).maps[1:]


class SnganCnnDiscriminator(ConvolutionalDiscriminator):
    """Plain and strided convolutions in turn, down to a small map (Miyato et al. 2018, table 3)."""

    family: Literal["sngan-cnn"] = "sngan-cnn"
    width: PositiveInt = Field(64, description="channels of the first layer; doubles at each halving of the image")
    max_width: MaxWidth = 512

    def maps(self, size: int) -> Sequence[int]:
        return plan(size, self.family).maps[:-1]


FAMILY = Family(SnganCnnGenerator, SnganCnnDiscriminator, "gan_models.families.sngan_cnn.networks:SnganCnn")
