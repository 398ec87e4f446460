"""CycleGAN's game (Zhu et al. 2017, section 3): unpaired images of two domains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from gan_models.errors import RequestError
from gan_models.families.building import DataShape
from gan_models.families.cyclegan.networks import DOMAINS
from gan_models.families.procedures import check_procedure
from gan_models.games import Batch
from gan_models.games.image_pool import ImagePool
from gan_models.games.image_to_image import ImageToImageGame
from gan_models.recipes.game_specs import Cycle
from gan_models.recipes.schema import Recipe
from gan_models.regularizers import REGULARIZERS


class CycleGame(ImageToImageGame):
    """G moves first, then D, on the images G made before it moved and on older ones from a pool (appendix 7.1).

    A batch holds images of both domains as they come; each goes through the networks that its domain names, and every
    loss is the sum over domains of the mean over that domain's images: an absent domain adds nothing.
    """

    def __init__(self, recipe: Recipe, shape: DataShape, device: torch.device) -> None:
        assert isinstance(recipe.game, Cycle)
        self.rules: Cycle = recipe.game
        check_procedure(recipe, "cyclegan")
        for term in recipe.regularizers:
            if term.name in REGULARIZERS and REGULARIZERS[term.name].differentiates == "between":
                raise RequestError(
                    f"regularizer {term.name!r} needs real and generated images in pairs, and game.kind=cycle has them "
                    "of different domains: use r1"
                )
        super().__init__(recipe, shape, device)
        self.pools = [ImagePool(self.rules.pool) for _ in range(DOMAINS)]

    def step(self, draw: Callable[[], Batch], *, report: bool) -> dict[str, Tensor]:
        self.begin_step()
        batch = draw()
        fake, metrics = self.move_generator(batch, report=report)
        metrics |= self.move_discriminator(batch, fake, report=report)
        for _ in range(self.rules.discriminator_steps - 1):
            batch = draw()
            with torch.no_grad(), self.precision():
                fake = self.generator(batch.images, others(batch)).float()
            self.move_discriminator(batch, fake, report=False)
        self.steps += 1
        return metrics

    def move_generator(self, batch: Batch, *, report: bool) -> tuple[Tensor, dict[str, Tensor]]:
        """Translated images [B, C, H, W] without gradient, and metrics."""
        own, targets = domains_of(batch), others(batch)
        with self.discriminator_as_it_is():
            with self.precision():
                fake = self.generator(batch.images, targets)
                returned = self.generator(fake, own)
            fake = fake.float()
            judged = self.judge_generated(batch.images, fake, targets)
            adversarial = by_domain((judged.fake_output.logits - 1).square(), targets)
            cycle = by_domain((returned.float() - batch.images).abs(), own)
            loss = adversarial + self.rules.cycle * cycle
            metrics = {"G/adversarial": adversarial.detach(), "G/cycle": cycle.detach()}
            if self.rules.identity:
                with self.precision():
                    same = self.generator(batch.images, own)
                identity = by_domain((same.float() - batch.images).abs(), own)
                loss = loss + self.rules.cycle * self.rules.identity * identity
                metrics["G/identity"] = identity.detach()
            metrics["G/loss"] = loss.detach()
            return fake.detach(), metrics | self.move(loss, self.round("generator", judged, targets), report=report)

    def move_discriminator(self, batch: Batch, fake: Tensor, *, report: bool) -> dict[str, Tensor]:
        own, targets = domains_of(batch), others(batch)
        fake = fake.clone()
        for domain, pool in enumerate(self.pools):
            chosen = torch.nonzero(targets == domain)[:, 0]
            fake[chosen] = pool.query(fake[chosen])
        judged = self.judge(batch.images, fake, own, targets)
        real_logits, fake_logits = judged.real_output.logits, judged.fake_output.logits
        # Halved, so that D is slow beside G (section 4).
        loss = 0.5 * (by_domain((real_logits - 1).square(), own) + by_domain(fake_logits.square(), targets))
        metrics = {
            "D/loss": loss.detach(),
            "D/accuracy_real": (real_logits.detach() > 0.5).float().mean(),
            "D/accuracy_fake": (fake_logits.detach() < 0.5).float().mean(),
        }
        return metrics | self.move(loss, self.round("discriminator", judged, own), report=report)

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"pools": [pool.state_dict() for pool in self.pools]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        for pool, saved in zip(self.pools, state["pools"], strict=True):
            pool.load_state_dict(saved)


def domains_of(batch: Batch) -> Tensor:
    """int64 [B]; the loop hands them over because the game `needs` them."""
    assert batch.domains is not None
    return batch.domains


def others(batch: Batch) -> Tensor:
    """For each image the domain that it is not of, int64 [B]."""
    return 1 - domains_of(batch)


def by_domain(values: Tensor, domains: Tensor) -> Tensor:
    """Sum over domains of the mean of `values` [B, ...] over that domain's images, 0-d."""
    weights = 1.0 / torch.bincount(domains, minlength=DOMAINS).clamp(min=1)
    return (values.flatten(1).mean(1) * weights[domains]).sum()
