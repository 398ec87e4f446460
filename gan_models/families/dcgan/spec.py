"""DCGAN's networks (Radford, Metz, Chintala 2016), as a recipe names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from gan_models.families.base import (
    ConvolutionalDiscriminator,
    ConvolutionalGenerator,
    DiscriminatorNorm,
    Family,
    MaxWidth,
)
from gan_models.families.resolutions import plan
from gan_models.sections import PositiveInt


class DcganGenerator(ConvolutionalGenerator):
    """Transposed convolutions that double a small map until it is an image (Radford, Metz, Chintala 2016)."""

    family: Literal["dcgan"] = "dcgan"
    width: PositiveInt = Field(64, description="channels of the last hidden layer; doubles towards the latent")
    max_width: MaxWidth = 512

    def maps(self, size: int) -> Sequence[int]:
        return plan(size, self.family).maps[:-1]


class DcganDiscriminator(ConvolutionalDiscriminator):
    """Strided convolutions down to a small map (Radford, Metz, Chintala 2016)."""

    family: Literal["dcgan"] = "dcgan"
    norm: DiscriminatorNorm = "batch"
    width: PositiveInt = Field(64, description="channels of the first layer; doubles at each halving of the image")
    max_width: MaxWidth = 512

    def maps(self, size: int) -> Sequence[int]:
        return plan(size, self.family).maps[:-1]


FAMILY = Family(DcganGenerator, DcganDiscriminator, "gan_models.families.dcgan.networks:Dcgan")
