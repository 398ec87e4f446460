"""CycleGAN's networks (Zhu et al. 2017), as a recipe names them."""

from typing import Literal

from pydantic import Field

from gan_models.families.base import DiscriminatorNorm, Family, PatchDiscriminator, ResidualTranslator
from gan_models.sections import PositiveInt

DOMAINS = 2


class CycleganGenerator(ResidualTranslator):
    """Two residual image-to-image networks, one for each direction (Zhu et al. 2017, after Johnson et al. 2016)."""

    family: Literal["cyclegan"] = "cyclegan"
    blocks: PositiveInt = Field(9, description="residual blocks; the paper has 6 for 128x128 images, 9 from 256x256 on")


class CycleganDiscriminator(PatchDiscriminator):
    """A PatchGAN for each domain (Zhu et al. 2017, after Isola et al. 2017)."""

    family: Literal["cyclegan"] = "cyclegan"
    norm: DiscriminatorNorm = "instance"


FAMILY = Family(CycleganGenerator, CycleganDiscriminator, "gan_models.families.cyclegan.networks:Cyclegan", "cycle")
