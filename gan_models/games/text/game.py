"""Text to image in two stages (Zhang et al. 2017): D judges whether an image is real and is what its text says.

D's loss has three parts: real images with their own texts, real images with another's text, and generated images with
the texts they were asked for; only the first count as real (the matching-aware discriminator of Reed et al. 2016).
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, softplus

from gan_models.data.shape import DataShape, Size
from gan_models.families.building import LatentBuilder, builder
from gan_models.families.interfaces import Discriminator
from gan_models.families.stackgan.networks import Drawing, StackGan, augmentation_divergence
from gan_models.families.stackgan.text import GivenEmbeddings, TextEncoder, TextHead, build_text_encoder
from gan_models.games.base import Batch, Game, Loss, Made
from gan_models.games.text.spec import TextToImage
from gan_models.recipes.schema import Recipe
from gan_models.regularizers import Player, Round
from gan_models.schedules import Moment


class TextToImageGame(Game[TextToImage]):
    """Stage I against a discriminator of its size, then stage II, with stage I frozen, against one of the full size.

    Which stage is in training is a function of the step alone. Where texts are captions, D's encoder of them learns
    from D's loss, of which the mismatched pairs make it tell texts apart, and stays with D: it is handed from the first
    discriminator to the second. G's encoder learns from G's loss in stage I. Nothing is shared, so D's condition cannot
    be moved by G. Embeddings that come with the data are the same for both.
    """

    generator: StackGan

    def __init__(self, recipe: Recipe, shape: DataShape, device: torch.device) -> None:
        self.text: TextEncoder | None = None
        super().__init__(recipe, shape, device)
        # Never the whole of it: each stage has one step at least.
        steps = recipe.training.steps
        self.switch = max(1, min(round(self.rules.first_stage * steps), steps - 1))

    @property
    def resolution(self) -> int:
        return self._size_of(self.generator.stage).shorter

    def _size_of(self, stage: int) -> Size:
        """Of a stage's images."""
        size = Size.of(self.shape.image)
        return size.halved(self.generator.spec.enlargement.bit_length() - 1) if stage == 1 else size

    @property
    def moment(self) -> Moment:
        """Of the stage in training: stage II is a training of its own, and rates begin anew with it."""
        begun, ends = (0, self.switch) if self.generator.stage == 1 else (self.switch, self.recipe.training.steps)
        return Moment((self.steps - begun) / (ends - begun), self.resolution)

    def networks(self) -> dict[Player, dict[str, nn.Module]]:
        generator, discriminators = self.generator, dict[str, nn.Module]()
        for stage, name in ((1, "stage I"), (2, "stage II")):
            if stage == generator.stage:
                discriminators[name] = self.discriminator
                continue
            with torch.device("meta"):
                other = self._discriminator_of(stage)
            assert isinstance(other.head, TextHead)
            assert isinstance(other.head.reading, nn.Sequential)
            other.head.reading[0] = nn.Identity()  # the one encoder of texts that is handed over, counted once
            discriminators[name] = other
        generators = {"stage I": nn.ModuleList([generator.text, generator.first]), "stage II": generator.second}
        return {"generator": generators, "discriminator": discriminators}

    def make_discriminator(self) -> Discriminator:
        return self._discriminator_of(self.generator.stage)

    def _discriminator_of(self, stage: int) -> Discriminator:
        """The one of a stage: the trunk of any family, with a head that reads the text."""
        if self.text is None:
            self.text = build_text_encoder(self.generator.spec, self.shape)
        spec = self.recipe.networks.discriminator
        family = builder(spec.family)
        assert isinstance(family, LatentBuilder)
        trunk = family.trunk(spec, (self.shape.image[0], *self._size_of(stage)))
        condition, norm = self.rules.condition, spec.get("norm", "none")
        head = TextHead(trunk.channels, trunk.positions, self.text, condition, norm, bias=trunk.bias)
        # Set aside while the rest gets its first weights: the encoder has learnt ones from stage II on, and under a
        # DCGAN's N(0, 0.02) a text would be too faint to be seen for long. Given embeddings are read as the paper does.
        reading = head.reading
        if not isinstance(self.text, GivenEmbeddings):
            head.reading = nn.Identity()
        discriminator = family.finish(Discriminator(trunk.layers, head), spec)
        head.reading = reading
        return discriminator

    def begin_step(self) -> None:
        if self.steps >= self.switch and self.generator.stage == 1:
            self._begin_second_stage()
        super().begin_step()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state["steps"] > self.switch and self.generator.stage == 1:
            self._begin_second_stage()
        super().load_state_dict(state)

    def prepared(self, batch: Batch) -> Batch:
        """Real images at the size of the stage in training, stage I's as means over squares; one embedding for each."""
        if self.generator.stage == 1:
            batch = batch._replace(images=avg_pool2d(batch.images, self.generator.spec.enlargement))
        if batch.embeddings is None:
            return batch
        several = batch.embeddings.shape[1]
        orders = torch.rand(len(batch.images), several).argsort(1)[:, : self.rules.averaged]
        chosen = batch.embeddings.gather(1, orders.to(self.device)[:, :, None].expand(-1, -1, self.shape.embedding))
        return batch._replace(embeddings=chosen.mean(1))

    def synthesize(self, batch: Batch) -> Made:
        """From the text of the real image."""
        texts = texts_of(batch)
        with self.precision():
            drawing = self.generator.draw(self.draw_latents(len(batch.images)), texts)
        images, mean, log_variance = Drawing(*(part.float() for part in drawing))
        return Made(images, texts, penalty=augmentation_divergence(mean, log_variance))

    def told(self, batch: Batch) -> Tensor | None:
        return texts_of(batch)

    def discriminator_loss(self, batch: Batch, made: Made, judged: Round) -> Loss:
        assert judged.real_output is not None
        texts = texts_of(batch)
        others, differ = mismatched(texts)
        with self.precision(enabled=not judged.real.requires_grad):
            # The same look at the image, beside another's text.
            wrong = self.discriminator.head(judged.real_output.features, texts[others]).float()
        loss = matching_loss(judged.real_logits, judged.fake_logits, wrong, differ, self.rules.mismatched)
        figures = {"D/loss": loss.detach(), "D/accuracy_mismatched": (wrong.detach() < 0).float().mean()}
        return loss, figures | self.accuracy(judged)

    def generator_loss(self, batch: Batch, made: Made, judged: Round) -> Loss:
        adversarial = softplus(-judged.fake_logits).mean()
        assert made.penalty is not None
        figures = {"G/loss": adversarial.detach(), "G/divergence": made.penalty.detach()}
        return adversarial + self.rules.divergence * made.penalty, figures

    def _begin_second_stage(self) -> None:
        """Freezes stage I; a discriminator of the full size and fresh optimizers, as the paper trains stage II."""
        self.generator.begin_second_stage()
        self.discriminator = self.make_discriminator().to(self.device).to(memory_format=torch.channels_last)
        self.begin_learning()


