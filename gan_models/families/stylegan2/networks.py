"""StyleGAN2's networks (Karras et al. 2020a), as StyleGAN2-ADA's public code has them, in plain PyTorch.

Beside the suffixes of `families.interfaces`: W dimensions of the style w, L styles of an image, one for each layer.

A modulated convolution (section 2.2) scales the inputs of its kernel by the style, and then each output so that it has
the variance that unscaled inputs would give it. Both scalings are done to the features, in front of the convolution
and behind it, instead of to a kernel for each image: that is the same linear map, one ordinary convolution whatever the
batch, which can be differentiated twice and traced into a program for any number of images.
"""

import math
from collections.abc import Callable
from functools import wraps
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu

from gan_models import ranks
from gan_models.data.shape import Size
from gan_models.families.building import LatentBuilder
from gan_models.families.interfaces import ImageShape, StyledGenerator, Trunk
from gan_models.families.stylegan2.spec import StyleGan2Discriminator, StyleGan2Generator
from gan_models.layers.equalized import EqualizedConv2d, EqualizedLinear
from gan_models.layers.filtering import BinomialFilter
from gan_models.layers.minibatch import MinibatchStdDev
from gan_models.layers.normalization import PixelNorm

MAPPING_RATE = 0.01


def in_full_precision(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A method that computes in fp32 inside autocast too."""

    @wraps(forward)
    def computed(self: Any, first: Tensor, *others: Any) -> Tensor:
        kind = first.device.type
        if not torch.is_autocast_enabled(kind):
            return forward(self, first, *others)
        with torch.autocast(kind, enabled=False):
            return forward(self, first.float(), *others)

    return computed


def activated(x: Tensor, bias_C: Tensor | None = None) -> Tensor:
    """Bias and leaky ReLU, times sqrt(2), which keeps the variance."""
    if bias_C is not None:
        x = x + bias_C[:, None, None].to(x.dtype)
    return leaky_relu(x, 0.2) * math.sqrt(2.0)


class Mapping(nn.Module):
    """Labels, latents or both to styles w: an embedding of the class, both brought to length, then dense layers.

    Args:
        latent: Z; 0: labels alone, as in D.
        classes: K; 0 where unconditional.
    """

    def __init__(self, latent: int, classes: int, style: int, layers: int) -> None:
        super().__init__()
        # By the one-hot class, with one bias for all, so as not to be another network than the published one.
        self.embed = EqualizedLinear(classes, style) if classes else None
        self.normalise = PixelNorm()
        inputs = latent + (style if classes else 0)
        self.layers = nn.ModuleList(
            EqualizedLinear(style if layer else inputs, style, rate=MAPPING_RATE) for layer in range(layers)
        )

    @in_full_precision
    def forward(self, z_BZ: Tensor, labels_B: Tensor | None = None) -> Tensor:
        """[B, W]; where there are no latents, `z_BZ` is [B, 0]."""
        x = self.normalise(z_BZ) if z_BZ.shape[1] else z_BZ
        if self.embed is not None and labels_B is not None:
            classes_K = torch.arange(self.embed.in_features, device=x.device)
            told = self.normalise(self.embed((labels_B[:, None] == classes_K).to(x.dtype)))
            x = torch.cat([x, told], dim=1)
        for layer in self.layers:
            x = activated_rows(layer(x))
        return x


def activated_rows(x_BF: Tensor) -> Tensor:
    """Leaky ReLU of rows, times sqrt(2)."""
    return leaky_relu(x_BF, 0.2) * math.sqrt(2.0)


class Modulated(nn.Module):
    """Base of the convolutions whose inputs a style scales."""

    def __init__(self, inputs: int, outputs: int, size: int, style: int) -> None:
        super().__init__()
        self.style = EqualizedLinear(style, inputs, start=1.0)
        self.weight = nn.Parameter(torch.empty(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights from N(0, 1), biases 0."""
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)

    @in_full_precision
    def scales(self, w_BW: Tensor) -> Tensor:
        """Of the inputs, [B, C, 1, 1]."""
        scales: Tensor = self.style(w_BW)
        return scales[:, :, None, None]


