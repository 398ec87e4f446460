"""The two-player game of Goodfellow et al. 2014: D and G move in turn, by gradient steps on their own losses."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gan_models.augmentations import augment
from gan_models.errors import RequestError, unknown_name
from gan_models.families.building import DataShape, Inputs
from gan_models.games import Batch
from gan_models.games.two_player import TwoPlayerGame
from gan_models.losses import LOSSES, SMOOTHED
from gan_models.recipes.game_specs import Adversarial
from gan_models.recipes.schema import Recipe
from gan_models.regularizers import REGULARIZERS, Round


class AdversarialGame(TwoPlayerGame):
    """Alternating gradient descent (Goodfellow et al. 2014, algorithm 1) with any loss and regularizers.

    The last discriminator step and the first generator step share one batch of generated images: it is synthesised
    once, D learns from it without a gradient to G, then judges it again for G's move, without gradients for D's
    weights. Further generator steps draw fresh latents for the same classes.
    """

    def __init__(self, recipe: Recipe, shape: DataShape, device: torch.device) -> None:
        assert isinstance(recipe.game, Adversarial)
        self.rules: Adversarial = recipe.game
        super().__init__(recipe, shape, device)
        check_rules(recipe, self.rules)
        self.loss = LOSSES[self.rules.loss](self.rules)

    def step(self, draw: Callable[[], Batch], *, report: bool) -> dict[str, Tensor]:
        self.begin_step()
        for _ in range(self._discriminator_moves() - 1):
            batch = draw()
            with torch.no_grad():
                fake = self.synthesize(batch)
            self.move_discriminator(batch, fake, report=False)
        batch = draw()
        fake = self.synthesize(batch)
        metrics = self.move_discriminator(batch, fake.detach(), report=report)
        metrics |= self.move_generator(batch, fake, report=report)
        for _ in range(self.rules.generator_steps - 1):
            metrics |= self.move_generator(batch, self.synthesize(batch), report=report)
        self.steps += 1
        return metrics

    def synthesize(self, batch: Batch) -> Tensor:
        """One generated image for each real one, of the same class where the game is conditional."""
        inputs = {"latents": self.draw_latents(len(batch.images))}
        if batch.labels is not None:
            inputs["labels"] = batch.labels
        with self.precision():
            return self.generate(inputs).float()

    def generate(self, inputs: Inputs) -> Tensor:
        """Generated images as the players see them."""
        images: Tensor = self.generator(**inputs)
        return images

    def move_discriminator(self, batch: Batch, fake: Tensor, *, report: bool) -> dict[str, Tensor]:
        differentiated = self.differentiated("discriminator")
        real, fake = self.shown(batch.images, "real"), self.shown(fake, "fake")
        # Two passes, not one of both joined: batch norm must see real and generated images apart, as in DCGAN. A
        # second derivative through bf16 layers is too coarse to penalise.
        with self.precision(enabled="real" not in differentiated):
            real_output = self.discriminator(real, batch.labels)
        with self.precision(enabled="fake" not in differentiated):
            fake_output = self.discriminator(fake, batch.labels)
        real_logits, fake_logits = real_output.logits.float(), fake_output.logits.float()
        loss = adversarial = self.loss.discriminator(real_logits, fake_logits)
        metrics: dict[str, Tensor] = {"D/loss": adversarial.detach()}
        if real_output.class_logits is not None and batch.labels is not None:
            classes = cross_entropy(real_output.class_logits.float(), batch.labels)
            if self.rules.classify_fakes:
                classes = classes + cross_entropy(fake_output.class_logits.float(), batch.labels)
            loss = loss + self.rules.classification * classes
            metrics["D/class_loss"] = classes.detach()
        round_ = Round(
            "discriminator", self.generator, self.discriminator, real, fake, batch.labels, real_output, fake_output
        )
        metrics |= self.move(loss, round_, report=report)
        self._clip_weights()
        return metrics | self._judgement(adversarial.detach(), real_logits.detach(), fake_logits.detach())

    def move_generator(self, batch: Batch, fake: Tensor, *, report: bool) -> dict[str, Tensor]:
        with self.discriminator_as_it_is():
            fake = augment(fake, self.rules.augmentations)
            real = batch.images
            if self.loss.relativistic or self.due_terms("generator"):
                real = augment(real, self.rules.augmentations)
            with self.precision():
                fake_output = self.discriminator(fake, batch.labels)
                real_logits = fake_output.logits.new_empty(0)
                if self.loss.relativistic:
                    with torch.no_grad():
                        real_logits = self.discriminator(real, batch.labels).logits
            loss = adversarial = self.loss.generator(fake_output.logits.float(), real_logits.float())
            metrics = {"G/loss": adversarial.detach()}
            if fake_output.class_logits is not None and batch.labels is not None:
                classes = cross_entropy(fake_output.class_logits.float(), batch.labels)
                loss = loss + self.rules.classification * classes
                metrics["G/class_loss"] = classes.detach()
            round_ = Round("generator", self.generator, self.discriminator, real, fake, batch.labels, None, fake_output)
            return metrics | self.move(loss, round_, report=report)

    def _judgement(self, adversarial: Tensor, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """How well D tells real from generated, in the terms of its loss."""
        if self.loss.critic:
            return {"D/wasserstein": -adversarial}
        if self.loss.relativistic:
            return {"D/accuracy_pairs": (real > fake).float().mean()}
        boundary = self.loss.boundary
        return {
            "D/accuracy_real": (real > boundary).float().mean(),
            "D/accuracy_fake": (fake < boundary).float().mean(),
        }

    def _discriminator_moves(self) -> int:
        warm_up = self.rules.critic_warm_up
        if warm_up and (self.steps < warm_up.first or self.steps % warm_up.every == 0):
            return warm_up.steps
        return self.rules.discriminator_steps

    @torch.no_grad()
    def _clip_weights(self) -> None:
        """After the critic's step (Arjovsky, Chintala, Bottou 2017, algorithm 1, line 7)."""
        bound = self.rules.weight_clip
        if bound is not None:
            for parameter in self.discriminator.parameters():
                parameter.clamp_(-bound, bound)


