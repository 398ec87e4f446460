"""Progressive growing (Karras et al. 2018, section 2 and appendix A.1): the adversarial game at doubling sizes."""

from collections.abc import Callable
from itertools import accumulate, pairwise
from operator import add

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from gan_models.data.shape import DataShape, Size
from gan_models.families.interfaces import Inputs
from gan_models.families.progressive.networks import GrowingGenerator, GrowingTrunk
from gan_models.families.progressive.spec import COARSEST
from gan_models.games.adversarial.game import AdversarialGame
from gan_models.games.base import Batch
from gan_models.games.progressive.spec import Progressive, schedule_of
from gan_models.recipes.schema import Recipe


class ProgressiveGame(AdversarialGame[Progressive]):
    """D and G play at the stage's size, on images that are cross-faded as the networks are.

    The moments of the optimizers belong to the networks of one size: they start anew at each next one.
    """

    generator: GrowingGenerator

    def __init__(self, recipe: Recipe, shape: DataShape, device: torch.device) -> None:
        super().__init__(recipe, shape, device)
        trunk = self.discriminator.trunk
        assert isinstance(trunk, GrowingTrunk)
        self.trunk = trunk
        self.schedule = schedule_of(recipe, Size.of(shape.image))

    def step(self, draw: Callable[[], Batch], *, report: bool) -> dict[str, Tensor]:
        level, alpha = self.schedule.stage(self.steps)
        if self.steps > 0 and self.schedule.stage(self.steps - 1)[0] != level:
            self.begin_learning()
        self.generator.stage.enter(level, alpha)
        self.trunk.stage.enter(level, alpha)
        figures = {"stage/size": float(COARSEST << level), "stage/alpha": alpha}
        return super().step(draw, report=report) | {
            name: torch.full((), value, device=self.device) for name, value in figures.items()
        }

    @property
    def resolution(self) -> int:
        return COARSEST << self.schedule.stage(self.steps)[0]

    def stretches(self) -> dict[int, int]:
        begins = [0, *accumulate(map(add, self.schedule.holds, self.schedule.fades))]
        # Each size but the first begins with its fade.
        begins[1:] = [begin - fade for begin, fade in zip(begins[1:], self.schedule.fades, strict=True)]
        total = self.recipe.training.steps
        lengths = [end - begin for begin, end in pairwise([*begins, total])]
        return dict(zip([*begins[:-1], total - 1], lengths, strict=True))

    def prepared(self, batch: Batch) -> Batch:
        batch = super().prepared(batch)
        level, alpha = self.schedule.stage(self.steps)
        return batch._replace(images=at_stage(batch.images, level, alpha))

    def generate(self, inputs: Inputs) -> Tensor:
        return self.generator.draw_at_stage(**inputs)


def at_stage(images: Tensor, level: int, alpha: float) -> Tensor:
    """Real images [B, C, H, W] as D sees them at a stage: box-filtered down to its size, cross-faded as the fakes are.

    The fade mixes an image with itself at half the size (the authors' public code).
    """
    seen = avg_pool2d(images, min(images.shape[2:]) // (COARSEST << level))
    return seen if alpha >= 1.0 else torch.lerp(interpolate(avg_pool2d(seen, 2), scale_factor=2), seen, alpha)
