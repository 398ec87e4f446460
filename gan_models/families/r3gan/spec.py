"""R3GAN's networks (Huang et al. 2024), as a recipe names them: no normalisation, spectral norm neither."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from gan_models.data.shape import Size
from gan_models.families.base import (
    DiscriminatorSpec,
    Family,
    GeneratorSpec,
    Init,
    Maps,
    MaxWidth,
    Minibatch,
    PlayerSpec,
)
from gan_models.families.resolutions import Plan, plan
from gan_models.sections import PositiveInt


class Stages(PlayerSpec):
    """Residual blocks at each map, in both players."""

    attention: Maps = ()
    init: Init = "family"
    width: PositiveInt = Field(768, description="channels of the image's own map; doubles at each halving of the image")
    max_width: MaxWidth = 768
    blocks: PositiveInt = Field(2, description="residual blocks at each map")
    expansion: PositiveInt = Field(2, description="times the width between the 1x1 convolutions of a block")
    group: PositiveInt = Field(
        16, description="channels of each group of the 3x3 convolutions, about; 16 are the authors' 96 groups of 1,536"
    )
    form: Literal["published", "first"] = Field(
        "published",
        description="first: as generators of this project's first version have it, with bilinear resampling and a tanh",
    )

    def plan(self, size: Size) -> Plan:
        return plan(size, self.family, largest=256)  # FFHQ's, the authors' largest

    def maps(self, size: Size) -> Sequence[int]:
        return self.plan(size).maps


class R3ganGenerator(Stages, GeneratorSpec):
    """Residual blocks with grouped convolutions and without any normalisation (Huang et al. 2024)."""

    family: Literal["r3gan"] = "r3gan"
    hears: ClassVar[tuple[str, ...]] = ("one-hot", "embedding")
    embedding: PositiveInt = Field(
        64, description="dimensions of the class joined to the latent, where conditioning.generator=embedding"
    )


class R3ganDiscriminator(Stages, DiscriminatorSpec):
    """The mirror image of R3GAN's generator (Huang et al. 2024)."""

    family: Literal["r3gan"] = "r3gan"
    minibatch: Minibatch = "none"


FAMILY = Family(R3ganGenerator, R3ganDiscriminator, "gan_models.families.r3gan.networks:R3gan")
