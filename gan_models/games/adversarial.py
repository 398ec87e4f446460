"""The two-player game of Goodfellow et al. 2014: D and G move in turn, by gradient steps on their own losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from gan_models.augmentations import AUGMENTATIONS, augment
from gan_models.errors import RequestError, unknown_name
from gan_models.games import Batch
from gan_models.losses import LOSSES
from gan_models.networks import build_discriminator, build_generator
from gan_models.recipes.schema import Optimizer, Recipe
from gan_models.regularizers import REGULARIZERS, Round


class AdversarialGame:
    """Alternating gradient descent (Goodfellow et al. 2014, algorithm 1) with any loss and regularizers.

    The last discriminator step and the generator step share one batch of generated images: it is synthesised once, D
    learns from it without a gradient to G, then judges it again for G's move, without gradients for D's weights.
    """

    def __init__(
        self, recipe: Recipe, image_shape: tuple[int, int, int], num_classes: int, device: torch.device
    ) -> None:
        check_game(recipe)
        self.recipe = recipe
        self.device = device
        self.loss = LOSSES[recipe.game.loss]
        self.generator = build_generator(recipe, image_shape, num_classes).to(device)
        self.discriminator = build_discriminator(recipe, image_shape, num_classes).to(device)
        # Dense 4-d weights only: convolutions run in this layout without reordering the images.
        self.generator.to(memory_format=torch.channels_last)
        self.discriminator.to(memory_format=torch.channels_last)
        self.generator_optimizer = _optimizer(recipe.optimizers.generator, self.generator)
        self.discriminator_optimizer = _optimizer(recipe.optimizers.discriminator, self.discriminator)
        self.steps = 0

    def step(self, draw: Callable[[], Batch], *, report: bool) -> dict[str, Tensor]:
        self.generator.train()
        self.discriminator.train()
        self._set_learning_rates()
        extra_moves = self.recipe.game.discriminator_steps - 1
        for _ in range(extra_moves):
            batch = draw()
            with torch.no_grad():
                fake = self._synthesize(batch)
            self._move_discriminator(batch, fake, report=False)
        batch = draw()
        fake = self._synthesize(batch)
        metrics = self._move_discriminator(batch, fake.detach(), report=report)
        metrics |= self._move_generator(batch, fake, report=report)
        self.steps += 1
        return metrics

    def state_dict(self) -> dict[str, Any]:
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "generator_optimizer": self.generator_optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
            "steps": self.steps,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.generator_optimizer.load_state_dict(state["generator_optimizer"])
        self.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])
        self.steps = state["steps"]

    def _synthesize(self, batch: Batch) -> Tensor:
        """One generated image for each real one, of the same class where the game is conditional."""
        latents = torch.randn(len(batch.images), self.generator.latent, device=self.device)
        with self._precision():
            fake: Tensor = self.generator(latents, batch.labels)
        return fake.float()

    def _move_discriminator(self, batch: Batch, fake: Tensor, *, report: bool) -> dict[str, Tensor]:
        terms = self._due_regularizers("discriminator")
        differentiable = any(REGULARIZERS[term.name].penalises_gradient for term in terms)
        real = augment(batch.images, self.recipe.game.augmentations)
        fake = augment(fake, self.recipe.game.augmentations)
        if differentiable:
            real = real.detach().requires_grad_()
        # A second derivative through bf16 layers is too coarse to penalise.
        with self._precision(enabled=not differentiable):
            # Two passes, not one of both joined: batch norm must see real and generated images apart, as in DCGAN.
            real_output = self.discriminator(real, batch.labels)
            fake_output = self.discriminator(fake, batch.labels)
        real_logits, fake_logits = real_output.logits.float(), fake_output.logits.float()
        loss = adversarial = self.loss.discriminator(real_logits, fake_logits, self.recipe.game.label_smoothing)
        round_ = Round(self.discriminator, real, fake, batch.labels, real_output, fake_output)
        metrics: dict[str, Tensor] = {}
        for term in terms:
            value = REGULARIZERS[term.name].value(round_)
            metrics[f"D/{term.name}"] = value.detach()
            loss = loss + term.weight * term.every * value
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if report:
            metrics["D/gradient_norm"] = _gradient_norm(self.discriminator)
        self.discriminator_optimizer.step()
        return metrics | {
            "D/loss": adversarial.detach(),
            "D/accuracy_real": (real_logits.detach() > 0).float().mean(),
            "D/accuracy_fake": (fake_logits.detach() < 0).float().mean(),
        }

    def _move_generator(self, batch: Batch, fake: Tensor, *, report: bool) -> dict[str, Tensor]:
        # D only passes the gradient on here; its own weight gradients would be thrown away.
        self.discriminator.requires_grad_(False)
        augmentations = self.recipe.game.augmentations
        terms = self._due_regularizers("generator")
        try:
            fake = augment(fake, augmentations)
            with self._precision():
                fake_output = self.discriminator(fake, batch.labels)
            loss = adversarial = self.loss.generator(fake_output.logits.float())
            real = augment(batch.images, augmentations) if terms else batch.images
            round_ = Round(self.discriminator, real, fake, batch.labels, None, fake_output)
            metrics: dict[str, Tensor] = {}
            for term in terms:
                value = REGULARIZERS[term.name].value(round_)
                metrics[f"G/{term.name}"] = value.detach()
                loss = loss + term.weight * term.every * value
            self.generator_optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
        finally:
            self.discriminator.requires_grad_(True)
        if report:
            metrics["G/gradient_norm"] = _gradient_norm(self.generator)
        self.generator_optimizer.step()
        return metrics | {"G/loss": adversarial.detach()}

    def _set_learning_rates(self) -> None:
        """A pure function of the step, so that there is no scheduler to save."""
        specs, total = self.recipe.optimizers, self.recipe.training.steps
        start = specs.decay_from * total
        factor = 1.0 if self.steps < start else (total - self.steps) / (total - start)
        pairs = ((self.generator_optimizer, specs.generator), (self.discriminator_optimizer, specs.discriminator))
        for optimizer, spec in pairs:
            for group in optimizer.param_groups:
                group["lr"] = spec.lr * factor

    def _due_regularizers(self, player: str) -> list[Any]:
        return [
            term
            for term in self.recipe.regularizers
            if REGULARIZERS[term.name].player == player and self.steps % term.every == 0
        ]

    def _precision(self, *, enabled: bool = True) -> AbstractContextManager[Any]:
        bf16 = enabled and self.recipe.training.precision == "bf16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=bf16)


def check_game(recipe: Recipe) -> None:
    """Refuses parts that do not go together.

    Raises:
        RequestError: with the reason and the remedy.
    """
    if recipe.game.loss not in LOSSES:
        raise unknown_name("game.loss", recipe.game.loss, LOSSES)
    for name in recipe.game.augmentations:
        if name not in AUGMENTATIONS:
            raise unknown_name("augmentation", name, AUGMENTATIONS)
    for term in recipe.regularizers:
        if term.name not in REGULARIZERS:
            raise unknown_name("regularizer", term.name, REGULARIZERS)
        if REGULARIZERS[term.name].penalises_gradient and recipe.networks.discriminator.norm == "batch":
            raise RequestError(
                f"regularizer {term.name!r} penalises D's gradient image by image, which batch norm in D mixes: "
                "set networks.discriminator.norm to none or spectral"
            )


def _optimizer(spec: Optimizer, network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), lr=spec.lr, betas=spec.betas, fused=True)


def _gradient_norm(network: nn.Module) -> Tensor:
    """Euclidean norm of all gradients together, 0-d."""
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    return torch.nn.utils.get_total_norm(gradients).detach()