def texts_of(batch: Batch) -> Tensor:
    """What the images' texts are known by: embeddings [B, E], else captions [B, L]."""
    texts = batch.captions if batch.embeddings is None else batch.embeddings
    assert texts is not None
    return texts


def mismatched(texts_BL: Tensor) -> tuple[Tensor, Tensor]:
    """For each row the next one, in a circle, whose text is another: int64 [B], and whether there is one, bool [B].

    A roll of the batch by one, except where that would pair an image with words that are its own.
    """
    count = len(texts_BL)
    rows = torch.arange(count, device=texts_BL.device)
    rolled = (rows[:, None] + rows) % count  # [i, k]: the row k places behind row i
    differs = (texts_BL[rolled] != texts_BL[:, None]).any(2)
    first = differs.to(torch.uint8).argmax(1)
    return rolled[rows, first], differs.any(1)


def matching_loss(real: Tensor, fake: Tensor, wrong: Tensor, differ: Tensor, weight: float) -> Tensor:
    """D's loss on the logits [B] of the three kinds of pairs, 0-d (section 3.3; halves as in the public code).

    softplus(-real) + (1 - weight) softplus(fake) + weight softplus(wrong), the last over rows where `differ` alone.
    """
    mismatch = (softplus(wrong) * differ).sum() / differ.sum().clamp(min=1)
    return softplus(-real).mean() + (1.0 - weight) * softplus(fake).mean() + weight * mismatch
