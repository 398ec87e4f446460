"""StarGAN's game (Choi et al. 2018, section 3): translation to any domain by one generator."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, l1_loss

from gan_models.families.building import DataShape
from gan_models.families.procedures import check_procedure
from gan_models.games import Batch
from gan_models.games.cycle import domains_of
from gan_models.games.image_to_image import ImageToImageGame, loss_called
from gan_models.recipes.game_specs import AttributeTransfer
from gan_models.recipes.schema import Recipe


class AttributeTransferGame(ImageToImageGame):
    """Adversarial loss, domain classification and reconstruction (eq. 1 to 6).

    Targets are the domains of the batch in another order, as in the public code. D learns to name the domain of real
    images only, G to make images that D names right; the last D step and the G step share their images.
    """

    def __init__(self, recipe: Recipe, shape: DataShape, device: torch.device) -> None:
        assert isinstance(recipe.game, AttributeTransfer)
        self.rules: AttributeTransfer = recipe.game
        check_procedure(recipe, "attribute-transfer")
        self.loss = loss_called(self.rules.loss)
        super().__init__(recipe, shape, device)

    def step(self, draw: Callable[[], Batch], *, report: bool) -> dict[str, Tensor]:
        self.begin_step()
        for _ in range(self.rules.discriminator_steps - 1):
            batch = draw()
            with torch.no_grad():
                fake, _ = self.translate(batch)
            self.move_discriminator(batch, fake, report=False)
        batch = draw()
        fake, targets = self.translate(batch)
        metrics = self.move_discriminator(batch, fake.detach(), report=report)
        metrics |= self.move_generator(batch, fake, targets, report=report)
        self.steps += 1
        return metrics

    def translate(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Each image translated to the domain of another one: images [B, C, H, W] and targets int64 [B]."""
        domains = domains_of(batch)
        targets = domains[torch.randperm(len(domains), device=domains.device)]
        with self.precision():
            fake: Tensor = self.generator(batch.images, targets)
        return fake.float(), targets

    def move_discriminator(self, batch: Batch, fake: Tensor, *, report: bool) -> dict[str, Tensor]:
        judged = self.judge(batch.images, fake)
        adversarial = self.loss.discriminator(judged.real_output.logits, judged.fake_output.logits)
        assert judged.real_output.class_logits is not None
        domain = cross_entropy(judged.real_output.class_logits, domains_of(batch))
        metrics = {"D/loss": adversarial.detach(), "D/domain_loss": domain.detach()}
        if self.loss.critic:
            metrics["D/wasserstein"] = -adversarial.detach()
        loss = adversarial + self.rules.classification * domain
        return metrics | self.move(loss, self.round("discriminator", judged), report=report)

    def move_generator(self, batch: Batch, fake: Tensor, targets: Tensor, *, report: bool) -> dict[str, Tensor]:
        with self.discriminator_as_it_is():
            judged = self.judge_generated(batch.images, fake)
            output = judged.fake_output
            adversarial = self.loss.generator(output.logits, output.logits.new_empty(0))
            assert output.class_logits is not None
            domain = cross_entropy(output.class_logits, targets)
            with self.precision():
                returned = self.generator(fake, domains_of(batch))
            reconstruction = l1_loss(returned.float(), batch.images)
            loss = adversarial + self.rules.classification * domain + self.rules.reconstruction * reconstruction
            metrics = {
                "G/loss": loss.detach(),
                "G/adversarial": adversarial.detach(),
                "G/domain_loss": domain.detach(),
                "G/reconstruction": reconstruction.detach(),
            }
            return metrics | self.move(loss, self.round("generator", judged), report=report)
