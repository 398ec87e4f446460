"""Progressive growing (Karras et al. 2018, section 2 and appendix A.1): the adversarial game at doubling sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from gan_models.errors import RequestError
from gan_models.families.building import DataShape, Inputs
from gan_models.families.progressive.networks import COARSEST, GrowingGenerator, GrowingTrunk, doubled, levels_of
from gan_models.games import Batch
from gan_models.games.adversarial import AdversarialGame
from gan_models.games.two_player import make_optimizer
from gan_models.recipes.game_specs import Progressive
from gan_models.recipes.schema import Recipe


class Schedule(NamedTuple):
    """Hold 4x4, fade in 8x8, hold it, ... up to `levels`, which is held to the end; a pure function of the step."""

    levels: int
    hold: int
    """Steps of each hold but the last."""
    fade: int
    """Steps of each fade."""

    def stage(self, step: int) -> tuple[int, float]:
        """(level, alpha) at a step counted from 0; a fade starts at alpha = 0."""
        period = self.hold + self.fade
        if step >= self.levels * period:
            return self.levels, 1.0
        level, place = divmod(step, period)
        return (level, 1.0) if place < self.hold else (level + 1, (place - self.hold) / self.fade)


def schedule_of(recipe: Recipe, size: int) -> Schedule:
    """The recipe's schedule up to images of `size` pixels.

    Raises:
        RequestError: the phases do not fit into the training.
    """
    rules, training = recipe.game, recipe.training
    assert isinstance(rules, Progressive)
    levels = levels_of(size)
    if rules.phase_images is not None:
        phase = max(1, round(rules.phase_images / (training.batch_size * rules.discriminator_steps)))
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


class ProgressiveGame(AdversarialGame):
    """D and G play at the stage's size, on images that are cross-faded as the networks are.

    The moments of the optimizers belong to the networks of one size: they start anew at each next one.
    """

    def __init__(self, recipe: Recipe, shape: DataShape, device: torch.device) -> None:
        check_growing(recipe)
        super().__init__(recipe, shape, device)
        generator, trunk = self.generator, self.discriminator.trunk
        assert isinstance(generator, GrowingGenerator)
        assert isinstance(trunk, GrowingTrunk)
        self.growing_generator, self.growing_trunk = generator, trunk
        self.schedule = schedule_of(recipe, shape.image[1])

    def step(self, draw: Callable[[], Batch], *, report: bool) -> dict[str, Tensor]:
        level, alpha = self._enter_stage()

        def draw_at_stage() -> Batch:
            batch = draw()
            return batch._replace(images=at_stage(batch.images, level, alpha))

        metrics = super().step(draw_at_stage, report=report)
        figures = {"stage/size": float(COARSEST << level), "stage/alpha": alpha}
        return metrics | {name: torch.full((), value, device=self.device) for name, value in figures.items()}

    def generate(self, inputs: Inputs) -> Tensor:
        return self.growing_generator.draw_at_stage(**inputs)

    def _enter_stage(self) -> tuple[int, float]:
        """Both networks into the stage of this step, with new optimizers where it is of another size."""
        level, alpha = self.schedule.stage(self.steps)
        if self.steps > 0 and self.schedule.stage(self.steps - 1)[0] != level:
            optimizers = self.recipe.optimizers
            self.generator_optimizer = make_optimizer(optimizers.generator, self.generator)
            self.discriminator_optimizer = make_optimizer(optimizers.discriminator, self.discriminator)
        self.growing_generator.stage.enter(level, alpha)
        self.growing_trunk.stage.enter(level, alpha)
        return level, alpha


def check_growing(recipe: Recipe) -> None:
    """Refuses networks that do not grow.

    Raises:
        RequestError: with the reason and the remedy.
    """
    for player, spec in (("generator", recipe.networks.generator), ("discriminator", recipe.networks.discriminator)):
        if spec.family != "progressive":
            raise RequestError(
                f"game.kind=progressive grows its networks, which family {spec.family} does not: "
                f"set networks.{player}.family=progressive, or game.kind=adversarial"
            )
    if recipe.conditioning.discriminator not in ("none", "classifier"):
        raise RequestError(
            f"conditioning.discriminator={recipe.conditioning.discriminator}: a growing D takes no labels, but may "
            "name them: set it to classifier"
        )


def at_stage(images: Tensor, level: int, alpha: float) -> Tensor:
    """Real images [B, C, H, W] as D sees them at a stage: box-filtered down to its size, cross-faded as the fakes are.

    The fade mixes an image with itself at half the size (the authors' public code).
    """
    seen = avg_pool2d(images, images.shape[2] // (COARSEST << level))
    return seen if alpha >= 1.0 else torch.lerp(doubled(avg_pool2d(seen, 2)), seen, alpha)
