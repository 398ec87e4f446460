"""DCGAN's networks (Radford, Metz, Chintala 2016), as a recipe names them."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from gan_models.data.shape import Size
from gan_models.families.base import DiscriminatorNorm, Family, StridedDiscriminator, StridedGenerator

Kernel = Annotated[
    Literal[4, 5], Field(description="side of the kernels: 5 in the authors' own code, 4 in most code since")
]
Bias = Annotated[
    Literal["unnormed", "all", "none"],
    Field(description="layers with a bias; unnormed: those that no norm follows, which takes a bias away again"),
]


class DcganGenerator(StridedGenerator):
    """Transposed convolutions that double a small map until it is an image (Radford, Metz, Chintala 2016)."""

    family: Literal["dcgan"] = "dcgan"
    kernel: Kernel = 4
    bias: Bias = "unnormed"
    flat_norm: bool = Field(
        False, description="the first layer is normalised unit by unit (the authors' code), not channel by channel"
    )

    def maps(self, size: Size) -> Sequence[int]:
        return self.plan(size).maps[:-1]


class DcganDiscriminator(StridedDiscriminator):
    """Strided convolutions down to a small map (Radford, Metz, Chintala 2016)."""

    family: Literal["dcgan"] = "dcgan"
    norm: DiscriminatorNorm = "batch"
    kernel: Kernel = 4
    bias: Bias = "unnormed"


FAMILY = Family(DcganGenerator, DcganDiscriminator, "gan_models.families.dcgan.networks:Dcgan")
