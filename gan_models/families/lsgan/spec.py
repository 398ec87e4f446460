"""LSGAN's generator of scenes (Mao et al. 2017, figure 1), as a recipe names it; its D is DCGAN's."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from gan_models.data.shape import Size
from gan_models.families.base import Family, GeneratorSpec
from gan_models.sections import PositiveInt


class LsganGenerator(GeneratorSpec):
    """3x3 transposed convolutions, two at each of the coarse maps, as VGG has its own (Mao et al. 2017)."""

    family: Literal["lsgan"] = "lsgan"
    width: PositiveInt = Field(256, description="channels of the coarse maps; a half and a quarter of the last two")

    def maps(self, size: Size) -> Sequence[int]:
        return self.plan(size).maps[1:]


FAMILY = Family(LsganGenerator, None, "gan_models.families.lsgan.networks:Lsgan")
