"""Networks that colour grey images (Zhang et al. 2017; Isola et al. 2017), as a recipe names them."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

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

    def maps(self, size: int) -> Sequence[int]:
        """Raises RequestError for an odd side, which cannot be halved and doubled back."""
        if size % 2:
            raise RequestError(
                f"data.size={size}: colorization halves the image, so use an even size such as {size + 1}"
            )
        maps = [size]
        while len(maps) <= self.halvings and maps[-1] % 2 == 0 and maps[-1] >= 2 * _LEAST_MAP:
            maps.append(maps[-1] // 2)
        return maps


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
