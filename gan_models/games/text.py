"""Text to image in two stages (Zhang et al. 2017): D judges whether an image is real and is what its text says.

D's loss has three parts: real images with their own texts, real images with another's text, and generated images with
the texts they were asked for; only the first count as real (the matching-aware discriminator of Reed et al. 2016).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, softplus

from gan_models.augmentations import augment
from gan_models.errors import RequestError
from gan_models.families.building import DataShape, Discriminator, family_of, finish
from gan_models.families.stackgan.networks import Drawing, StackGan, augmentation_divergence
from gan_models.families.stackgan.text_encoder import TextEncoder, build_text_encoder
from gan_models.families.stackgan.text_head import TextHead
from gan_models.games import Batch
from gan_models.games.two_player import TwoPlayerGame, make_optimizer
from gan_models.losses import non_saturating_generator
from gan_models.recipes.game_specs import TextToImage
from gan_models.recipes.schema import Recipe
from gan_models.regularizers import REGULARIZERS, Round


class TextToImageGame(TwoPlayerGame):
    """Stage I against a discriminator of half the size, then stage II, with stage I frozen, against one of full size.

    Which stage is in training is a function of the step alone. D's text encoder learns from D's loss, of which the
    mismatched pairs make it tell texts apart, and stays with D: it is handed from the first discriminator to the
    second. G's encoder learns from G's loss in stage I. Nothing is shared, so D's condition cannot be moved by G.
    """

    def __init__(self, recipe: Recipe, shape: DataShape, device: torch.device) -> None:
        assert isinstance(recipe.game, TextToImage)
        self.rules: TextToImage = recipe.game
        _check_parts(recipe)
        # Never the whole of it: each stage has one step at least.
        steps = recipe.training.steps
        self.switch = max(1, min(round(self.rules.first_stage * steps), steps - 1))
        self.text: TextEncoder | None = None
        super().__init__(recipe, shape, device)

    def make_discriminator(self) -> Discriminator:
        """The one of the stage in training."""
        if self.text is None:
            self.text = build_text_encoder(self.stages.spec, self.shape)
        return build_text_discriminator(self.recipe, self.shape, self.stages.stage, self.text)

    @property
    def _head(self) -> TextHead:
        assert isinstance(self.discriminator.head, TextHead)
        return self.discriminator.head

    @property
    def stages(self) -> StackGan:
        """The generator."""
        assert isinstance(self.generator, StackGan)
        return self.generator

    def step(self, draw: Callable[[], Batch], *, report: bool) -> dict[str, Tensor]:
        if self.steps >= self.switch and self.stages.stage == 1:
            self._begin_second_stage()
        self.begin_step()
        for _ in range(self.rules.discriminator_steps - 1):
            batch = self._scaled(draw())
            with torch.no_grad():
                drawing = self.synthesize(batch)
            self.move_discriminator(batch, drawing.images, report=False)
        batch = self._scaled(draw())
        drawing = self.synthesize(batch)
        metrics = self.move_discriminator(batch, drawing.images.detach(), report=report)
        metrics |= self.move_generator(batch, drawing, report=report)
        self.steps += 1
        return metrics

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state["steps"] > self.switch and self.stages.stage == 1:
            self._begin_second_stage()
        super().load_state_dict(state)

    def synthesize(self, batch: Batch) -> Drawing:
        """One generated image for each real one, from its text."""
        assert batch.captions is not None
        with self.precision():
            drawing = self.stages.draw(self.draw_latents(len(batch.images)), batch.captions)
        return Drawing(*(part.float() for part in drawing))

    def move_discriminator(self, batch: Batch, fake: Tensor, *, report: bool) -> dict[str, Tensor]:
        assert batch.captions is not None
        differentiated = self.differentiated("discriminator")
        real, fake = self.shown(batch.images, "real"), self.shown(fake, "fake")
        others, differ = mismatched(batch.captions)
        with self.precision(enabled="real" not in differentiated):
            real_output = self.discriminator(real, batch.captions)
            # The same look at the image, beside another's text.
            wrong_logits = self._head(real_output.features, batch.captions[others]).float()
        with self.precision(enabled="fake" not in differentiated):
            fake_output = self.discriminator(fake, batch.captions)
        real_logits, fake_logits = real_output.logits.float(), fake_output.logits.float()
        loss = matching_loss(real_logits, fake_logits, wrong_logits, differ, self.rules.mismatched)
        metrics = {
            "D/loss": loss.detach(),
            "D/accuracy_real": (real_logits.detach() > 0).float().mean(),
            "D/accuracy_fake": (fake_logits.detach() < 0).float().mean(),
            "D/accuracy_mismatched": (wrong_logits.detach() < 0).float().mean(),
        }
        parts = (real, fake, batch.captions, real_output, fake_output)
        round_ = Round("discriminator", self.generator, self.discriminator, *parts)
        return metrics | self.move(loss, round_, report=report)

    def move_generator(self, batch: Batch, drawing: Drawing, *, report: bool) -> dict[str, Tensor]:
        with self.discriminator_as_it_is():
            fake = augment(drawing.images, self.rules.augmentations)
            real = augment(batch.images, self.rules.augmentations) if self.due_terms("generator") else batch.images
            with self.precision():
                fake_output = self.discriminator(fake, batch.captions)
            adversarial = non_saturating_generator(fake_output.logits.float())
            divergence = augmentation_divergence(drawing.mean, drawing.log_variance)
            metrics = {"G/loss": adversarial.detach(), "G/divergence": divergence.detach()}
            round_ = Round(
                "generator", self.generator, self.discriminator, real, fake, batch.captions, None, fake_output
            )
            return metrics | self.move(adversarial + self.rules.divergence * divergence, round_, report=report)

    def _begin_second_stage(self) -> None:
        """Freezes stage I; a discriminator of the full size and fresh optimizers, as the paper trains stage II."""
        self.stages.begin_second_stage()
        self.discriminator = self.make_discriminator().to(self.device).to(memory_format=torch.channels_last)
        self.generator_optimizer = make_optimizer(self.recipe.optimizers.generator, self.generator)
        self.discriminator_optimizer = make_optimizer(self.recipe.optimizers.discriminator, self.discriminator)
        self.terms = [term._replace(regularizer=REGULARIZERS[term.spec.name]()) for term in self.terms]

    def _scaled(self, batch: Batch) -> Batch:
        """Real images at the size of the stage in training: stage I's are means over 2x2 pixels."""
        return batch if self.stages.stage == 2 else batch._replace(images=avg_pool2d(batch.images, 2))


