"""What translation networks are made of: residual translators (Johnson, Alahi, Fei-Fei 2016) and PatchGANs."""

from collections.abc import Callable
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from gan_models.data.shape import Size
from gan_models.families.base import PatchDiscriminator, ResidualTranslator
from gan_models.families.interfaces import ImageShape
from gan_models.layers.attention import attention_after
from gan_models.layers.heads import ConvolutionalHead
from gan_models.layers.normalization import discriminator_norm, generator_norm

Norm = Callable[[int], list[nn.Module]]
Padding = Literal["zeros", "reflect"]

_WIDEST = 8  # a PatchGAN's width grows to so many times that of the first layer


class Residual(nn.Module):
    """x + conv-norm-ReLU-conv-norm(x)."""

    def __init__(self, channels: int, norm: Norm, *, bias: bool, padding: Padding) -> None:
        super().__init__()

        def conv() -> nn.Conv2d:
            return nn.Conv2d(channels, channels, 3, 1, 1, bias=bias, padding_mode=padding)

        self.layers = nn.Sequential(conv(), *norm(channels), nn.ReLU(inplace=True), conv(), *norm(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def norm_of(kind: str, *, affine: bool = False) -> Norm:
    """Layers that a spec's `norm` asks for; `affine`: instance norm with gain and bias for each channel."""
    if kind == "instance" and affine:
        return lambda channels: [nn.InstanceNorm2d(channels, affine=True)]
    return lambda channels: generator_norm(kind, channels)


def residual_translator(
    spec: ResidualTranslator,
    image_shape: ImageShape,
    norm: Norm,
    *,
    planes: int = 0,
    kernel: int,
    padding: Padding,
    bias: bool,
    last_bias: bool,
) -> nn.Sequential:
    """Halvings, residual blocks, doublings: [B, C + planes, H, W] -> images [B, C, H, W] in [-1, 1].

    Args:
        kernel: side of the convolutions that halve and double.
        bias: whether the convolutions in front of a norm have one.
    """
    channels, side, width = image_shape[0], min(image_shape[1:]), spec.width

    def block(layer: nn.Module, outputs: int) -> list[nn.Module]:
        return [layer, *norm(outputs), nn.ReLU(inplace=True)]

    layers = block(nn.Conv2d(channels + planes, width, 7, 1, 3, bias=bias, padding_mode=padding), width)
    for _ in range(spec.halvings):
        layers += block(nn.Conv2d(width, 2 * width, kernel, 2, 1, bias=bias), 2 * width)
        side, width = side // 2, 2 * width
        layers += attention_after(side, width, spec.attention)
    layers += [Residual(width, norm, bias=bias, padding=padding) for _ in range(spec.blocks)]
    for _ in range(spec.halvings):
        doubling = nn.ConvTranspose2d(width, width // 2, kernel, 2, 1, output_padding=kernel % 2, bias=bias)
        layers += block(doubling, width // 2)
        width //= 2
    last = nn.Conv2d(width, channels, 7, 1, 3, bias=last_bias, padding_mode=padding)
    return nn.Sequential(*layers, last, nn.Tanh())


def patch_network(spec: PatchDiscriminator, image_shape: ImageShape) -> tuple[nn.Sequential, ConvolutionalHead]:
    """Trunk and head of a discriminator that judges patches (Isola et al. 2017, section 3.2.2, "PatchGAN").

    4x4 convolutions of stride 2, as many as the image is large enough for, then two of stride 1. With 3 layers each
    logit sees 70x70 pixels; width 64 and RGB make the published 2,764,737 parameters.
    """
    channels, size = image_shape[0], Size.of(image_shape)
    side = size.shorter
    halvings = spec.halvings(size)
    widths = [channels, *(spec.width * min(1 << level, _WIDEST) for level in range(halvings + 1))]
    parts: list[nn.Module] = []
    for level, (inputs, outputs) in enumerate(pairwise(widths)):
        stride = 2 if level < halvings else 1
        side = side // 2 if stride == 2 else side - 1
        norm = discriminator_norm(spec.norm, outputs, side) if level else []
        # The public code leaves the bias out in front of batch norm only.
        parts.append(nn.Conv2d(inputs, outputs, 4, stride, 1, bias=not norm or spec.norm != "batch"))
        parts += [*norm, nn.LeakyReLU(0.2, inplace=True), *attention_after(side, outputs, spec.attention)]
    return nn.Sequential(*parts), ConvolutionalHead(widths[-1])
