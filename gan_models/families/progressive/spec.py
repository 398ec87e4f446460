"""Growing networks (Karras et al. 2018), as a recipe names them.

Pixel norm, the equalised learning rate and weights from N(0, 1) are what they are: nothing can be set about them.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from gan_models.data.shape import Size
from gan_models.families.base import DiscriminatorSpec, Family, GeneratorSpec
from gan_models.families.resolutions import check_halvings, check_size
from gan_models.sections import PositiveInt, Section

COARSEST = 4
SIZES = [COARSEST << level for level in range(1, 9)]


def levels_of(size: Size) -> int:
    """Doublings from 4 pixels to `size`; raises RequestError where there are none, or more than eight."""
    check_size(size, "progressive doubles 4 pixels", SIZES)
    levels = SIZES.index(size.shorter) + 1
    check_halvings(size, levels, f"progressive doubles 4 pixels {levels} times")
    return levels


class Levels(Section):
    """A level for each size of map, in both players."""

    fmap_base: PositiveInt = Field(8192, description="2 fmap_base / size channels at each size of map")
    fmap_max: PositiveInt = Field(512, description="at most so many channels")

    def widths(self, levels: int) -> list[int]:
        """Channels of the levels 0 to `levels`: 2 fmap_base / size, from 1 to fmap_max (the authors' public code)."""
        return [max(1, min(self.fmap_max, 2 * self.fmap_base // (COARSEST << level))) for level in range(levels + 1)]

    def maps(self, size: Size) -> Sequence[int]:
        levels_of(size)
        return ()  # no attention


class ProgressiveGenerator(Levels, GeneratorSpec):
    """Grows from 4x4 by doubling, with equalised learning rate and pixel norm (Karras et al. 2018)."""

    family: Literal["progressive"] = "progressive"


class ProgressiveDiscriminator(Levels, DiscriminatorSpec):
    """The mirror image of the progressive generator (Karras et al. 2018)."""

    family: Literal["progressive"] = "progressive"
    minibatch: Literal["none", "discrimination", "stddev"] = Field(
        "stddev", description="stddev: at 4x4, in front of the last convolutions"
    )
    group: PositiveInt = Field(
        4, description="images whose standard deviation is taken together; a batch that it does not divide is one group"
    )


FAMILY = Family(ProgressiveGenerator, ProgressiveDiscriminator, "gan_models.families.progressive.networks:Progressive")
