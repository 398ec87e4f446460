"""The network of user-guided colorization (Zhang et al. 2017), as a recipe names it."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from gan_models.errors import RequestError
from gan_models.families.base import Family, TranslatorNorm, TranslatorSpec
from gan_models.sections import PositiveInt

_COARSEST = 8
"""Three halvings: each pixel of the coarsest maps stands for 8x8."""


class LabColorizationGenerator(TranslatorSpec):
    """From lightness and hints to a* and b*, with a say on quantised colours on the way (Zhang et al. 2017)."""

    family: Literal["lab-colorization"] = "lab-colorization"
    norm: TranslatorNorm = "batch"
    width: PositiveInt = Field(64, description="channels at full resolution; doubles at each of three halvings")

    def maps(self, size: int) -> Sequence[int]:
        """Raises RequestError for a side that cannot be halved three times and doubled back."""
        if size % _COARSEST or size < 2 * _COARSEST:
            near = max(2 * _COARSEST, round(size / _COARSEST) * _COARSEST)
            raise RequestError(
                f"{size} pixels: lab-colorization halves images three times, to 2 pixels or more: use a multiple of "
                f"{_COARSEST} such as {near}"
            )
        return [size, size // 2, size // 4, size // 8]


FAMILY = Family(
    LabColorizationGenerator, None, "gan_models.families.lab_colorization.networks:LabColorization", "colorization"
)
