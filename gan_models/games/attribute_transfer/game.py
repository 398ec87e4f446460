"""StarGAN's game (Choi et al. 2018, section 3): translation to any domain, or any attributes, by one generator."""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, l1_loss

from gan_models.games.attribute_transfer.spec import AttributeTransfer
from gan_models.games.base import Batch, Game, Loss, Made
from gan_models.regularizers import Round


class AttributeTransferGame(Game[AttributeTransfer]):
    """Adversarial loss, classification and reconstruction (eq. 1 to 6).

    Targets are the domains, or the attributes, of the batch in another order, as in the public code: what is asked for
    goes together in some real image. D learns to name those of real images only, G to make images that D names right.
    """

    def synthesize(self, batch: Batch) -> Made:
        """Each image translated to the domain, or given the attributes, of another one."""
        own = self.carried(batch)
        targets = own[torch.randperm(len(own), device=own.device)]
        with self.precision():
            fake: Tensor = self.generator(batch.images, targets)
        return Made(fake.float(), asked=targets)

    def carried(self, batch: Batch) -> Tensor:
        """Domains int64 [B], or attributes float [B, A] of 0 and 1."""
        carried = batch.domains if self.rules.transfers == "domains" else batch.attributes
        assert carried is not None  # the loop hands them over because the game needs them
        return carried

    def discriminator_loss(self, batch: Batch, made: Made, judged: Round) -> Loss:
        adversarial = self.rules.loss.discriminator(judged.real_logits, judged.fake_logits)
        assert judged.real_output is not None
        assert judged.real_output.class_logits is not None
        domain = naming_loss(judged.real_output.class_logits, self.carried(batch))
        figures = {"D/loss": adversarial.detach(), "D/domain_loss": domain.detach()}
        if self.rules.loss.critic:
            figures["D/wasserstein"] = -adversarial.detach()
        return adversarial + self.rules.classification * domain, figures

    def generator_loss(self, batch: Batch, made: Made, judged: Round) -> Loss:
        output = judged.fake_output
        adversarial = self.rules.loss.generator(output.logits, output.logits.new_empty(0))
        assert output.class_logits is not None
        assert made.asked is not None
        domain = naming_loss(output.class_logits, made.asked)
        with self.precision():
            returned = self.generator(made.images, self.carried(batch))
        reconstruction = l1_loss(returned.float(), batch.images)
        loss = adversarial + self.rules.classification * domain + self.rules.reconstruction * reconstruction
        return loss, {
            "G/loss": loss.detach(),
            "G/adversarial": adversarial.detach(),
            "G/domain_loss": domain.detach(),
            "G/reconstruction": reconstruction.detach(),
        }


def naming_loss(logits: Tensor, named: Tensor) -> Tensor:
    """Of D's word [B, K] on images whose domains are int64 [B] or whose attributes are float [B, K], 0-d.

    Binary cross entropies are added up over attributes and averaged over images, as in the public code.
    """
    if named.dim() == 1:
        return cross_entropy(logits, named)
    return binary_cross_entropy_with_logits(logits, named, reduction="sum") / len(logits)
