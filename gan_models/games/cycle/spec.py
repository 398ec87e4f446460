"""The settings of CycleGAN's game (Zhu et al. 2017, section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from gan_models.errors import RequestError
from gan_models.families.cyclegan.spec import DOMAINS
from gan_models.games.spec import GameSpec
from gan_models.sections import NonNegativeFloat, NonNegativeInt

if TYPE_CHECKING:
    from gan_models.recipes.schema import Recipe


class Cycle(GameSpec):
    """Least squares on patches and consistency of a cycle through the other domain (Zhu et al. 2017, section 3)."""

    kind: Literal["cycle"] = "cycle"

    cycle: NonNegativeFloat = Field(10.0, description="weight of the distance between an image and its cycle")
    identity: NonNegativeFloat = Field(
        0.5, description="weight, as a share of `cycle`, of the change to an image that is of the target domain already"
    )
    pool: NonNegativeInt = Field(
        50, description="generated images of each domain that D is also shown later; 0: only the newest"
    )

    played_by: ClassVar[str] = "gan_models.games.cycle.game:CycleGame"
    least_batch: ClassVar[int] = 1  # of each domain, as published
    accumulates: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset({"domains"})
    most_domains: ClassVar[int | None] = DOMAINS

    def images_of(self, batch_size: int) -> int:
        return DOMAINS * batch_size

    def check(self, recipe: Recipe) -> None:
        super().check(recipe)
        for term in recipe.regularizers:
            if term.differentiates == "between":
                raise RequestError(
                    f"regularizer {term.name!r} needs real and generated images in pairs, and game.kind=cycle has them "
                    "of different domains: use r1"
                )
