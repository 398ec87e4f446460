"""Colorization with hints: adversarial loss beside the distance to the true colours (Zhang et al. 2017; Isola et al.
2017)."""

import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from gan_models.data.hints import all_told, geometric_counts, grey_of, simulate_hints
from gan_models.games.base import Batch, Game, Loss, Made
from gan_models.games.colorization.spec import Colorization
from gan_models.regularizers import Round


class ColorizationGame(Game[Colorization]):
    """Every image is its own truth: G sees it in grey with simulated hints, D tells true from drawn colours."""

    def synthesize(self, batch: Batch) -> Made:
        """The images as G colours them, with hints of their own colours."""
        with self.precision():
            fake: Tensor = self.generator(grey_of(batch.images), self.draw_hints(batch.images))
        return Made(fake.float())

    def draw_hints(self, images: Tensor) -> Tensor:
        """Hints [B, 4, H, W] as a user might give them; for a few images, the colours of all pixels."""
        batch = len(images)
        counts = geometric_counts(torch.rand(batch, dtype=torch.float64), self.rules.hint_end)
        most = int(counts.max())
        sizes = torch.randint(1, self.rules.hint_size + 1, (batch, most))
        hints = simulate_hints(images, counts, sizes, torch.randn(batch, most, 2))
        revealed = (torch.rand(len(images)) < self.rules.reveal).to(images.device)
        return torch.where(revealed[:, None, None, None], all_told(images), hints)

    def discriminator_loss(self, batch: Batch, made: Made, judged: Round) -> Loss:
        loss = self.rules.loss.discriminator(judged.real_logits, judged.fake_logits)
        return loss, {"D/loss": loss.detach(), **self.accuracy(judged, self.rules.loss.boundary)}

    def generator_loss(self, batch: Batch, made: Made, judged: Round) -> Loss:
        adversarial = self.rules.loss.generator(judged.fake_logits, judged.fake_logits.new_empty(0))
        distance = l1_loss(made.images, batch.images)
        loss = self.rules.adversarial * adversarial + self.rules.l1 * distance
        return loss, {"G/loss": loss.detach(), "G/adversarial": adversarial.detach(), "G/l1": distance.detach()}
