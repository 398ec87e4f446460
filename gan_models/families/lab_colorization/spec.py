"""The network of user-guided colorization (Zhang et al. 2017), as a recipe names it."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from gan_models.data.shape import Size
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

    def maps(self, size: Size) -> Sequence[int]:
        """Raises RequestError for a side that cannot be halved three times and doubled back."""
        if not size.is_multiple_of(_COARSEST) or size.shorter < 2 * _COARSEST:
            near = Size(*(max(2 * _COARSEST, round(side / _COARSEST) * _COARSEST) for side in size))
            multiples = "a multiple" if size.is_square else "multiples"
            raise RequestError(
                f"{size} pixels: lab-colorization halves images three times, to 2 pixels or more: use {multiples} of "
                f"{_COARSEST} such as {near}"
            )
        return [size.shorter >> halvings for halvings in range(4)]


FAMILY = Family(
    LabColorizationGenerator, None, "gan_models.families.lab_colorization.networks:LabColorization", "colorization"
)
