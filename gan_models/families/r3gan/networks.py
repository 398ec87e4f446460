"""R3GAN (Huang, Gokaslan, Kuleshov, Tompkin 2024, "The GAN is dead; long live the GAN!"), section 4, config E.

No normalisation layer, no minibatch statistics, no style: stages of residual blocks 1x1 - grouped 3x3 - 1x1 with an
inverted bottleneck, bilinear resampling, and the initialisation that stands in for the norms (Zhang, Dauphin, Ma 2019,
"Fixup"). Made for the relativistic game with R1 and R2 penalties. The images pass a tanh here, as everywhere in this
project; the authors' are unbounded.
"""

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu

from gan_models.families.building import LatentBuilder
from gan_models.families.interfaces import ImageShape, LatentGenerator, Trunk
from gan_models.families.r3gan.spec import R3ganDiscriminator, R3ganGenerator, Stages
from gan_models.families.resolutions import doubled_widths
from gan_models.layers.attention import attention_after

_SLOPE = 0.2
_GAIN = sqrt(2.0 / (1.0 + _SLOPE**2))  # keeps the variance through the leaky ReLU (He et al. 2015)
_CONVOLUTIONS = 3  # of a block


class InvertedBottleneck(nn.Module):
    """x + 1x1(act(grouped 3x3(act(1x1(x))))): [B, C, H, W] -> the same shape; the identity before training.

    Args:
        expansion: how many times as many channels lie between the 1x1 convolutions.
        group: channels of each group there, about.
        blocks: how many such blocks the network has, by which their first weights are scaled down.
    """

    def __init__(self, channels: int, *, expansion: int, group: int, blocks: int) -> None:
        super().__init__()
        hidden = channels * expansion
        groups = next(count for count in range(max(1, hidden // group), 0, -1) if hidden % count == 0)
        self.widen = nn.Conv2d(channels, hidden, 1)
        self.mix = nn.Conv2d(hidden, hidden, 3, padding=1, groups=groups)
        self.narrow = nn.Conv2d(hidden, channels, 1, bias=False)
        # L ** (-1 / (2 m - 2)) of Fixup, m convolutions in each of L blocks.
        self.gain = _GAIN * blocks ** (-1.0 / (2 * _CONVOLUTIONS - 2))

    def forward(self, x: Tensor) -> Tensor:
        hidden = leaky_relu(self.widen(x), _SLOPE)
        hidden = leaky_relu(self.mix(hidden), _SLOPE)
        return x + self.narrow(hidden)


class Resample(nn.Module):
    """Bilinear doubling or halving, with a 1x1 convolution where the width changes, always on the smaller map."""

    def __init__(self, inputs: int, outputs: int, *, up: bool) -> None:
        super().__init__()
        self.up = up
        self.change = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if self.up:
            return interpolate(self.change(x), scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.change(avg_pool2d(x, 2))  # which bilinear halving comes to


class GenerativeBasis(nn.Module):
    """The coarsest map: learnt maps, each weighted by a linear function of the latent: [B, Z] -> [B, C, H, W]."""

    def __init__(self, latent: int, channels: int, base: int) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.randn(channels, base, base))
        self.weigh = nn.Linear(latent, channels, bias=False)

    def forward(self, z_BZ: Tensor) -> Tensor:
        weights: Tensor = self.weigh(z_BZ)
        return self.maps.to(weights.dtype) * weights[:, :, None, None]


class R3ganImageGenerator(LatentGenerator):
    """A basis at the coarsest map and `blocks` residual blocks at each map, doubling in between."""

    def build(self, spec: R3ganGenerator, image_shape: ImageShape) -> None:
        channels, size, _ = image_shape
        base, doublings = spec.plan(size)
        widths = doubled_widths(spec.width, spec.max_width, doublings + 1)[::-1]
        layers: list[nn.Module] = [GenerativeBasis(self.joined, widths[0], base)]
        for level, width in enumerate(widths):
            if level:
                layers.append(Resample(widths[level - 1], width, up=True))
            layers += _stage(spec, width, len(widths))
            layers += attention_after(base << level, width, spec.attention)
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], channels, 1, bias=False), nn.Tanh())

    def synthesize(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        return self.layers(z_BZ)


class R3gan(LatentBuilder):
    """Both players."""

    network = R3ganImageGenerator

    def trunk(self, spec: R3ganDiscriminator, image_shape: ImageShape) -> Trunk:
        """The generator's mirror image; the coarsest map is summed over places with learnt weights for each channel."""
        channels, size, _ = image_shape
        base, doublings = spec.plan(size)
        widths = doubled_widths(spec.width, spec.max_width, doublings + 1)
        layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 1, bias=False)]
        for level, width in enumerate(widths):
            layers += _stage(spec, width, len(widths))
            layers += attention_after(size >> level, width, spec.attention)
            if level < doublings:
                layers.append(Resample(width, widths[level + 1], up=False))
        layers += [nn.Conv2d(widths[-1], widths[-1], base, groups=widths[-1], bias=False), nn.Flatten()]
        return Trunk(nn.Sequential(*layers), widths[-1], 1)

    def initialise(self, module: nn.Module) -> None:
        """N(0, 1 / fan in), times the block's gain inside one, and zero in its last convolution."""
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.normal_(module.weight, 0.0, module.weight[0].numel() ** -0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        if isinstance(module, InvertedBottleneck):
            for convolution in (module.widen, module.mix):
                nn.init.normal_(convolution.weight, 0.0, module.gain * convolution.weight[0].numel() ** -0.5)
            nn.init.zeros_(module.narrow.weight)


def _stage(spec: Stages, width: int, stages: int) -> list[nn.Module]:
    """The blocks of one map."""
    total = spec.blocks * stages
    return [
        InvertedBottleneck(width, expansion=spec.expansion, group=spec.group, blocks=total) for _ in range(spec.blocks)
    ]
