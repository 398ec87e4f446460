"""pix2pix's networks (Isola et al. 2017), as a recipe names them."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from gan_models.data.shape import Size
from gan_models.errors import RequestError
from gan_models.families.base import (
    DiscriminatorNorm,
    Family,
    MaxWidth,
    PatchDiscriminator,
    TranslatorNorm,
    TranslatorSpec,
)
from gan_models.sections import PositiveInt


class Pix2pixGenerator(TranslatorSpec):
    """A U-Net from one image of a pair to the other, with dropout in use too (Isola et al. 2017, section 3.2.1)."""

    family: Literal["pix2pix"] = "pix2pix"
    norm: TranslatorNorm = "instance"
    width: PositiveInt = Field(64, description="channels of the largest map; doubles at each halving of the image")
    max_width: MaxWidth = 512
    halvings: PositiveInt = Field(8, description="how often the image is halved, at most; a map of 1x1 pixel is not")
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        0.5, description="share of the features left out behind the first three doublings, the only noise there is"
    )

    def maps(self, size: Size) -> Sequence[int]:
        """From the first halving on; raises RequestError for a side that cannot be halved twice and doubled back."""
        return [each.shorter for each in self.sizes(size)]

    def sizes(self, size: Size) -> list[Size]:
        """Of these maps; errors as there."""
        sizes: list[Size] = []
        whole = size
        while len(sizes) < self.halvings and size.is_multiple_of(2):
            size = size.halved()
            sizes.append(size)
        if len(sizes) < 2:
            sides = "a multiple" if whole.is_square else "multiples"
            raise RequestError(f"data.size={whole}: pix2pix halves the image at least twice: use {sides} of 4")
        return sizes


class Pix2pixDiscriminator(PatchDiscriminator):
    """A PatchGAN on pairs (Isola et al. 2017, section 3.2.2)."""

    family: Literal["pix2pix"] = "pix2pix"
    norm: DiscriminatorNorm = "batch"


FAMILY = Family(Pix2pixGenerator, Pix2pixDiscriminator, "gan_models.families.pix2pix.networks:Pix2pix", "paired")
