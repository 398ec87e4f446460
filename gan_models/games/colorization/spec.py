"""The settings of colorization with hints (Zhang et al. 2017; Isola et al. 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gan_models.data.shape import Size
from gan_models.errors import RequestError
from gan_models.games.spec import UnpairedLossSpec
from gan_models.sections import NonNegativeFloat, PositiveInt, Share

if TYPE_CHECKING:
    from gan_models.recipes.schema import Recipe

_IN_LAB = "lab-colorization"
_NOBODY = "none"


class Colorization(UnpairedLossSpec):
    """Distances to the true colours, some of which the generator is told, and an adversarial loss if it has one."""

    kind: Literal["colorization"] = "colorization"
    adversarial: NonNegativeFloat = Field(
        1.0, description="weight of the adversarial loss in G's loss; 0: there is no discriminator"
    )
    l1: NonNegativeFloat = Field(100.0, description="weight of the mean absolute distance to the true colours in RGB")
    huber: NonNegativeFloat = Field(
        0.0,
        description="weight of Huber's distance to the true a* and b*, square within 1 of +-110, of networks in Lab",
    )
    classification: NonNegativeFloat = Field(
        0.0, description="weight of the cross entropy of the quantised colours, of networks in Lab"
    )
    classify_until: Share = Field(
        0.0,
        description="share of the steps in which the body of a network in Lab learns from the quantised colours alone, "
        "and no hints are given; then from the distances, with hints",
    )
    crop: PositiveInt | None = Field(
        None,
        description="G learns on random parts of the images, of 8 to 100 % of their area, at so many pixels a side",
    )
    hint_end: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.125, description="the number of hints is geometric: before each, they end with this probability"
    )
    hint_size: PositiveInt = Field(9, description="a hint is the mean colour of a square of 1 to so many pixels a side")
    reveal: Share = Field(0.01, description="share of the images that all true colours are told of, to learn to copy")

    played_by: ClassVar[str] = "gan_models.games.colorization.game:ColorizationGame"

    @property
    def paced_by(self) -> str:  # type: ignore[override]
        return f"game.classify_until={self.classify_until:g}" if self.classify_until else ""

    def check(self, recipe: Recipe) -> None:
        super().check(recipe)
        family = recipe.networks.discriminator.family
        if self.adversarial and family == _NOBODY:
            raise RequestError(
                f"game.adversarial={self.adversarial:g} and networks.discriminator.family=none: set the first to 0, or "
                "choose a discriminator such as colorization"
            )
        if not self.adversarial:
            self._check_alone(recipe)
        if recipe.networks.generator.family != _IN_LAB:
            for name in ("huber", "classification", "classify_until"):
                if getattr(self, name):
                    raise RequestError(
                        f"game.{name}={getattr(self, name):g} is for a network in Lab: set networks.generator.family="
                        f"{_IN_LAB}, or game.{name}=0"
                    )
        if self.classify_until and not self.classification:
            raise RequestError(
                f"game.classify_until={self.classify_until:g} and game.classification=0: nothing would be learnt in "
                "that share; set the second above 0"
            )
        if self.crop is not None:
            if self.crop > recipe.data.size.shorter:
                raise RequestError(f"game.crop={self.crop} is larger than data.size={recipe.data.size}: set it lower")
            if recipe.networks.generator.get("attention", ()):
                raise RequestError("game.crop changes the sizes of maps that attention is for: set one of them only")
            recipe.networks.generator.maps(Size.square(self.crop))

    def _check_alone(self, recipe: Recipe) -> None:
        """What there must not be where no discriminator is trained."""
        family = recipe.networks.discriminator.family
        if family != _NOBODY:
            raise RequestError(
                f"game.adversarial=0 trains no discriminator, and networks.discriminator.family={family} is one: set "
                "networks.discriminator={family: none}, or the first above 0"
            )
        if not (self.l1 or self.huber):
            raise RequestError(
                "game.adversarial=0, game.l1=0 and game.huber=0 leave G nothing to learn: set one above 0"
            )
        for term in recipe.regularizers:
            if term.joins == "discriminator":
                raise RequestError(f"the regularizer {term.name!r} joins D's loss, and there is no D: leave it out")
        for name, usual in (("augmentations", ()), ("discriminator_steps", 1)):
            if getattr(self, name) != usual:
                raise RequestError(f"game.{name} is of a discriminator, and there is none: leave it out")
