"""What makes a discriminator judge pairs of image and text."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_models.families.stackgan.text_encoder import TextEncoder
from gan_models.layers.heads import LinearHead
from gan_models.layers.normalization import discriminator_norm


class TextHead(nn.Module):
    """How well an image and a text go together (Zhang et al. 2017, section 3.3): one logit of both, [B].

    The text's embedding is compressed by a dense layer and joined to the features at every position; a 1x1 convolution,
    written as the dense layer over positions that it is, sees both.

    Args:
        text: captions int64 [B, L] to embeddings [B, T], `width` T.
        condition: dimensions that the embedding is compressed to.
        norm: of the joint layer, as a discriminator spec has it.
    """

    def __init__(self, channels: int, positions: int, text: TextEncoder, condition: int, norm: str) -> None:
        super().__init__()
        self.reading: nn.Module = nn.Sequential(text, nn.Linear(text.width, condition), nn.LeakyReLU(0.2))
        normed = discriminator_norm(norm, channels)
        self.join = nn.Linear(channels + condition, channels, bias=not normed)
        self.layers = nn.Sequential(*normed, nn.LeakyReLU(0.2))
        self.linear = LinearHead(channels * positions)

    def forward(self, features: Tensor, captions: Tensor | None = None) -> Tensor:
        if captions is None:
            raise ValueError("this discriminator judges pairs of image and text: pass captions")
        places = (features.flatten(2) if features.dim() > 2 else features[:, :, None]).transpose(1, 2)  # [B, P, C]
        condition = self.reading(captions).to(features.dtype)
        joined = self.join(torch.cat([places, condition[:, None].expand(-1, places.shape[1], -1)], dim=2))
        seen = self.layers(joined.flatten(0, 1)).unflatten(0, joined.shape[:2])
        logits: Tensor = self.linear(seen)
        return logits
