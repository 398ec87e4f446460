"""Colorization with hints: distances to the true colours, in RGB or in Lab, and an adversarial loss beside them where
there is a discriminator (Zhang et al. 2017; Isola et al. 2017).

In Lab the first part of a training teaches the body of the network which quantised colours there are, as it colours
without hints; then it learns a* and b* themselves, with hints (Zhang et al. 2017, section 3.2: classification, then
Huber's distance with delta 1). What is not learnt from at the time learns on top of the body as it is.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, cross_entropy, grid_sample, l1_loss, smooth_l1_loss

from gan_models.data.hints import all_told, geometric_counts, simulate_hints
from gan_models.data.lab import AB_REACH, bin_of, lab_of
from gan_models.families.colorization.networks import Colorizer
from gan_models.families.interfaces import DiscriminatorOutput
from gan_models.families.lab_colorization.networks import CLASSIFIED, Colours, LabColorizer
from gan_models.games.base import Batch, Game, Loss, Made
from gan_models.games.colorization.spec import Colorization
from gan_models.regularizers import Round

_AREAS = (0.08, 1.0)  # of a random part, as a share of the image
_SHAPES = (3 / 4, 4 / 3)  # its width by its height


class ColorizationGame(Game[Colorization]):
    """Every image is its own truth: G sees it in grey with simulated hints; D, if any, tells true from drawn ones."""

    generator: Colorizer

    @property
    def classifying(self) -> bool:
        """Whether the body of a network in Lab learns from quantised colours at this step."""
        return self.steps < round(self.rules.classify_until * self.recipe.training.steps)

    def discriminator_moves(self) -> int:
        return self.rules.discriminator_steps if self.rules.adversarial else 0

    def prepared(self, batch: Batch) -> Batch:
        size = self.rules.crop
        return batch if size is None else batch._replace(images=random_parts(batch.images, size))

    def synthesize(self, batch: Batch) -> Made:
        """The images as G colours them, with hints of their own colours."""
        grey, hints = self.generator.grey(batch.images), self.draw_hints(batch.images)
        if not isinstance(self.generator, LabColorizer):
            with self.precision():
                return Made(self.generator(grey, hints).float())
        with self.precision():
            colours = self.generator.predict(grey, hints, classifying=self.classifying)
        colours = Colours(*(part.float() for part in colours))
        huber, classification = lab_losses(colours, batch.images)
        penalty = self.rules.huber * huber + self.rules.classification * classification
        images = self.generator.coloured(grey, colours.ab)
        return Made(images, penalty=penalty, figures={"G/huber": huber.detach(), "G/classes": classification.detach()})

    def draw_hints(self, images: Tensor) -> Tensor:
        """Hints [B, 4, H, W] as a user might give them; for a few images, the colours of all pixels."""
        batch = len(images)
        if self.classifying:
            return images.new_zeros(batch, 4, *images.shape[2:])
        counts = geometric_counts(torch.rand(batch, dtype=torch.float64), self.rules.hint_end)
        most = int(counts.max())
        sizes = torch.randint(1, self.rules.hint_size + 1, (batch, most))
        hints = simulate_hints(images, counts, sizes, torch.randn(batch, most, 2))
        revealed = (torch.rand(len(images)) < self.rules.reveal).to(images.device)
        return torch.where(revealed[:, None, None, None], all_told(images), hints)

    def judge_generated(self, batch: Batch, made: Made) -> Round:
        if self.rules.adversarial:
            return super().judge_generated(batch, made)
        nothing = made.images.new_empty(0)
        players = (self.generator, self.discriminator)
        unsaid = DiscriminatorOutput(nothing, nothing)
        return Round("generator", *players, batch.images, made.images, None, None, unsaid)

    def discriminator_loss(self, batch: Batch, made: Made, judged: Round) -> Loss:
        loss = self.rules.loss.discriminator(judged.real_logits, judged.fake_logits)
        return loss, {"D/loss": loss.detach(), **self.accuracy(judged, self.rules.loss.boundary)}

    def generator_loss(self, batch: Batch, made: Made, judged: Round) -> Loss:
        figures = dict(made.figures or {})
        distance = l1_loss(made.images, batch.images)
        figures["G/l1"] = distance.detach()
        # Not even 0 times it where it is not learnt from: its way back would be walked for nothing.
        loss = self.rules.l1 * distance if self.rules.l1 else distance.new_zeros(())
        if self.rules.adversarial:
            adversarial = self.rules.loss.generator(judged.fake_logits, judged.fake_logits.new_empty(0))
            loss = self.rules.adversarial * adversarial + loss
            figures["G/adversarial"] = adversarial.detach()
        if made.penalty is not None:
            loss = loss + made.penalty
        return loss, {"G/loss": loss.detach(), **figures}


def lab_losses(colours: Colours, images: Tensor) -> tuple[Tensor, Tensor]:
    """Huber's distance to the true a* and b*, and the cross entropy of their bins, for RGB [B, 3, H, W]; both 0-d.

    Distances are of a* and b* divided by 110, as the authors' code has them: delta 1 is 1/110 there, and what is added
    up over both channels is |d| - 1/220 beyond it. (Their code trains on |d| itself; the paper on this.)
    """
    ab = lab_of(images)[:, 1:]
    distance = smooth_l1_loss(colours.ab, ab / AB_REACH, beta=1.0 / AB_REACH, reduction="none").sum(1).mean()
    classes = bin_of(ab[:, :, ::CLASSIFIED, ::CLASSIFIED])
    return distance, cross_entropy(colours.logits, classes)


def random_parts(images: Tensor, size: int) -> Tensor:
    """A random part of each image [B, C, H, W], of 8 to 100 % of its area and about square, as [B, C, size, size].

    Bilinear, without smoothing first: a part is hardly ever much larger than it becomes.
    """
    batch = len(images)
    area = torch.empty(batch).uniform_(*_AREAS)
    shape = torch.empty(batch).uniform_(*map(math.log, _SHAPES)).exp()
    across_down = images.shape[3] / images.shape[2]
    forms = (shape / across_down, across_down / shape)  # as shares of the sides, where these differ
    width, height = ((area * each).sqrt().clamp(max=1.0) for each in forms)
    across, down = (torch.empty(batch).uniform_(-1.0, 1.0) for _ in range(2))
    corners = torch.zeros(batch, 2, 3)
    corners[:, 0, 0], corners[:, 0, 2] = width, (1.0 - width) * across
    corners[:, 1, 1], corners[:, 1, 2] = height, (1.0 - height) * down
    grid = affine_grid(corners, [batch, images.shape[1], size, size], align_corners=False)
    return grid_sample(images, grid.to(images.device), padding_mode="border", align_corners=False)
