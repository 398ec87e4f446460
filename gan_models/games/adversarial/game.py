"""The two-player game of Goodfellow et al. 2014: D and G move in turn, by gradient steps on their own losses."""

from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from gan_models import ranks
from gan_models.families.interfaces import Inputs
from gan_models.games.adversarial.spec import AdversarialSpec
from gan_models.games.base import Batch, Game, Loss, Made
from gan_models.regularizers import Round

Rules = TypeVar("Rules", bound=AdversarialSpec)


class AdversarialGame(Game[Rules]):
    """Any loss on D's logits, with any regularizers; classes where the recipe is conditional."""

    def prepared(self, batch: Batch) -> Batch:
        """With `dequantise`, each pixel somewhere in its grey level: (i + u) / 128 - 1 of i in 0..255, u ~ U(0, 1).

        As the public code of Gulrajani et al. 2017 has it.
        """
        if not self.rules.dequantise:
            return batch
        count, *shape = batch.images.shape
        noise = ranks.share(torch.rand(count * ranks.count(), *shape, device=batch.images.device))
        return batch._replace(images=((batch.images + 1.0) * 127.5 + noise) / 128.0 - 1.0)

    def synthesize(self, batch: Batch) -> Made:
        """Of the same class as the real image where the game is conditional."""
        inputs = {"latents": self.draw_latents(len(batch.images))}
        if batch.labels is not None:
            inputs["labels"] = batch.labels
        with self.precision():
            return Made(self.generate(inputs).float(), batch.labels)

    def generate(self, inputs: Inputs) -> Tensor:
        """Generated images as the players see them."""
        return self.generator(**inputs)

    def told(self, batch: Batch) -> Tensor | None:
        return batch.labels

    def discriminator_moves(self) -> int:
        warm_up = self.rules.critic_warm_up
        if warm_up and (self.steps < warm_up.first or self.steps % warm_up.every == 0):
            return warm_up.steps
        return self.rules.discriminator_steps

    def generator_moves(self) -> int:
        return self.rules.generator_steps

    def images_per_real(self) -> int:
        return self.rules.generator_batch

    def compares_with_real(self) -> bool:
        return self.rules.loss.relativistic or super().compares_with_real()

    def discriminator_loss(self, batch: Batch, made: Made, judged: Round) -> Loss:
        loss = adversarial = self.rules.loss.discriminator(judged.real_logits, judged.fake_logits)
        figures = {"D/loss": adversarial.detach(), **self._judgement(adversarial.detach(), judged)}
        assert judged.real_output is not None
        real, fake = judged.real_output.class_logits, judged.fake_output.class_logits
        if real is not None and fake is not None and batch.labels is not None:
            classes = cross_entropy(real, batch.labels)
            if self.rules.classify_fakes:
                classes = classes + cross_entropy(fake, batch.labels)
            loss = loss + self.rules.classification_weights["discriminator"] * classes
            figures["D/class_loss"] = classes.detach()
        return loss, figures

    def generator_loss(self, batch: Batch, made: Made, judged: Round) -> Loss:
        real_logits = judged.fake_logits.new_empty(0)
        if self.rules.loss.relativistic:
            with torch.no_grad(), self.precision():
                real_logits = self.discriminator(judged.real, batch.labels).logits.float()
        loss = adversarial = self.rules.loss.generator(judged.fake_logits, real_logits)
        figures = {"G/loss": adversarial.detach()}
        class_logits = judged.fake_output.class_logits
        if class_logits is not None and batch.labels is not None:
            classes = cross_entropy(class_logits, batch.labels)
            loss = loss + self.rules.classification_weights["generator"] * classes
            figures["G/class_loss"] = classes.detach()
        return loss, figures

    def _judgement(self, adversarial: Tensor, judged: Round) -> dict[str, Tensor]:
        """How well D tells real from generated, in the terms of its loss."""
        if self.rules.loss.critic:
            return {"D/wasserstein": -adversarial}
        if self.rules.loss.relativistic:
            return {"D/accuracy_pairs": (judged.real_logits > judged.fake_logits).float().mean()}
        return self.accuracy(judged, self.rules.loss.boundary)

    @torch.no_grad()
    def discriminator_moved(self) -> None:
        """Clips the critic's weights (Arjovsky, Chintala, Bottou 2017, algorithm 1, line 7)."""
        bound = self.rules.weight_clip
        if bound is not None:
            for parameter in self.discriminator.parameters():
                parameter.clamp_(-bound, bound)
