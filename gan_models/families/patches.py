"""Discriminators that judge patches of an image (Isola et al. 2017, section 3.2.2, "PatchGAN")."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from torch import Tensor, nn

from gan_models.families.base import PatchDiscriminator
from gan_models.layers.attention import attention_after
from gan_models.layers.normalization import discriminator_norm

_WIDEST = 8
"""Width grows to so many times that of the first layer."""


class PatchHead(nn.Module):
    """One logit for each patch: [B, F, H, W] -> [B, H - 1, W - 1]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer = nn.Conv2d(channels, 1, 4, 1, 1)

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        logits: Tensor = self.layer(features)
        return logits.squeeze(1)


class PatchNetwork(NamedTuple):
    """The two parts of a patch discriminator."""

    trunk: nn.Sequential
    head: PatchHead


def patch_network(spec: PatchDiscriminator, image_shape: tuple[int, int, int]) -> PatchNetwork:
    """4x4 convolutions of stride 2, as many as the image is large enough for, then two of stride 1.

    With 3 layers each logit sees 70x70 pixels; width 64 and RGB make the published 2,764,737 parameters.
    """
    channels, size, _ = image_shape
    halvings = spec.halvings(size)
    widths = [channels, *(spec.width * min(1 << level, _WIDEST) for level in range(halvings + 1))]
    parts: list[nn.Module] = []
    for level, (inputs, outputs) in enumerate(pairwise(widths)):
        stride = 2 if level < halvings else 1
        size = size // 2 if stride == 2 else size - 1
        norm = discriminator_norm(spec.norm, outputs, size) if level else []
        # The public code leaves the bias out in front of batch norm only.
        parts.append(nn.Conv2d(inputs, outputs, 4, stride, 1, bias=not norm or spec.norm != "batch"))
        parts += [*norm, nn.LeakyReLU(0.2, inplace=True), *attention_after(size, outputs, spec.attention)]
    return PatchNetwork(nn.Sequential(*parts), PatchHead(widths[-1]))