def mismatched(captions_BL: Tensor) -> tuple[Tensor, Tensor]:
    """For each row the next one, in a circle, whose caption is another: int64 [B], and whether there is one, bool [B].

    A roll of the batch by one, except where that would pair an image with words that are its own.
    """
    count = len(captions_BL)
    rows = torch.arange(count, device=captions_BL.device)
    rolled = (rows[:, None] + rows) % count  # [i, k]: the row k places behind row i
    differs = (captions_BL[rolled] != captions_BL[:, None]).any(2)
    first = differs.to(torch.uint8).argmax(1)
    return rolled[rows, first], differs.any(1)


def matching_loss(real: Tensor, fake: Tensor, wrong: Tensor, differ: Tensor, weight: float) -> Tensor:
    """D's loss on the logits [B] of the three kinds of pairs, 0-d (section 3.3; halves as in the public code).

    softplus(-real) + (1 - weight) softplus(fake) + weight softplus(wrong), the last over rows where `differ` alone.
    """
    mismatch = (softplus(wrong) * differ).sum() / differ.sum().clamp(min=1)
    return softplus(-real).mean() + (1.0 - weight) * softplus(fake).mean() + weight * mismatch


def build_text_discriminator(recipe: Recipe, shape: DataShape, stage: int, text: TextEncoder) -> Discriminator:
    """The trunk of any family for a stage's image size, with a head that reads the text with the given encoder."""
    spec, game = recipe.networks.discriminator, recipe.game
    assert isinstance(game, TextToImage)
    channels, height, width = shape.image
    scale = 2 if stage == 1 else 1
    family = family_of(spec.family)
    trunk = family.build_trunk(spec, (channels, height // scale, width // scale))
    head = TextHead(trunk.channels, trunk.positions, text, game.condition, spec.norm)
    # Set aside while the rest gets its first weights: the encoder has learnt ones from stage II on, and under a DCGAN's
    # N(0, 0.02) a text would be too faint to be seen for long.
    reading, head.reading = head.reading, nn.Identity()
    discriminator = finish(Discriminator(trunk.layers, head), spec, family)
    head.reading = reading
    return discriminator


def _check_parts(recipe: Recipe) -> None:
    """Raises RequestError for parts that do not go together in this game."""
    generator, discriminator = recipe.networks.generator, recipe.networks.discriminator
    if generator.family != "stackgan":
        raise RequestError(
            f"game.kind=text teaches to draw what a text says, which networks.generator.family={generator.family} "
            "cannot: set it to stackgan"
        )
    if discriminator.minibatch != "none":
        raise RequestError(
            f"networks.discriminator.minibatch={discriminator.minibatch} and a text reshape D's features both: set it "
            "to none"
        )
    if recipe.training.steps < 2:
        raise RequestError("training.steps=1 leaves none for stage II: set it to 2 or more")
