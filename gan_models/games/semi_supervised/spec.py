"""The settings of semi-supervised learning with a GAN (Salimans et al. 2016, section 5; Odena 2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from gan_models.errors import RequestError
from gan_models.games.spec import GameSpec
from gan_models.sections import NonNegativeFloat, PositiveInt

if TYPE_CHECKING:
    from gan_models.recipes.schema import Recipe


class SemiSupervised(GameSpec):
    """D is a classifier of K classes whose logits also say how real an image is (Salimans et al. 2016, section 5)."""

    kind: Literal["semi-supervised"] = "semi-supervised"
    labels_per_class: PositiveInt = Field(10, description="training images of each class whose label is used")
    supervised: NonNegativeFloat = Field(1.0, description="weight of the supervised loss")
    adversarial: NonNegativeFloat = Field(1.0, description="weight of G's own loss, beside feature matching")

    played_by: ClassVar[str] = "gan_models.games.semi_supervised.game:SemiSupervisedGame"
    needs: ClassVar[frozenset[str]] = frozenset({"labels"})
    partly_labelled: ClassVar[bool] = True
    names_classes: ClassVar[bool] = True

    def check(self, recipe: Recipe) -> None:
        super().check(recipe)
        if recipe.conditional:
            raise RequestError(
                "game.kind=semi-supervised names the class by D itself and tells neither player: "
                "set conditioning.generator=none and conditioning.discriminator=none"
            )
        matched = [term for term in recipe.regularizers if term.name == "feature-matching" and term.weight]
        if not self.adversarial and not any(term.joins == "generator" for term in matched):
            raise RequestError(
                "game.adversarial=0 leaves G nothing to learn from: set it above 0, or add regularizers=[{name: "
                "feature-matching}]"
            )