def check_rules(recipe: Recipe, rules: Adversarial) -> None:
    """Refuses rules that do not go together.

    Raises:
        RequestError: with the reason and the remedy.
    """
    if rules.loss not in LOSSES:
        raise unknown_name("game.loss", rules.loss, LOSSES)
    if rules.generator_steps > 1 and (rules.discriminator_steps > 1 or rules.critic_warm_up):
        raise RequestError(
            f"game.generator_steps={rules.generator_steps} and more than one discriminator step pull in opposite "
            "directions: set game.generator_steps=1, or game.discriminator_steps=1 and no game.critic_warm_up"
        )
    if rules.label_smoothing and rules.loss not in SMOOTHED:
        raise RequestError(
            f"game.label_smoothing smooths class targets, which game.loss={rules.loss} does not have: "
            f"set it to 0, or use one of {', '.join(SMOOTHED)}"
        )
    if rules.targets != (0.0, 1.0, 1.0) and rules.loss != "least-squares":
        raise RequestError(f"game.targets are those of least-squares, and game.loss is {rules.loss}: leave them out")
    two_heads = recipe.conditioning.discriminator == "classifier"
    if (rules.classification != 1.0 or not rules.classify_fakes) and not two_heads:
        raise RequestError(
            "game.classification and game.classify_fakes weigh D's class loss, which it has none of with "
            f"conditioning.discriminator={recipe.conditioning.discriminator}: set that to classifier, or leave them out"
        )
    _check_critic(recipe, rules)


def _check_critic(recipe: Recipe, rules: Adversarial) -> None:
    """What bounds a critic, and what needs one."""
    penalties = [term.name for term in recipe.regularizers if REGULARIZERS[term.name].differentiates]
    spectral = recipe.networks.discriminator.spectral_norm
    if rules.weight_clip is not None and spectral:
        raise RequestError(
            "game.weight_clip clips weights that networks.discriminator.spectral_norm scales anyway: "
            "set game.weight_clip=null or networks.discriminator.spectral_norm=false"
        )
    if rules.weight_clip is not None and penalties:
        raise RequestError(
            f"game.weight_clip and the regularizer {penalties[0]!r} both bound D's gradient, and clipped weights "
            "cannot reach the norm that the penalty asks for: set game.weight_clip=null or drop the regularizer"
        )
    critic = LOSSES[rules.loss](rules).critic
    if critic and rules.weight_clip is None and not penalties and not spectral:
        raise RequestError(
            f"game.loss={rules.loss} grows without end unless D's slope is bounded: set game.weight_clip=0.01 or "
            "networks.discriminator.spectral_norm=true, or add regularizers=[{name: gradient-penalty, weight: 10}]"
        )
    if rules.critic_warm_up and not critic:
        raise RequestError(
            f"game.critic_warm_up is for a critic, which is the better the longer it trains; game.loss={rules.loss} "
            "has none: set game.critic_warm_up=null"
        )
