"""SNGAN's residual networks (Miyato et al. 2018), as a recipe names them; with attention, SAGAN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from gan_models.errors import RequestError
from gan_models.families.base import ConvolutionalDiscriminator, ConvolutionalGenerator, Family
from gan_models.sections import PositiveInt

if TYPE_CHECKING:
    from gan_models.recipes.schema import Recipe


class SnganGenerator(ConvolutionalGenerator):
    """Residual blocks that double a small map until it is an image (Miyato et al. 2018); with attention, SAGAN."""

    hears: ClassVar[tuple[str, ...]] = ("one-hot", "batch-norm")

    family: Literal["sngan"] = "sngan"
    width: PositiveInt = Field(256, description="channels of maps up to 32 pixels or so; halves at each doubling more")

    def check(self, recipe: Recipe) -> None:
        super().check(recipe)
        if recipe.conditioning.generator == "batch-norm" and self.norm != "batch":
            raise RequestError(
                f"networks.generator.norm={self.norm} leaves conditional batch norm no place: set it to batch, or "
                "conditioning.generator=one-hot"
            )


class SnganDiscriminator(ConvolutionalDiscriminator):
    """Residual blocks from the image to a small map, summed over places (Miyato et al. 2018)."""

    family: Literal["sngan"] = "sngan"
    width: PositiveInt = Field(128, description="channels of the last blocks; fewer at maps over 32 pixels")
    pool: Literal["sum", "mean"] = Field(
        "sum", description="what the head reads of the last map: its sum over places (SNGAN) or mean (WGAN-GP)"
    )

    def maps(self, size: int) -> Sequence[int]:
        return self.plan(size).maps[::-1][1 : self.halvings(size) + 1]

    def halvings(self, size: int) -> int:
        """How often it halves an image: down to twice the coarsest map, as in the 32x32 network."""
        return max(1, self.plan(size).doublings - 1)


FAMILY = Family(SnganGenerator, SnganDiscriminator, "gan_models.families.sngan.networks:Sngan")
