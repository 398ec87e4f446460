"""SNGAN's residual networks (Miyato et al. 2018), as a recipe names them; with attention, SAGAN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from gan_models.data.shape import Size
from gan_models.errors import RequestError
from gan_models.families.base import ConvolutionalDiscriminator, ConvolutionalGenerator, Family
from gan_models.families.resolutions import doubled_widths
from gan_models.sections import PositiveInt

if TYPE_CHECKING:
    from gan_models.recipes.schema import Recipe

_FLAT_UP_TO = 32  # pixels: table 4's networks have one width, those of tables 5 and 6 double theirs
_WIDEST = 16  # times the finest map's channels (table 6)
_TRUNKS = {48: (4, 5), 64: (5, 5)}
"""Halvings and blocks of D where they follow no rule: table 5, and the authors' public code for 64x64."""


def _published_max(width: int, size: Size) -> int:
    return width if size.shorter <= _FLAT_UP_TO else _WIDEST * width


class SnganGenerator(ConvolutionalGenerator):
    """Residual blocks that double a small map until it is an image (Miyato et al. 2018); with attention, SAGAN."""

    hears: ClassVar[tuple[str, ...]] = ("one-hot", "batch-norm")

    family: Literal["sngan"] = "sngan"
    width: PositiveInt = Field(256, description="channels of the finest map; doubles towards the latent")
    max_width: PositiveInt | None = Field(
        None,
        description="at most so many channels; null: as published, width itself up to 32 pixels and 16 times it above",
    )

    def widths(self, size: Size) -> list[int]:
        """Channels of each map from the coarsest to the finest."""
        most = self.max_width or _published_max(self.width, size)
        return doubled_widths(self.width, most, self.plan(size).doublings + 1)[::-1]

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
    width: PositiveInt = Field(128, description="channels of the first block; doubles from block to block")
    max_width: PositiveInt | None = Field(
        None,
        description="at most so many channels; null: as published, width itself up to 32 pixels and 16 times it above",
    )
    wide: bool = Field(
        False, description="whether a block widens in its first convolution (SAGAN, BigGAN) or in its second (SNGAN)"
    )
    halvings: PositiveInt | None = Field(
        None, description="how many blocks halve the image; null: as published for the size"
    )
    blocks: PositiveInt | None = Field(
        None, description="blocks in all, those that halve first; null: as published for the size"
    )
    pool: Literal["sum", "mean"] = Field(
        "sum", description="what the head reads of the last map: its sum over places (SNGAN) or mean (WGAN-GP)"
    )

    def maps(self, size: Size) -> Sequence[int]:
        return [size.shorter >> level for level in range(1, self.trunk(size)[0] + 1)]

    def trunk(self, size: Size) -> tuple[int, int]:
        """How many blocks halve an image, and how many there are.

        Up to 32 pixels down to twice the coarsest map and two that keep it (table 4), above down to the coarsest and
        one that keeps it (table 6), but for the sizes that have a table of their own.
        """
        doublings = self.plan(size).doublings
        if size.shorter <= _FLAT_UP_TO:
            halvings = max(1, doublings - 1)
            published = halvings, halvings + 2
        else:
            published = _TRUNKS.get(size.shorter, (doublings, doublings + 1))
        halvings = self.halvings or published[0]
        return halvings, self.blocks or max(halvings, published[1])

    def widths(self, size: Size) -> list[int]:
        """Channels that each block makes, from the image on."""
        return doubled_widths(self.width, self.max_width or _published_max(self.width, size), self.trunk(size)[1])

    def check(self, recipe: Recipe) -> None:
        size = recipe.data.size
        halvings, blocks = self.trunk(size)
        if not size.is_multiple_of(1 << halvings):
            most = min((side & -side).bit_length() - 1 for side in size)
            raise RequestError(
                f"networks.discriminator.halvings={halvings}: data.size={size} can be halved {most} times: set it to "
                f"{most} or less"
            )
        if blocks < halvings:
            raise RequestError(
                f"networks.discriminator.blocks={blocks} are fewer than the {halvings} that halve the image: set it to "
                f"{halvings} or more, or networks.discriminator.halvings to {blocks} or less"
            )
        super().check(recipe)


FAMILY = Family(SnganGenerator, SnganDiscriminator, "gan_models.families.sngan.networks:Sngan")
