"""StarGAN's game (Choi et al. 2018, section 3): translation to any domain by one generator."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, l1_loss

from gan_models.games.attribute_transfer.spec import AttributeTransfer
from gan_models.games.base import Batch, Game, Loss, Made
from gan_models.regularizers import Round


class AttributeTransferGame(Game[AttributeTransfer]):
    """Adversarial loss, domain classification and reconstruction (eq. 1 to 6).

    Targets are the domains of the batch in another order, as in the public code. D learns to name the domain of real
    images only, G to make images that D names right.
    """

    def synthesize(self, batch: Batch) -> Made:
        """Each image translated to the domain of another one."""
        assert batch.domains is not None
        targets = batch.domains[torch.randperm(len(batch.domains), device=batch.domains.device)]
        with self.precision():
            fake: Tensor = self.generator(batch.images, targets)
        return Made(fake.float(), asked=targets)

    def discriminator_loss(self, batch: Batch, made: Made, judged: Round) -> Loss:
        adversarial = self.rules.loss.discriminator(judged.real_logits, judged.fake_logits)
        assert judged.real_output is not None
        assert judged.real_output.class_logits is not None
        assert batch.domains is not None
        domain = cross_entropy(judged.real_output.class_logits, batch.domains)
        figures = {"D/loss": adversarial.detach(), "D/domain_loss": domain.detach()}
        if self.rules.loss.critic:
            figures["D/wasserstein"] = -adversarial.detach()
        return adversarial + self.rules.classification * domain, figures

    def generator_loss(self, batch: Batch, made: Made, judged: Round) -> Loss:
        output = judged.fake_output
        adversarial = self.rules.loss.generator(output.logits, output.logits.new_empty(0))
        assert output.class_logits is not None
        assert made.asked is not None
        domain = cross_entropy(output.class_logits, made.asked)
        with self.precision():
            returned = self.generator(made.images, batch.domains)
        reconstruction = l1_loss(returned.float(), batch.images)
        loss = adversarial + self.rules.classification * domain + self.rules.reconstruction * reconstruction
        return loss, {
            "G/loss": loss.detach(),
            "G/adversarial": adversarial.detach(),
            "G/domain_loss": domain.detach(),
            "G/reconstruction": reconstruction.detach(),
        }
