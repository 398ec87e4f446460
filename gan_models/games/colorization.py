"""Colorization with hints: adversarial loss beside the distance to the true colours (Zhang et al. 2017; Isola et al.
2017)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from gan_models.data.hints import all_told, geometric_counts, grey_of, simulate_hints
from gan_models.families.building import DataShape
from gan_models.families.procedures import check_procedure
from gan_models.games import Batch
from gan_models.games.image_to_image import ImageToImageGame, loss_called
from gan_models.recipes.game_specs import Colorization
from gan_models.recipes.schema import Recipe


class ColorizationGame(ImageToImageGame):
    """Every image is its own truth: G sees it in grey with simulated hints, D tells true from drawn colours."""

    def __init__(self, recipe: Recipe, shape: DataShape, device: torch.device) -> None:
        assert isinstance(recipe.game, Colorization)
        self.rules: Colorization = recipe.game
        check_procedure(recipe, "colorization")
        self.loss = loss_called(self.rules.loss)
        super().__init__(recipe, shape, device)

    def step(self, draw: Callable[[], Batch], *, report: bool) -> dict[str, Tensor]:
        self.begin_step()
        for _ in range(self.rules.discriminator_steps - 1):
            batch = draw()
            with torch.no_grad():
                fake = self.colour(batch.images)
            self.move_discriminator(batch.images, fake, report=False)
        images = draw().images
        fake = self.colour(images)
        metrics = self.move_discriminator(images, fake.detach(), report=report)
        metrics |= self.move_generator(images, fake, report=report)
        self.steps += 1
        return metrics

    def colour(self, images: Tensor) -> Tensor:
        """The images [B, 3, H, W] as G colours them, with hints of their own colours."""
        with self.precision():
            fake: Tensor = self.generator(grey_of(images), self.draw_hints(images))
        return fake.float()

    def draw_hints(self, images: Tensor) -> Tensor:
        """Hints [B, 4, H, W] as a user might give them; for a few images, the colours of all pixels."""
        counts = geometric_counts(len(images), self.rules.hint_end)
        hints = simulate_hints(images, counts, self.rules.hint_size)
        revealed = (torch.rand(len(images)) < self.rules.reveal).to(images.device)
        return torch.where(revealed[:, None, None, None], all_told(images), hints)

    def move_discriminator(self, images: Tensor, fake: Tensor, *, report: bool) -> dict[str, Tensor]:
        judged = self.judge(images, fake)
        real_logits, fake_logits = judged.real_output.logits, judged.fake_output.logits
        loss = self.loss.discriminator(real_logits, fake_logits)
        metrics = {
            "D/loss": loss.detach(),
            "D/accuracy_real": (real_logits.detach() > 0).float().mean(),
            "D/accuracy_fake": (fake_logits.detach() < 0).float().mean(),
        }
        return metrics | self.move(loss, self.round("discriminator", judged), report=report)

    def move_generator(self, images: Tensor, fake: Tensor, *, report: bool) -> dict[str, Tensor]:
        with self.discriminator_as_it_is():
            judged = self.judge_generated(images, fake)
            logits = judged.fake_output.logits
            adversarial, distance = self.loss.generator(logits, logits.new_empty(0)), l1_loss(fake, images)
            loss = self.rules.adversarial * adversarial + self.rules.l1 * distance
            metrics = {"G/loss": loss.detach(), "G/adversarial": adversarial.detach(), "G/l1": distance.detach()}
            return metrics | self.move(loss, self.round("generator", judged), report=report)
