"""What the games of image-to-image generators have in common."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from gan_models.augmentations import augment
from gan_models.errors import RequestError, unknown_name
from gan_models.families.building import DiscriminatorOutput
from gan_models.games.two_player import TwoPlayerGame
from gan_models.losses import LOSSES, Loss
from gan_models.recipes.game_specs import Adversarial
from gan_models.regularizers import Player, Round


class Judged(NamedTuple):
    """Real and generated images as D saw them, and what it said; logits in fp32."""

    real: Tensor
    fake: Tensor
    real_output: DiscriminatorOutput
    fake_output: DiscriminatorOutput


class ImageToImageGame(TwoPlayerGame):
    """Base of the games whose generator is given real images."""

    def judge(
        self, real: Tensor, fake: Tensor, real_domains: Tensor | None = None, fake_domains: Tensor | None = None
    ) -> Judged:
        """D on real and generated images [B, C, H, W] in its own move; domains int64 [B] where D asks for them."""
        differentiated = self.differentiated("discriminator")
        real, fake = self.shown(real, "real"), self.shown(fake, "fake")
        # A second derivative through bf16 layers is too coarse to penalise.
        with self.precision(enabled="real" not in differentiated):
            real_output = self.discriminator(real, real_domains)
        with self.precision(enabled="fake" not in differentiated):
            fake_output = self.discriminator(fake, fake_domains)
        return Judged(real, fake, _in_fp32(real_output), _in_fp32(fake_output))

    def judge_generated(self, real: Tensor, fake: Tensor, fake_domains: Tensor | None = None) -> Judged:
        """D on generated images in G's move. `real_output` is that of the generated images, too: D is not asked about
        real ones."""
        real, fake = (augment(images, self.recipe.game.augmentations) for images in (real, fake))
        with self.precision():
            output = _in_fp32(self.discriminator(fake, fake_domains))
        return Judged(real, fake, output, output)

    def round(self, player: Player, judged: Judged, labels: Tensor | None = None) -> Round:
        """What the regularizers of a player's move see."""
        real_output = judged.real_output if player == "discriminator" else None
        return Round(
            player,
            self.generator,
            self.discriminator,
            judged.real,
            judged.fake,
            labels,
            real_output,
            judged.fake_output,
        )


def _in_fp32(output: DiscriminatorOutput) -> DiscriminatorOutput:
    classes = None if output.class_logits is None else output.class_logits.float()
    return DiscriminatorOutput(output.logits.float(), output.features, classes)


def loss_called(name: str) -> Loss:
    """A loss of LOSSES with its usual targets.

    Raises:
        RequestError: an unknown one, or one that pairs generated images with real ones.
    """
    if name not in LOSSES:
        raise unknown_name("game.loss", name, LOSSES)
    loss = LOSSES[name](Adversarial(loss=name))
    if loss.relativistic:
        raise RequestError(
            f"game.loss={name} pairs generated images with real ones, which this game does not: choose another"
        )
    return loss
