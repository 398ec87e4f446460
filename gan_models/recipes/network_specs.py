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
        "batch",
        description="normalisation of G's hidden layers; virtual and reference: statistics of a fixed reference batch "
        "(Salimans et al. 2016)",
    )
    spectral_norm: bool = Field(False, description="divide each weight by its largest singular value (SAGAN, BigGAN)")
    attention: Maps = ()
    init: Init = Field("family", description="first weights; family: as the family's paper has it")


class DiscriminatorSpec(Section):
    """What every discriminator family understands; a family refuses what it cannot do."""

    norm: Literal["none", "batch", "layer"] = Field(
        "none", description="normalisation of D's hidden layers; batch excludes penalties on D's gradient"
    )
    spectral_norm: bool = Field(False, description="divide each weight by its largest singular value (SNGAN)")
    attention: Maps = ()
    minibatch: Literal["none", "discrimination", "stddev"] = Field(
        "none", description="what D learns of an image's neighbours in the batch, against collapse"
    )
    init: Init = Field("family", description="first weights; family: as the family's paper has it")


class MlpGenerator(GeneratorSpec):
    """Multilayer perceptron from the latent to all pixels at once (Goodfellow et al. 2014)."""

    family: Literal["mlp"] = "mlp"
    widths: tuple[PositiveInt, ...] = Field((128, 256, 512, 1024), description="units of each hidden layer")


class MlpDiscriminator(DiscriminatorSpec):
    """Multilayer perceptron on all pixels (Goodfellow et al. 2014)."""

    family: Literal["mlp"] = "mlp"
    widths: tuple[PositiveInt, ...] = Field((512, 256, 128), description="units of each hidden layer")


class DcganGenerator(GeneratorSpec):
    """Transposed convolutions that double a small map until it is an image (Radford, Metz, Chintala 2016)."""

    family: Literal["dcgan"] = "dcgan"
    width: PositiveInt = Field(64, description="channels of the last hidden layer; doubles towards the latent")
    max_width: PositiveInt = Field(512, description="at most so many channels, however often width doubles")


class DcganDiscriminator(DiscriminatorSpec):
    """Strided convolutions down to a small map (Radford, Metz, Chintala 2016)."""

    family: Literal["dcgan"] = "dcgan"
    width: PositiveInt = Field(64, description="channels of the first layer; doubles at each halving of the image")
    max_width: PositiveInt = Field(512, description="at most so many channels, however often width doubles")
    norm: Literal["none", "batch", "layer"] = "batch"


class Networks(Section):
    """The two players."""

    latent: PositiveInt = Field(100, description="dimensions of z, drawn from N(0, I)")
    generator: Annotated[MlpGenerator | DcganGenerator, Field(discriminator="family")]
    discriminator: Annotated[MlpDiscriminator | DcganDiscriminator, Field(discriminator="family")]
