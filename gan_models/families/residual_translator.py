"""The residual image-to-image network of Johnson, Alahi, Fei-Fei 2016, which translation networks grew out of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from gan_models.layers.normalization import generator_norm

Norm = Callable[[int], list[nn.Module]]


class Residual(nn.Module):
    """x + conv-norm-ReLU-conv-norm(x)."""

    def __init__(self, channels: int, norm: Norm, *, bias: bool, padding: Literal["zeros", "reflect"]) -> None:
        super().__init__()

        def conv() -> nn.Conv2d:
            return nn.Conv2d(channels, channels, 3, 1, 1, bias=bias, padding_mode=padding)

        self.layers = nn.Sequential(conv(), *norm(channels), nn.ReLU(inplace=True), conv(), *norm(channels))

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = x + self.layers(x)
        return changed


def norm_of(kind: str, *, affine: bool = False) -> Norm:
    """Layers that a spec's `norm` asks for.

    Args:
        affine: instance norm with a gain and a bias for each channel.
    """
    if kind == "instance" and affine:
        return lambda channels: [nn.InstanceNorm2d(channels, affine=True)]
    return lambda channels: generator_norm(kind, channels)
