"""The `networks` section: a pair of specs for each family of `gan_models.families`, told apart by `family`."""

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

    norm: Literal["batch", "instance", "virtual", "reference", "none"] = Field(
        "batch",
        description="normalisation of G's hidden layers; virtual and reference: statistics of a fixed reference batch "
        "(Salimans et al. 2016)",
    )
    spectral_norm: bool = Field(False, description="divide each weight by its largest singular value (SAGAN, BigGAN)")
    attention: Maps = ()
    init: Init = Field("family", description="first weights; family: as the family's paper has it")


class DiscriminatorSpec(Section):
    """What every discriminator family understands; a family refuses what it cannot do."""

    norm: Literal["none", "batch", "layer", "instance"] = Field(
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
    norm: Literal["none", "batch", "layer", "instance"] = "batch"


class ProgressiveGenerator(GeneratorSpec):
    """Grows from 4x4 by doubling, with equalised learning rate and pixel norm (Karras et al. 2018)."""

    family: Literal["progressive"] = "progressive"
    fmap_base: PositiveInt = Field(8192, description="2 fmap_base / size channels at each size of map")
    fmap_max: PositiveInt = Field(512, description="at most so many channels")
    norm: Literal["batch", "instance", "virtual", "reference", "none"] = Field(
        "none", description="none: pixel norm is part of the family"
    )


class ProgressiveDiscriminator(DiscriminatorSpec):
    """The mirror image of the progressive generator (Karras et al. 2018)."""

    family: Literal["progressive"] = "progressive"
    fmap_base: PositiveInt = Field(8192, description="2 fmap_base / size channels at each size of map")
    fmap_max: PositiveInt = Field(512, description="at most so many channels")
    minibatch: Literal["none", "discrimination", "stddev"] = Field(
        "stddev", description="stddev: at 4x4, in front of the last convolutions"
    )


class CycleganGenerator(GeneratorSpec):
    """Two residual image-to-image networks, one for each direction (Zhu et al. 2017, after Johnson et al. 2016)."""

    family: Literal["cyclegan"] = "cyclegan"
    width: PositiveInt = Field(64, description="channels at full resolution; doubles at each halving of the image")
    halvings: PositiveInt = Field(2, description="how often the image is halved before the residual blocks")
    blocks: PositiveInt = Field(9, description="residual blocks; the paper has 6 for 128x128 images, 9 from 256x256 on")
    norm: Literal["batch", "instance", "virtual", "reference", "none"] = "instance"


class CycleganDiscriminator(DiscriminatorSpec):
    """A PatchGAN for each domain (Zhu et al. 2017, after Isola et al. 2017)."""

    family: Literal["cyclegan"] = "cyclegan"
    width: PositiveInt = Field(64, description="channels of the first layer; doubles at each layer, up to eightfold")
    layers: PositiveInt = Field(3, description="halvings of the image, at most: 3 judge patches of 70x70 pixels")
    norm: Literal["none", "batch", "layer", "instance"] = "instance"


class AttributeTransferGenerator(GeneratorSpec):
    """One residual network that is told the attribute to give to the image (Choi et al. 2018)."""

    family: Literal["attribute-transfer"] = "attribute-transfer"
    width: PositiveInt = Field(64, description="channels at full resolution; doubles at each halving of the image")
    halvings: PositiveInt = Field(2, description="how often the image is halved before the residual blocks")
    blocks: PositiveInt = Field(6, description="residual blocks")
    norm: Literal["batch", "instance", "virtual", "reference", "none"] = "instance"


class AttributeTransferDiscriminator(DiscriminatorSpec):
    """Patches real or generated, and the image's attribute, from one trunk (Choi et al. 2018)."""

    family: Literal["attribute-transfer"] = "attribute-transfer"
    width: PositiveInt = Field(64, description="channels of the first layer; doubles at each layer")
    max_width: PositiveInt = Field(2048, description="at most so many channels, however often width doubles")
    layers: PositiveInt = Field(6, description="halvings of the image, at most; a 2x2 map is not halved")


class ColorizationGenerator(GeneratorSpec):
    """A U-Net from the grey image and the colour hints to the colours (after Zhang et al. 2017, Isola et al. 2017)."""

    family: Literal["colorization"] = "colorization"
    width: PositiveInt = Field(64, description="channels at full resolution; doubles at each halving of the image")
    max_width: PositiveInt = Field(512, description="at most so many channels, however often width doubles")
    halvings: PositiveInt = Field(4, description="how often the image is halved, at most; a 2x2 map is not")


class ColorizationDiscriminator(DiscriminatorSpec):
    """A PatchGAN on colour images, of which the grey image is a function (Isola et al. 2017)."""

    family: Literal["colorization"] = "colorization"
    width: PositiveInt = Field(64, description="channels of the first layer; doubles at each layer, up to eightfold")
    layers: PositiveInt = Field(3, description="halvings of the image, at most: 3 judge patches of 70x70 pixels")
    norm: Literal["none", "batch", "layer", "instance"] = "batch"


class StackganGenerator(GeneratorSpec):
    """Text to image in two stages, the first at half the size (Zhang et al. 2017)."""

    family: Literal["stackgan"] = "stackgan"
    norm: Literal["batch", "none"] = Field("batch", description="normalisation of G's hidden layers")
    width: PositiveInt = Field(32, description="channels of each stage's last layer; doubles at each halving of maps")
    max_width: PositiveInt = Field(256, description="at most so many channels, however often width doubles")
    text_encoder: Literal["gru", "sentence-transformers"] = Field(
        "gru", description="gru: small, learnt with the players; sentence-transformers: pretrained and frozen"
    )
    text_width: PositiveInt = Field(64, description="gru: dimensions of word vectors and of a text's embedding")
    text_model: str = Field("all-MiniLM-L6-v2", description="sentence-transformers: name or folder of the model")
    augmentation: PositiveInt = Field(64, description="dimensions of the condition drawn around a text's embedding")
    downsamplings: PositiveInt = Field(2, description="halvings of stage I's picture before stage II redraws it")
    residual_blocks: PositiveInt = Field(2, description="of stage II, between its reading and its redrawing")


class SnganGenerator(GeneratorSpec):
    """Residual blocks that double a small map until it is an image (Miyato et al. 2018); with attention, SAGAN."""

    family: Literal["sngan"] = "sngan"
    width: PositiveInt = Field(256, description="channels of maps up to 32 pixels or so; halves at each doubling more")


class SnganDiscriminator(DiscriminatorSpec):
    """Residual blocks from the image to a small map, summed over places (Miyato et al. 2018)."""

    family: Literal["sngan"] = "sngan"
    width: PositiveInt = Field(128, description="channels of the last blocks; fewer at maps over 32 pixels")


class SnganCnnGenerator(GeneratorSpec):
    """Transposed convolutions that double a small map until it is an image (Miyato et al. 2018, table 3)."""

    family: Literal["sngan-cnn"] = "sngan-cnn"
    width: PositiveInt = Field(64, description="channels of the last hidden layer; doubles towards the latent")
    max_width: PositiveInt = Field(512, description="at most so many channels, however often width doubles")


class SnganCnnDiscriminator(DiscriminatorSpec):
    """Plain and strided convolutions in turn, down to a small map (Miyato et al. 2018, table 3)."""

    family: Literal["sngan-cnn"] = "sngan-cnn"
    width: PositiveInt = Field(64, description="channels of the first layer; doubles at each halving of the image")
    max_width: PositiveInt = Field(512, description="at most so many channels, however often width doubles")


class BigganGenerator(GeneratorSpec):
    """Residual blocks whose batch norms hear the class and a chunk of the latent (Brock et al. 2019)."""

    family: Literal["biggan"] = "biggan"
    width: PositiveInt = Field(96, description="the unit of channels: 16 at the coarsest of 128x128, 4 at all of 32x32")
    embedding: PositiveInt = Field(128, description="dimensions of the class embedding that all blocks share")


class BigganDiscriminator(DiscriminatorSpec):
    """Wide residual blocks from the image to a small map, summed over places (Brock et al. 2019)."""

    family: Literal["biggan"] = "biggan"
    width: PositiveInt = Field(96, description="the unit of channels: 16 at the coarsest of 128x128, 4 at all of 32x32")


class R3ganGenerator(GeneratorSpec):
    """Residual blocks with grouped convolutions and without any normalisation (Huang et al. 2024)."""

    family: Literal["r3gan"] = "r3gan"
    norm: Literal["batch", "virtual", "reference", "none"] = Field("none", description="none: it has no place for one")
    width: PositiveInt = Field(768, description="channels of the image's own map; doubles at each halving of the image")
    max_width: PositiveInt = Field(768, description="at most so many channels, however often width doubles")
    blocks: PositiveInt = Field(2, description="residual blocks at each map")
    expansion: PositiveInt = Field(2, description="times the width between the 1x1 convolutions of a block")
    group: PositiveInt = Field(32, description="channels of each group of the 3x3 convolutions, about")


class R3ganDiscriminator(DiscriminatorSpec):
    """The mirror image of R3GAN's generator (Huang et al. 2024)."""

    family: Literal["r3gan"] = "r3gan"
    width: PositiveInt = Field(768, description="channels of the image's own map; doubles at each halving of the image")
    max_width: PositiveInt = Field(768, description="at most so many channels, however often width doubles")
    blocks: PositiveInt = Field(2, description="residual blocks at each map")
    expansion: PositiveInt = Field(2, description="times the width between the 1x1 convolutions of a block")
    group: PositiveInt = Field(32, description="channels of each group of the 3x3 convolutions, about")


class Networks(Section):
    """The two players."""

    latent: PositiveInt = Field(100, description="dimensions of z, drawn from N(0, I)")
    generator: Annotated[
        MlpGenerator
        | DcganGenerator
        | SnganGenerator
        | SnganCnnGenerator
        | BigganGenerator
        | R3ganGenerator
        | ProgressiveGenerator
        | CycleganGenerator
        | AttributeTransferGenerator
        | ColorizationGenerator
        | StackganGenerator,
        Field(discriminator="family"),
    ]
    discriminator: Annotated[
        MlpDiscriminator
        | DcganDiscriminator
        | SnganDiscriminator
        | SnganCnnDiscriminator
        | BigganDiscriminator
        | R3ganDiscriminator
        | ProgressiveDiscriminator
        | CycleganDiscriminator
        | AttributeTransferDiscriminator
        | ColorizationDiscriminator,
        Field(discriminator="family"),
    ]
