"""Networks that colour grey images (Zhang et al. 2017; Isola et al. 2017), as a recipe names them."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from gan_models.data.shape import Size
from gan_models.errors import RequestError
from gan_models.families.base import (
    DiscriminatorNorm,
    Family,
    MaxWidth,
    PatchDiscriminator,
    TranslatorNorm,
    TranslatorSpec,
)
from gan_models.sections import PositiveInt

_LEAST_MAP = 2


class ColorizationGenerator(TranslatorSpec):
    """A U-Net from the grey image and the colour hints to the colours (after Zhang et al. 2017, Isola et al. 2017)."""

    family: Literal["colorization"] = "colorization"
    norm: TranslatorNorm = "batch"
    width: PositiveInt = Field(64, description="channels at full resolution; doubles at each halving of the image")
    max_width: MaxWidth = 512
    halvings: PositiveInt = Field(4, description="how often the image is halved, at most; a 2x2 map is not")

    def maps(self, size: Size) -> Sequence[int]:
        """Raises RequestError for an odd side, which cannot be halved and doubled back."""
        if not size.is_multiple_of(2):
            even = Size(*(side + side % 2 for side in size))
            raise RequestError(f"data.size={size}: colorization halves the image, so use an even size such as {even}")
        maps = [size]
        while len(maps) <= self.halvings and maps[-1].is_multiple_of(2) and maps[-1].shorter >= 2 * _LEAST_MAP:
            maps.append(maps[-1].halved())
        return [each.shorter for each in maps]


class ColorizationDiscriminator(PatchDiscriminator):
    """A PatchGAN on colour images, of which the grey image is a function (Isola et al. 2017)."""

    family: Literal["colorization"] = "colorization"
    norm: DiscriminatorNorm = "batch"


FAMILY = Family(
    ColorizationGenerator,
    ColorizationDiscriminator,
    "gan_models.families.colorization.networks:Colorization",
    "colorization",
)
