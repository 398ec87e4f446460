"""The `networks` section: one pair of specs for each family of `gan_models.networks`, told apart by `family`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gan_models.recipes.sections import PositiveInt, Section

Init = Literal["family", "normal", "xavier", "orthogonal"]
Maps = Annotated[
    tuple[PositiveInt, ...], Field(description="sizes of the feature maps that a self-attention block follows")
]


class GeneratorSpec(Section):
    """What every generator family understands; a family refuses what it cannot do."""

    norm: Literal["batch", "virtual", "reference", "none"] = Field(
        "batch", description="virtual and reference: statistics of a fixed reference batch (Salimans et al. 2016)"
    )
    spectral_norm: bool = False
    attention: Maps = ()
    init: Init = Field("family", description="family: as the family's paper has it")


class DiscriminatorSpec(Section):
    """What every discriminator family understands; a family refuses what it cannot do."""

    norm: Literal["none", "batch", "layer"] = "none"
    spectral_norm: bool = False
    attention: Maps = ()
    minibatch: Literal["none", "discrimination", "stddev"] = Field(
        "none", description="what D learns of an image's neighbours in the batch, against collapse"
    )
    init: Init = Field("family", description="family: as the family's paper has it")


class MlpGenerator(GeneratorSpec):
    family: Literal["mlp"] = "mlp"
    widths: tuple[PositiveInt, ...] = (128, 256, 512, 1024)


class MlpDiscriminator(DiscriminatorSpec):
    family: Literal["mlp"] = "mlp"
    widths: tuple[PositiveInt, ...] = (512, 256, 128)


class DcganGenerator(GeneratorSpec):
    family: Literal["dcgan"] = "dcgan"
    width: PositiveInt = Field(64, description="channels of the last hidden layer; doubles towards the latent")
    max_width: PositiveInt = 512


class DcganDiscriminator(DiscriminatorSpec):
    family: Literal["dcgan"] = "dcgan"
    width: PositiveInt = Field(64, description="channels of the first layer; doubles at each halving of the image")
    max_width: PositiveInt = 512
    norm: Literal["none", "batch", "layer"] = "batch"


class Networks(Section):
    latent: PositiveInt = Field(100, description="dimensions of z, drawn from N(0, I)")
    generator: Annotated[MlpGenerator | DcganGenerator, Field(discriminator="family")]
    discriminator: Annotated[MlpDiscriminator | DcganDiscriminator, Field(discriminator="family")]
