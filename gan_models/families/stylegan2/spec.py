"""StyleGAN2's networks (Karras et al. 2020a, "Analyzing and Improving the Image Quality of StyleGAN"), as a recipe has
them, in the configuration of StyleGAN2-ADA (Karras et al. 2020b, "Training GANs with Limited Data").

The equalised learning rate, weights from N(0, 1) and the [1, 3, 3, 1] filter are what they are: nothing can be set.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from gan_models.data.shape import Size
from gan_models.families.base import DiscriminatorSpec, Family, GeneratorSpec
from gan_models.families.resolutions import check_halvings, check_size
from gan_models.sections import PositiveInt, Section

COARSEST = 4
SIZES = [COARSEST << level for level in range(1, 9)]


class Channels(Section):
    """Channels by the size of the map, in both players."""

    channel_base: PositiveInt = Field(32768, description="channel_base / size channels at each size of map")
    channel_max: PositiveInt = Field(512, description="at most so many channels")

    def widths(self, size: Size) -> list[int]:
        """Channels of the maps from 4x4 to `size`; raises RequestError where 4 pixels do not double to it."""
        check_size(size, "stylegan2 doubles 4 pixels", SIZES)
        doublings = SIZES.index(size.shorter) + 1
        check_halvings(size, doublings, f"stylegan2 doubles 4 pixels {doublings} times")
        sides = [COARSEST << level for level in range(doublings + 1)]
        return [max(1, min(self.channel_max, self.channel_base // side)) for side in sides]

    def maps(self, size: Size) -> Sequence[int]:
        self.widths(size)
        return ()  # no attention


class StyleGan2Generator(Channels, GeneratorSpec):
    """Mapping network, modulated convolutions and an image summed over all sizes (Karras et al. 2020a)."""

    family: Literal["stylegan2"] = "stylegan2"
    hears: ClassVar[tuple[str, ...]] = ("embedding",)
    deaf: ClassVar[str] = "{family} joins an embedding of the class to its latent: set conditioning.generator=embedding"

    mapping: PositiveInt = Field(8, description="layers from the latent z to the style w; 2 in the CIFAR-10 setting")
    style: PositiveInt = Field(512, description="dimensions of the style w")


class StyleGan2Discriminator(Channels, DiscriminatorSpec):
    """Convolutions down to 4x4 (Karras et al. 2020a, section 4.1)."""

    family: Literal["stylegan2"] = "stylegan2"
    projects: ClassVar[tuple[str, ...]] = ("none", "stddev")

    architecture: Literal["residual", "original"] = Field(
        "residual", description="original: blocks without the shortcut, as in the CIFAR-10 setting"
    )
    minibatch: Literal["none", "discrimination", "stddev"] = Field(
        "stddev", description="stddev: at 4x4, in front of the last convolution"
    )
    group: PositiveInt = Field(4, description="images that a standard deviation is taken over (minibatch: stddev)")


FAMILY = Family(
    StyleGan2Generator, StyleGan2Discriminator, "gan_models.families.stylegan2.networks:StyleGan2", game="stylegan2"
)
