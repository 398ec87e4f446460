"""The settings of text to image in two stages (Zhang et al. 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gan_models.errors import RequestError
from gan_models.games.spec import GameSpec
from gan_models.sections import NonNegativeFloat, PositiveInt, Share

if TYPE_CHECKING:
    from gan_models.recipes.schema import Recipe


class TextToImage(GameSpec):
    """D judges pairs of image and text; G is taught in two stages, the second at a larger size (Zhang et al. 2017)."""

    kind: Literal["text"] = "text"
    first_stage: Annotated[float, Field(gt=0.0, lt=1.0)] = Field(
        0.5, description="share of the steps that stage I is trained in, before it is frozen and stage II begins"
    )
    mismatched: Share = Field(
        0.5, description="weight of real images with another's text in D's loss; generated ones have the rest of 1"
    )
    divergence: NonNegativeFloat = Field(
        2.0, description="weight in G's loss of the condition's KL divergence from N(0, I)"
    )
    condition: PositiveInt = Field(64, description="dimensions that D compresses its own text embedding to")
    averaged: PositiveInt = Field(
        1, description="of an image's embeddings, where several come with it, so many are drawn at random and averaged"
    )

    paced_by: ClassVar[str] = "game.first_stage"
    played_by: ClassVar[str] = "gan_models.games.text.game:TextToImageGame"
    any_discriminator: ClassVar[bool] = True

    def check(self, recipe: Recipe) -> None:
        super().check(recipe)
        minibatch = recipe.networks.discriminator.get("minibatch", "none")
        if minibatch != "none":
            raise RequestError(
                f"networks.discriminator.minibatch={minibatch} and a text reshape D's features both: set it to none"
            )
        if recipe.training.steps < 2:
            raise RequestError("training.steps=1 leaves none for stage II: set it to 2 or more")
