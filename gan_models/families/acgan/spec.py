"""ACGAN's networks (Odena, Olah, Shlens 2017, appendix A), as a recipe names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from gan_models.data.shape import Size
from gan_models.errors import RequestError
from gan_models.families.base import DiscriminatorSpec, Family, GeneratorSpec
from gan_models.sections import PositiveInt, Share

if TYPE_CHECKING:
    from gan_models.recipes.schema import Recipe


class AcganGenerator(GeneratorSpec):
    """A dense layer and 5x5 transposed convolutions of stride 2 (Odena, Olah, Shlens 2017, appendix A)."""

    family: Literal["acgan"] = "acgan"
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = Field(
        (384, 192, 96), description="channels of each map from the coarsest on, one for each doubling up to the image"
    )

    def maps(self, size: Size) -> Sequence[int]:
        return self.plan(size).maps[:-1]

    def check(self, recipe: Recipe) -> None:
        super().check(recipe)
        wanted, given = self.plan(recipe.data.size).doublings, len(self.widths)
        if given != wanted:
            raise RequestError(
                f"networks.generator.widths={list(self.widths)}: data.size={recipe.data.size} takes {wanted} doublings "
                f"and as many widths, not {given}"
            )


class AcganDiscriminator(DiscriminatorSpec):
    """3x3 convolutions of stride 2 and 1 in turn, with dropout (Odena, Olah, Shlens 2017, appendix A)."""

    family: Literal["acgan"] = "acgan"
    widths: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = Field(
        (16, 32, 64, 128, 256, 512), description="channels of each convolution; every other one halves the image"
    )
    dropout: Share = Field(0.5, description="share of the features that are dropped after each convolution")


FAMILY = Family(AcganGenerator, AcganDiscriminator, "gan_models.families.acgan.networks:Acgan")
