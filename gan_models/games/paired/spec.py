"""The settings of pix2pix's game (Isola et al. 2017, section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from gan_models.errors import RequestError
from gan_models.games.spec import LossGameSpec
from gan_models.sections import NonNegativeFloat

if TYPE_CHECKING:
    from gan_models.recipes.schema import Recipe


class Paired(LossGameSpec):
    """Adversarial loss on pairs, and the distance to the true partner (Isola et al. 2017, section 3.1)."""

    kind: Literal["paired"] = "paired"
    adversarial: NonNegativeFloat = Field(1.0, description="weight of the adversarial loss in G's loss")
    l1: NonNegativeFloat = Field(100.0, description="weight of the mean absolute distance to the true image")

    played_by: ClassVar[str] = "gan_models.games.paired.game:PairedGame"
    least_batch: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"partners"})

    def check(self, recipe: Recipe) -> None:
        super().check(recipe)
        if self.augmentations:
            raise RequestError(
                f"game.augmentations={list(self.augmentations)} change one side of a pair: leave them out; "
                "training.flip and training.load_size change both sides alike"
            )
