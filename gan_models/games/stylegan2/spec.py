"""The settings of StyleGAN2's training (Karras et al. 2020a; with adaptive augmentation, 2020b)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from gan_models.errors import RequestError
from gan_models.games.adversarial.spec import AdversarialSpec
from gan_models.sections import Share

if TYPE_CHECKING:
    from gan_models.recipes.schema import Recipe


class StyleGan2(AdversarialSpec):
    """G's styles mixed, and penalties in steps of their own (Karras et al. 2020a, section 3 and appendix B)."""

    kind: Literal["stylegan2"] = "stylegan2"
    mixing: Share = Field(
        0.9, description="how often the layers from a random one on hear the style of another latent (style mixing)"
    )

    played_by: ClassVar[str] = "gan_models.games.stylegan2.game:StyleGan2Game"
    penalises_apart: ClassVar[bool] = True

    def check(self, recipe: Recipe) -> None:
        super().check(recipe)
        apart = [term for term in recipe.regularizers if term.every > 1]
        for term in apart:
            if not term.stands_apart:
                raise RequestError(
                    f"regularizer {term.name!r} with every={term.every}: game.kind={self.kind} takes r1 and path-length"
                    " in steps of their own, and no others: set every=1"
                )
        for player in ("generator", "discriminator"):
            intervals = {term.every for term in apart if term.joins == player}
            if len(intervals) > 1:
                raise RequestError(
                    f"regularizers of the {player} with every={' and every='.join(map(str, sorted(intervals)))}: steps "
                    "of their own come at one interval, which Adam's rates are corrected for: give them one"
                )