class StyledConvolution(Modulated):
    """3x3 with demodulation; then noise, bias and leaky ReLU (section 2 and figure 2 of the paper).

    In training the noise is drawn anew for each pixel; afterwards it is the same for every image, drawn once and kept
    with the weights, so that a style is one image.

    Args:
        size: of its output.
        up: whether it doubles its input.
    """

    noise: Tensor

    def __init__(self, inputs: int, outputs: int, style: int, size: Size, *, up: bool) -> None:
        super().__init__(inputs, outputs, 3, style)
        self.filter = BinomialFilter() if up else None
        self.strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.randn(*size))

    @in_full_precision
    def demodulation(self, scales_BC11: Tensor) -> Tensor:
        """1 / sqrt(sum over inputs and places of (w s)^2), for each output: [B, C, 1, 1] (eq. 3)."""
        power = scales_BC11.flatten(1).square() @ self.weight.square().sum((2, 3)).T
        return (power + 1e-8).rsqrt()[:, :, None, None]

    def forward(self, x: Tensor, w_BW: Tensor) -> Tensor:
        scales = self.scales(w_BW)
        x = x * scales.to(x.dtype)
        if self.filter is None:
            x = conv2d(x, self.weight, padding=1)
        else:
            # Padded once, where the zeros between the pixels are: 2 H + 1 places, which the filter makes 2 H of.
            x = conv_transpose2d(x, self.weight.transpose(0, 1), stride=2)
            x = self.filter.blurred(x, 1, gain=4.0)
        x = x * self.demodulation(scales).to(x.dtype)
        return activated(x + (self._noise(x) * self.strength).to(x.dtype), self.bias)

    def _noise(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.noise
        drawn = torch.randn(len(x) * ranks.count(), 1, *self.noise.shape, device=x.device)
        return ranks.share(drawn)


class ToImage(Modulated):
    """1x1 without demodulation or activation: [B, C, H, W] -> [B, 1 or 3, H, W], in fp32."""

    def __init__(self, inputs: int, outputs: int, style: int) -> None:
        super().__init__(inputs, outputs, 1, style)
        self.scale = 1.0 / math.sqrt(inputs)

    def forward(self, x: Tensor, w_BW: Tensor) -> Tensor:
        x = conv2d(x * (self.scales(w_BW) * self.scale).to(x.dtype), self.weight)
        return x.float() + self.bias[:, None, None]


class StyleGan2ImageGenerator(StyledGenerator):
    """A mapping network, and a synthesis network whose image is a sum over all sizes (section 4.1).

    Each convolution has a style of its own; the last layer to the image has one more, the others hear the style of the
    convolution behind them.
    """

    def build(self, spec: StyleGan2Generator, image_shape: ImageShape) -> None:
        channels, size = image_shape[0], Size.of(image_shape)
        widths = spec.widths(size)
        coarsest = size.halved(len(widths) - 1)
        self.mapping = Mapping(self.latent, self.num_classes, spec.style, spec.mapping)
        self.constant = nn.Parameter(torch.empty(widths[0], *coarsest))
        convolutions = [StyledConvolution(widths[0], widths[0], spec.style, coarsest, up=False)]
        for left, (inputs, outputs) in zip(reversed(range(len(widths) - 1)), pairwise(widths), strict=True):
            convolutions += [
                StyledConvolution(inputs, outputs, spec.style, size.halved(left), up=True),
                StyledConvolution(outputs, outputs, spec.style, size.halved(left), up=False),
            ]
        self.convolutions = nn.ModuleList(convolutions)
        self.to_image = nn.ModuleList(ToImage(width, channels, spec.style) for width in widths)
        self.filter = BinomialFilter()
        self.make_average(spec.style, layers=len(convolutions) + 1)

    def reset_parameters(self) -> None:
        """The constant from N(0, 1)."""
        nn.init.normal_(self.constant)

    def mapped(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        return self.mapping(z_BZ, labels_B)

    def draw(self, styles_BLW: Tensor) -> Tensor:
        x = self.constant.expand(styles_BLW.shape[0], -1, -1, -1)
        image: Tensor | None = None
        for number, convolution in enumerate(self.convolutions):
            x = convolution(x, styles_BLW[:, number])
            if number % 2 == 0:  # the last one of its size
                seen = self.to_image[number // 2](x, styles_BLW[:, number + 1])
                image = seen if image is None else self._doubled(image) + seen
        assert image is not None
        return image

    @in_full_precision
    def _doubled(self, image: Tensor) -> Tensor:
        return self.filter.doubled(image)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, the second halving, and a 1x1 shortcut where it is residual."""

    def __init__(self, inputs: int, outputs: int, *, residual: bool) -> None:
        super().__init__()
        self.first = EqualizedConv2d(inputs, inputs, 3, gain=1.0)
        self.second = EqualizedConv2d(inputs, outputs, 3, gain=1.0)
        self.shortcut = EqualizedConv2d(inputs, outputs, 1, gain=1.0, bias=False) if residual else None
        self.filter = BinomialFilter()

    def forward(self, x: Tensor) -> Tensor:
        changed = self.filter.blurred(activated(self.first(x)), 2)
        second = self.second
        changed = activated(conv2d(changed, second.weight * second.scale, second.bias, stride=2))
        if self.shortcut is None:
            return changed
        return (self.shortcut(self.filter.halved(x)) + changed) * math.sqrt(0.5)


class StyleGan2Trunk(nn.Module):
    """Images to features [B, F]; what is behind the 4x4 map is computed in fp32."""

    def __init__(self, spec: StyleGan2Discriminator, image_shape: ImageShape) -> None:
        super().__init__()
        channels, size = image_shape[0], Size.of(image_shape)
        widths = spec.widths(size)[::-1]
        residual = spec.architecture == "residual"
        self.from_image = EqualizedConv2d(channels, widths[0], 1, gain=1.0)
        self.blocks = nn.Sequential(
            *(ResidualBlock(inputs, outputs, residual=residual) for inputs, outputs in pairwise(widths))
        )
        last = widths[-1]
        self.stddev = MinibatchStdDev(spec.group) if spec.minibatch == "stddev" else None
        self.convolution = EqualizedConv2d(last + (self.stddev is not None), last, 3, gain=1.0)
        self.dense = EqualizedLinear(last * size.halved(len(widths) - 1).places, last)

    def forward(self, images: Tensor) -> Tensor:
        return self._judged(self.blocks(activated(self.from_image(images))))

    @in_full_precision
    def _judged(self, x: Tensor) -> Tensor:
        if self.stddev is not None:
            x = self.stddev(x)
        return activated_rows(self.dense(activated(self.convolution(x)).flatten(1)))


class MappedProjection(nn.Module):
    """<f(h), m(y)> / sqrt(F), m a mapping network of the class; there is no unconditional term."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.linear = EqualizedLinear(features, features)
        # Of eight layers in every configuration, unlike the generator's (the public code).
        self.mapping = Mapping(0, classes, features, 8)

    @in_full_precision
    def forward(self, features_BF: Tensor, labels_B: Tensor | None = None) -> Tensor:
        """Logits [B]."""
        if labels_B is None:
            raise ValueError("this discriminator is conditional: pass labels")
        told = self.mapping(features_BF[:, :0], labels_B)
        return (self.linear(features_BF) * told).sum(1) / math.sqrt(told.shape[1])


class StyleGan2(LatentBuilder):
    """Both players."""

    network = StyleGan2ImageGenerator

    def trunk(self, spec: StyleGan2Discriminator, image_shape: ImageShape) -> Trunk:
        """Everything in front of the last dense layer, minibatch statistics included."""
        layers, stddev = StyleGan2Trunk(spec, image_shape), spec.minibatch == "stddev"
        return Trunk(layers, layers.dense.out_features, 1, linear=EqualizedLinear, has_stddev=stddev)

    def projection(self, spec: StyleGan2Discriminator, trunk: Trunk, classes: int) -> nn.Module:
        return MappedProjection(trunk.channels, classes)

    def initialise(self, module: nn.Module) -> None:
        """N(0, 1), scaled at run time; styles begin as 1, other biases and the noise's strength as 0."""
        if isinstance(module, EqualizedLinear | EqualizedConv2d | Modulated | StyleGan2ImageGenerator):
            module.reset_parameters()
