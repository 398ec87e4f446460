"""No discriminator, as a recipe says it: for games that can train a generator alone."""

from typing import Literal

from gan_models.families.base import DiscriminatorSpec, Family


class NoDiscriminator(DiscriminatorSpec):
    """There is none: the generator learns from a distance to the truth alone."""

    family: Literal["none"] = "none"


FAMILY = Family(None, NoDiscriminator, "gan_models.families.none.networks:Nobody", "colorization")
