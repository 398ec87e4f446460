"""What a discriminator may learn of an image's neighbours in the batch, so that a collapse gives itself away."""

import torch
from torch import Tensor, nn

from gan_models import ranks


class MinibatchDiscrimination(nn.Module):
    """Closeness of an image to all others of the batch, in learnt directions (Salimans et al. 2016, section 3.2).

    M_i = f(x_i) T with T in R^{F x kernels x dimensions}; o(x_i)_b = sum over j != i of exp(-|M_ib - M_jb|_1),
    appended to f(x_i). 100 kernels of 5 dimensions in the authors' public code.
    """

    def __init__(self, features: int, kernels: int = 100, dimensions: int = 5) -> None:
        super().__init__()
        self.kernels = kernels
        self.dimensions = dimensions
        self.project = nn.Linear(features, kernels * dimensions, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """[B, F, ...] -> [B, F * positions + kernels]."""
        flat = features.flatten(1)
        m = self.project(flat).float().unflatten(1, (self.kernels, self.dimensions))
        others = ranks.gathered(m) if self.training else m
        distance = torch.cdist(m.transpose(0, 1), others.transpose(0, 1), p=1)  # [kernels, B, all]
        closeness = torch.exp(-distance).sum(2).T - 1.0  # an image is at distance 0 of itself
        return torch.cat([flat, closeness.to(flat.dtype)], dim=1)


class MinibatchStdDev(nn.Module):
    """One more feature map: the mean standard deviation over groups of images (Karras et al. 2018, section 3)."""

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, features: Tensor) -> Tensor:
        """[B, F, H, W] or [B, F] -> one more channel; a batch that no group divides is one group."""
        if self.training:
            return torch.cat([features, ranks.share(self._deviations(ranks.gathered(features)))], dim=1)
        return torch.cat([features, self._deviations(features)], dim=1)

    def _deviations(self, features: Tensor) -> Tensor:
        count = len(features)
        group = self.group if count % self.group == 0 else count
        grouped = features.float().reshape(group, count // group, *features.shape[1:])
        deviation = (grouped.var(0, correction=0) + 1e-8).sqrt().flatten(1).mean(1)
        each = deviation.repeat(group).to(features.dtype)
        return each.reshape(count, *(1 for _ in features.shape[1:])).expand(-1, 1, *features.shape[2:])
