"""What a network's features are disturbed with in training, and left alone by afterwards; drawn for all ranks."""

import torch
from torch import Tensor, nn

from gan_models import ranks


class GaussianNoise(nn.Module):
    """x + N(0, std), each number by itself: [B, ...] -> the same shape."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.std:
            return x
        every = torch.randn(len(x) * ranks.count(), *x.shape[1:], device=x.device)
        return x + (self.std * ranks.share(every)).to(x.dtype)


class Dropout(nn.Module):
    """Each number is 0 with a probability, the others are larger by as much (Srivastava et al. 2014)."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """[B, ...] -> the same shape."""
        if not self.training or not self.share:
            return x
        every = torch.rand(len(x) * ranks.count(), *x.shape[1:], device=x.device)
        return x * ((ranks.share(every) >= self.share) / (1.0 - self.share)).to(x.dtype)


def dropout(share: float) -> list[nn.Module]:
    """The layer, where there is anything to drop."""
    return [Dropout(share)] if share else []
