"""pix2pix's game (Isola et al. 2017, section 3): an image made from its partner, judged beside it."""

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from gan_models import ranks
from gan_models.families.pix2pix.networks import PairGenerator
from gan_models.games.base import Batch, Game, Loss, Made
from gan_models.games.paired.spec import Paired
from gan_models.regularizers import Round


class PairedGame(Game[Paired]):
    """D tells true pairs from those with a drawn side; G is also drawn to the true side (eq. 4)."""

    def synthesize(self, batch: Batch) -> Made:
        """An image made from the partner of each."""
        generator = self.generator
        assert isinstance(generator, PairGenerator)
        partners = partners_of(batch)
        numbers = (len(partners) * ranks.count(), generator.dropout)
        dropout = ranks.share(torch.rand(numbers, device=partners.device))
        with self.precision():
            fake: Tensor = generator(partners, dropout)
        return Made(fake.float(), told=partners)

    def told(self, batch: Batch) -> Tensor | None:
        return partners_of(batch)

    def compares_with_real(self) -> bool:
        return self.rules.loss.relativistic or super().compares_with_real()

    def discriminator_loss(self, batch: Batch, made: Made, judged: Round) -> Loss:
        # Halved, which slows D down relative to G (section 3.3).
        loss = 0.5 * self.rules.loss.discriminator(judged.real_logits, judged.fake_logits)
        return loss, {"D/loss": loss.detach(), **self.accuracy(judged, self.rules.loss.boundary)}

    def generator_loss(self, batch: Batch, made: Made, judged: Round) -> Loss:
        real_logits = judged.fake_logits.new_empty(0)
        if self.rules.loss.relativistic:
            with torch.no_grad(), self.precision():
                real_logits = self.discriminator(judged.real, partners_of(batch)).logits.float()
        adversarial = self.rules.loss.generator(judged.fake_logits, real_logits)
        distance = l1_loss(made.images, batch.images)
        loss = self.rules.adversarial * adversarial + self.rules.l1 * distance
        return loss, {"G/loss": loss.detach(), "G/adversarial": adversarial.detach(), "G/l1": distance.detach()}


def partners_of(batch: Batch) -> Tensor:
    """Float [B, C, H, W]; the loop hands them over because the game `needs` them."""
    assert batch.partners is not None
    return batch.partners
