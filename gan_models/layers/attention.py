"""Self-attention over the positions of a feature map (Zhang et al. 2019, "Self-Attention GANs", section 3)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d


class SelfAttention2d(nn.Module):
    """x + gamma attention(x), gamma starting at 0, so that the block is the identity at first.

    Queries and keys have C/8 channels, values C/2; keys and values are max-pooled 2x2, as in the authors' code.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow, half = max(1, channels // 8), max(1, channels // 2)
        self.theta = nn.Conv2d(channels, narrow, 1, bias=False)
        self.phi = nn.Conv2d(channels, narrow, 1, bias=False)
        self.g = nn.Conv2d(channels, half, 1, bias=False)
        self.out = nn.Conv2d(half, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]."""
        queries = self.theta(features).flatten(2).transpose(1, 2)  # [B, HW, C/8]
        keys = max_pool2d(self.phi(features), 2).flatten(2).transpose(1, 2)  # [B, HW/4, C/8]
        values = max_pool2d(self.g(features), 2).flatten(2).transpose(1, 2)  # [B, HW/4, C/2]
        if torch.compiler.is_compiling():  # ONNX knows attention with heads only; this is one
            queries, keys, values = queries[:, None], keys[:, None], values[:, None]
        # No division by sqrt(C/8): the paper's attention is not scaled.
        seen = nn.functional.scaled_dot_product_attention(queries, keys, values, scale=1.0)
        seen = seen.flatten(0, -3).transpose(1, 2).reshape(features.shape[0], -1, *features.shape[2:])
        return features + self.gamma.to(features.dtype) * self.out(seen)


def attention_after(size: int, channels: int, sizes: tuple[int, ...]) -> list[nn.Module]:
    """The block for a feature map of this size, where a spec's `attention` names it; else nothing."""
    return [SelfAttention2d(channels)] if size in sizes else []
