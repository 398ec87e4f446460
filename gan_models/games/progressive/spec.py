"""The settings of progressive growing (Karras et al. 2018, section 2 and appendix A.1), and its schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field

from gan_models.errors import RequestError
from gan_models.families.progressive.spec import levels_of
from gan_models.games.adversarial.spec import AdversarialSpec
from gan_models.sections import PositiveInt, Share

if TYPE_CHECKING:
    from gan_models.recipes.schema import Recipe

_GROWS = "progressive"


class Schedule(NamedTuple):
    """Hold 4x4, fade in 8x8, hold it, ... up to `levels`, which is held to the end; a pure function of the step."""

    levels: int
    hold: int  # steps of each hold but the last
    fade: int  # steps of each fade

    def stage(self, step: int) -> tuple[int, float]:
        """(level, alpha) at a step counted from 0; a fade starts at alpha = 0."""
        period = self.hold + self.fade
        if step >= self.levels * period:
            return self.levels, 1.0
        level, place = divmod(step, period)
        return (level, 1.0) if place < self.hold else (level + 1, (place - self.hold) / self.fade)


class Progressive(AdversarialSpec):
    """The adversarial game on images that double from 4x4 while it is played (Karras et al. 2018, section 2).

    Each size is held, then the next is faded in, in phases of equal length; the full size is held to the end.
    """

    kind: Literal["progressive"] = "progressive"
    growing: Share = Field(0.6, description="share of training.steps until the images have their full size")
    fading: Share = Field(0.5, description="share of the growing that new layers are faded in; sizes are held else")
    phase_images: PositiveInt | None = Field(
        None, description="length of each phase in real images instead (600,000 as published); growing and fading rest"
    )

    paced_by: ClassVar[str] = "game.growing"
    played_by: ClassVar[str] = "gan_models.games.progressive.game:ProgressiveGame"

    def check(self, recipe: Recipe) -> None:
        for spec in (recipe.networks.generator, recipe.networks.discriminator):
            if spec.family != _GROWS:
                raise RequestError(
                    f"game.kind=progressive grows its networks, which family {spec.family} does not: "
                    f"set networks.{spec.player}.family={_GROWS}, or game.kind=adversarial"
                )
        if recipe.conditioning.discriminator not in ("none", "classifier"):
            raise RequestError(
                f"conditioning.discriminator={recipe.conditioning.discriminator}: a growing D takes no labels, but may "
                "name them: set it to classifier"
            )
        super().check(recipe)
        schedule_of(recipe, recipe.data.size)


def schedule_of(recipe: Recipe, size: int) -> Schedule:
    """The recipe's schedule up to images of `size` pixels; RequestError where the phases do not fit in."""
    rules, training = recipe.game, recipe.training
    assert isinstance(rules, Progressive)
    levels = levels_of(size)
    if rules.phase_images is not None:
        phase = max(1, round(rules.phase_images / (max(training.batch_sizes) * rules.discriminator_steps)))
        if 2 * levels * phase >= training.steps:
            raise RequestError(
                f"game.phase_images={rules.phase_images}: growing to {size} pixels takes {2 * levels} phases of "
                f"{phase} steps, and training.steps={training.steps} leaves none at full size: lower "
                "the one or raise the other"
            )
        return Schedule(levels, phase, phase)
    period = int(rules.growing * training.steps) // levels
    if period < 2:
        raise RequestError(
            f"training.steps={training.steps} with game.growing={rules.growing} leaves {period} for each of the "
            f"{levels} sizes below {size} pixels: raise training.steps to {2 * levels} / game.growing at least"
        )
    fade = round(rules.fading * period)
    return Schedule(levels, period - fade, fade)
