"""What every generator and discriminator of the project looks like from outside.

Shape suffixes in model code: B batch, Z latent, K classes, F features, C channels, H W height and width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn


class DiscriminatorOutput(NamedTuple):
    """`logits` [B] before any sigmoid; `features` [B, ...], the activations the head reads (penultimate layer)."""

    logits: Tensor
    features: Tensor


class Generator(nn.Module, ABC):
    """Maps latents [B, Z] and, where conditional, labels [B] to images [B, C, H, W] in [-1, 1].

    Attributes:
        latent: Z, dimensions of z ~ N(0, I).
        num_classes: K where the generator is conditional, else 0.
    """

    def __init__(self, latent: int, num_classes: int) -> None:
        super().__init__()
        self.latent = latent
        self.num_classes = num_classes

    def forward(self, z_BZ: Tensor, labels_B: Tensor | None = None) -> Tensor:
        if self.num_classes:
            if labels_B is None:
                raise ValueError("this generator is conditional: pass labels")
            # One-hot joined to the latent (Mirza, Osindero 2014), by comparison, which exports to any batch size.
            classes_K = torch.arange(self.num_classes, device=z_BZ.device)
            z_BZ = torch.cat([z_BZ, (labels_B[:, None] == classes_K).to(z_BZ.dtype)], dim=1)
        return self.synthesize(z_BZ)

    @abstractmethod
    def synthesize(self, z_BZ: Tensor) -> Tensor:
        """Images from the latent with whatever conditioning was joined to it, [B, Z + K]."""


class Discriminator(nn.Module):
    """A trunk of blocks and a head: new heads and losses on features are compositions, not new networks.

    The trunk maps images [B, C, H, W] in [-1, 1] to features [B, F, H', W'] or [B, F]; the head maps features and
    labels to logits [B].
    """

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        features = self.trunk(images)
        return DiscriminatorOutput(self.head(features, labels), features)
