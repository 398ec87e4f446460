"""The standard CNN of SNGAN (Miyato et al. 2018), as a recipe names it."""

from typing import Literal

from gan_models.families.base import Family, StridedDiscriminator, StridedGenerator


class SnganCnnGenerator(StridedGenerator):
    """Transposed convolutions that double a small map until it is an image (Miyato et al. 2018, table 3)."""

    family: Literal["sngan-cnn"] = "sngan-cnn"


class SnganCnnDiscriminator(StridedDiscriminator):
    """Plain and strided convolutions in turn, down to a small map (Miyato et al. 2018, table 3)."""

    family: Literal["sngan-cnn"] = "sngan-cnn"


FAMILY = Family(SnganCnnGenerator, SnganCnnDiscriminator, "gan_models.families.sngan_cnn.networks:SnganCnn")
