"""StackGAN's generator (Zhang et al. 2017), as a recipe names it; its discriminator is of any family."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from gan_models.families.base import ConvolutionalSpec, Family, GeneratorSpec, MaxWidth
from gan_models.families.resolutions import SIZES as ALL_SIZES
from gan_models.families.resolutions import check_size
from gan_models.sections import PositiveInt

SIZES = [size for size in ALL_SIZES if size // 2 in ALL_SIZES]
"""Stage I makes half the size, and a discriminator of its own halves that down to 4 to 7 pixels."""
_COARSEST = 7


def sizes_down_from(size: int) -> list[int]:
    """The map sizes from `size` down to 4 to 7 pixels."""
    sizes = [size]
    while sizes[-1] > _COARSEST:
        sizes.append(sizes[-1] // 2)
    return sizes


class StackganGenerator(ConvolutionalSpec, GeneratorSpec):
    """Text to image in two stages, the first at half the size (Zhang et al. 2017)."""

    hears: ClassVar[tuple[str, ...]] = ()
    deaf: ClassVar[str] = "stackgan is conditioned on texts, not classes: set both of `conditioning` to none"

    family: Literal["stackgan"] = "stackgan"
    norm: Literal["batch", "none"] = Field("batch", description="normalisation of G's hidden layers")
    width: PositiveInt = Field(32, description="channels of each stage's last layer; doubles at each halving of maps")
    max_width: MaxWidth = 256
    text_encoder: Literal["gru", "sentence-transformers"] = Field(
        "gru", description="gru: small, learnt with the players; sentence-transformers: pretrained and frozen"
    )
    text_width: PositiveInt = Field(64, description="gru: dimensions of word vectors and of a text's embedding")
    text_model: str = Field("all-MiniLM-L6-v2", description="sentence-transformers: name or folder of the model")
    augmentation: PositiveInt = Field(64, description="dimensions of the condition drawn around a text's embedding")
    downsamplings: PositiveInt = Field(2, description="halvings of stage I's picture before stage II redraws it")
    residual_blocks: PositiveInt = Field(2, description="of stage II, between its reading and its redrawing")

    def maps(self, size: int) -> Sequence[int]:
        check_size(size, "stackgan doubles a 4 to 7 pixel map twice or more", SIZES)
        return sizes_down_from(size)


FAMILY = Family(StackganGenerator, None, "gan_models.families.stackgan.networks:Stackgan", "text")
