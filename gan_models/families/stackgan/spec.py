"""StackGAN's networks (Zhang et al. 2017), as a recipe names them; a discriminator of another family does as well."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from gan_models.data.shape import Size
from gan_models.families.base import ConvolutionalSpec, DiscriminatorSpec, Family, GeneratorSpec, MaxWidth
from gan_models.families.resolutions import check_halvings, check_size
from gan_models.sections import PositiveInt

_COARSEST = range(4, 8)
_LARGEST = 256
SIZES = sorted(base << doublings for base in _COARSEST for doublings in range(1, 7) if base << doublings <= _LARGEST)
"""What a map of 4 to 7 pixels doubles to."""


def sizes_down_from(size: Size) -> list[Size]:
    """The map sizes from `size` down to 4 to 7 pixels."""
    sizes = [size]
    while sizes[-1].shorter > _COARSEST[-1]:
        sizes.append(sizes[-1].halved())
    return sizes


def _maps_down_from(size: Size) -> list[int]:
    """Their shorter sides; raises RequestError where the longer one cannot be halved along."""
    sizes = sizes_down_from(size)
    check_halvings(size, len(sizes) - 1, f"stackgan doubles a map of {sizes[-1].shorter} pixels {len(sizes) - 1} times")
    return [each.shorter for each in sizes]


class StackganGenerator(ConvolutionalSpec, GeneratorSpec):
    """Text to image in two stages, the first at a half or a quarter of the size (Zhang et al. 2017)."""

    hears: ClassVar[tuple[str, ...]] = ()
    deaf: ClassVar[str] = "stackgan is conditioned on texts, not classes: set both of `conditioning` to none"

    family: Literal["stackgan"] = "stackgan"
    norm: Literal["batch", "none"] = Field("batch", description="normalisation of G's hidden layers")
    width: PositiveInt = Field(32, description="channels of each stage's last layer; doubles at each halving of maps")
    max_width: MaxWidth = 256
    enlargement: Literal[2, 4] = Field(2, description="how many times larger stage II's images are than stage I's")
    layout: Literal["plain", "published"] = Field(
        "plain",
        description="published: as the authors' code for birds, with bottleneck blocks on the two coarsest maps of "
        "stage I, batch norm of its dense layer, `width` times `enlargement` channels before its last doubling, no "
        "biases beside norms, a leaky ReLU on the condition's mean and deviation",
    )
    text_encoder: Literal["gru", "sentence-transformers", "given"] = Field(
        "gru",
        description="gru: small, learnt with the players; sentence-transformers: pretrained and frozen; given: the "
        "data's own column of embeddings takes the place of texts",
    )
    text_width: PositiveInt = Field(64, description="gru: dimensions of word vectors and of a text's embedding")
    text_model: str = Field("all-MiniLM-L6-v2", description="sentence-transformers: name or folder of the model")
    augmentation: PositiveInt = Field(64, description="dimensions of the condition drawn around a text's embedding")
    downsamplings: PositiveInt = Field(2, description="halvings of stage I's picture before stage II redraws it")
    residual_blocks: PositiveInt = Field(2, description="of stage II, between its reading and its redrawing")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"embeddings" if self.text_encoder == "given" else "captions"})

    def maps(self, size: Size) -> Sequence[int]:
        sizes = [size for size in SIZES if size % self.enlargement == 0 and size // self.enlargement in SIZES]
        check_size(size, "stackgan doubles a 4 to 7 pixel map twice or more", sizes)
        return _maps_down_from(size)


class StackganDiscriminator(ConvolutionalSpec, DiscriminatorSpec):
    """The trunk of each stage's discriminator as the authors' code for birds has it (Zhang et al. 2017)."""

    family: Literal["stackgan"] = "stackgan"
    norm: Literal["batch", "none"] = Field("batch", description="normalisation of D's hidden layers")
    width: PositiveInt = Field(
        64, description="channels of the first layer; doubles at each halving, then back to 8 times it"
    )

    def maps(self, size: Size) -> Sequence[int]:
        check_size(size, "stackgan halves an image to 4 to 7 pixels", SIZES)
        return _maps_down_from(size)[1:]


FAMILY = Family(StackganGenerator, StackganDiscriminator, "gan_models.families.stackgan.networks:Stackgan", "text")
