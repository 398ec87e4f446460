"""The residual image-to-image network of Johnson, Alahi, Fei-Fei 2016, which translation networks grew out of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from gan_models.errors import RequestError
from gan_models.layers.attention import attention_after
from gan_models.layers.normalization import generator_norm
from gan_models.recipes.network_specs import GeneratorSpec

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


def norm_of(spec: GeneratorSpec, *, affine: bool = False) -> Norm:
    """Layers that the spec's `norm` asks for.

    Args:
        affine: instance norm with a gain and a bias for each channel.

    Raises:
        RequestError: a norm that refers to fixed latents, which a network of images does not have.
    """
    if spec.norm in ("virtual", "reference"):
        raise RequestError(
            f"networks.generator.norm={spec.norm} normalises by fixed latents, and this generator takes images: "
            "use instance, batch or none"
        )
    if spec.norm == "instance" and affine:
        return lambda channels: [nn.InstanceNorm2d(channels, affine=True)]
    return lambda channels: generator_norm(spec.norm, channels, 0)


def check_halvings(size: int, halvings: int) -> None:
    """Raises RequestError where an image of this side cannot be halved so often down to a map of 2x2 or more."""
    if size % (1 << halvings) or size >> halvings < 2:
        raise RequestError(
            f"data.size={size}: networks.generator.halvings={halvings} needs a multiple of {1 << halvings} and at "
            f"least {2 << halvings}: use such a size, or fewer halvings"
        )


def attention(spec: GeneratorSpec, size: int, channels: int) -> list[nn.Module]:
    """Self-attention behind a map of this size, where the spec names it."""
    return attention_after(size, channels, spec.attention)
