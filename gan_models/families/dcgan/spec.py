"""DCGAN's networks (Radford, Metz, Chintala 2016), as a recipe names them."""

from collections.abc import Sequence
from typing import Literal

from gan_models.families.base import DiscriminatorNorm, Family, StridedDiscriminator, StridedGenerator


class DcganGenerator(StridedGenerator):
    """Transposed convolutions that double a small map until it is an image (Radford, Metz, Chintala 2016)."""

    family: Literal["dcgan"] = "dcgan"

    def maps(self, size: int) -> Sequence[int]:
        return self.plan(size).maps[:-1]


class DcganDiscriminator(StridedDiscriminator):
    """Strided convolutions down to a small map (Radford, Metz, Chintala 2016)."""

    family: Literal["dcgan"] = "dcgan"
    norm: DiscriminatorNorm = "batch"


FAMILY = Family(DcganGenerator, DcganDiscriminator, "gan_models.families.dcgan.networks:Dcgan")
