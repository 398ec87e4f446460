"""The settings of progressive growing (Karras et al. 2018, section 2 and appendix A.1), and its schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field

from gan_models.data.shape import Size
from gan_models.errors import RequestError
from gan_models.families.progressive.spec import COARSEST, levels_of
from gan_models.games.adversarial.spec import AdversarialSpec
from gan_models.schedules import Moment, value_at
from gan_models.sections import PositiveInt, Share

if TYPE_CHECKING:
    from gan_models.recipes.schema import Recipe

_GROWS = "progressive"


class Schedule(NamedTuple):
    """Hold 4x4, fade in 8x8, hold it, ... the full size is held to the end; a pure function of the step."""

    holds: tuple[int, ...]  # steps that each size but the full one is held
    fades: tuple[int, ...]  # steps that each size but the first is faded in

    @classmethod
    def even(cls, levels: int, hold: int, fade: int) -> Schedule:
        """Of so many doublings, with holds and fades of equal lengths."""
        return cls((hold,) * levels, (fade,) * levels)

    @property
    def growing(self) -> int:
        """Steps until the images have their full size."""
        return sum(self.holds) + sum(self.fades)

    def stage(self, step: int) -> tuple[int, float]:
        """(level, alpha) at a step counted from 0; a fade starts at alpha = 0."""
        for level, (hold, fade) in enumerate(zip(self.holds, self.fades, strict=True)):
            if step < hold:
                return level, 1.0
            if step < hold + fade:
                return level + 1, (step - hold) / fade
            step -= hold + fade
        return len(self.holds), 1.0


class Progressive(AdversarialSpec):
    """The adversarial game on images that double from 4x4 while it is played (Karras et al. 2018, section 2).

    Each size is held, then the next is faded in, in phases of equal length; the full size is held to the end. Phases
    counted in images take fewer steps where the batch of their size is larger.
    """

    kind: Literal["progressive"] = "progressive"
    growing: Share = Field(0.6, description="share of training.steps until the images have their full size")
    fading: Share = Field(0.5, description="share of the growing that new layers are faded in; sizes are held else")
    phase_images: PositiveInt | None = Field(
        None, description="length of each phase in real images instead (800,000 as published); growing and fading rest"
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


def schedule_of(recipe: Recipe, size: Size) -> Schedule:
    """The recipe's schedule up to images of a size; RequestError where the phases do not fit in."""
    rules, training = recipe.game, recipe.training
    assert isinstance(rules, Progressive)
    levels = levels_of(size)
    if rules.phase_images is not None:
        steps = [_phase(rules.phase_images, level, recipe) for level in range(levels + 1)]
        schedule = Schedule(tuple(steps[:-1]), tuple(steps[1:]))
        if schedule.growing >= training.steps:
            raise RequestError(
                f"game.phase_images={rules.phase_images}: growing to {size.shorter} pixels takes {2 * levels} phases "
                f"of {_span(steps)} steps, {schedule.growing} in all, and training.steps={training.steps} leaves none "
                "at full size: lower the one or raise the other"
            )
        return schedule
    period = int(rules.growing * training.steps) // levels
    if period < 2:
        raise RequestError(
            f"training.steps={training.steps} with game.growing={rules.growing} leaves {period} for each of the "
            f"{levels} sizes below {size.shorter} pixels: raise training.steps to {2 * levels} / game.growing at least"
        )
    fade = round(rules.fading * period)
    return Schedule.even(levels, period - fade, fade)


def _phase(images: int, level: int, recipe: Recipe) -> int:
    """Steps in which so many real images are shown at a level."""
    batch = value_at(recipe.training.batch_size, Moment(0.0, COARSEST << level))
    return max(1, round(images / (batch * recipe.game.discriminator_steps)))


def _span(steps: list[int]) -> str:
    return f"{min(steps)}" if min(steps) == max(steps) else f"{min(steps)} to {max(steps)}"
