"""Pixelwise feature normalisation (Karras et al. 2018, "Progressive Growing of GANs", section 4.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PixelNorm(nn.Module):
    """b = a / sqrt(mean over channels of a^2 + eps): at every place the feature vector gets length sqrt(C)."""

    def __init__(self, eps: float = 1e-8) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, ...] -> the same shape."""
        # The mean in fp32, where eps is more than a rounding error; the features stay in their type.
        power = features.float().square().mean(1, keepdim=True)
        return features * torch.rsqrt(power + self.eps).to(features.dtype)
