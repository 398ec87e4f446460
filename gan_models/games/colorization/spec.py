"""The settings of colorization with hints (Zhang et al. 2017; Isola et al. 2017)."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gan_models.games.spec import UnpairedLossSpec
from gan_models.sections import NonNegativeFloat, PositiveInt, Share


class Colorization(UnpairedLossSpec):
    """Adversarial loss and distance to the true colours, some of which the generator is told (Zhang et al. 2017)."""

    kind: Literal["colorization"] = "colorization"
    adversarial: NonNegativeFloat = Field(1.0, description="weight of the adversarial loss in G's loss")
    l1: NonNegativeFloat = Field(100.0, description="weight of the mean absolute distance to the true colours")
    hint_end: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.125, description="the number of hints is geometric: before each, they end with this probability"
    )
    hint_size: PositiveInt = Field(9, description="a hint is the mean colour of a square of 1 to so many pixels a side")
    reveal: Share = Field(0.01, description="share of the images that all true colours are told of, to learn to copy")

    played_by: ClassVar[str] = "gan_models.games.colorization.game:ColorizationGame"
