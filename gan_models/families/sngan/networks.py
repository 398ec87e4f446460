"""The ResNet of SNGAN (Miyato et al. 2018, appendix B.4, tables 4 to 6), which WGAN-GP's for CIFAR-10 led to.

32x32: three doubling blocks of 256 channels in G; in D two halving and two plain blocks of 128, summed over positions
after the last ReLU. 4,276,739 and 1,053,825 parameters for RGB and 128 latents. Other sizes have more or fewer blocks;
past 32 pixels the width halves with each doubling. With attention it is SAGAN (Zhang et al. 2019), with a class for
each image the network of Miyato, Koyama 2018: conditional batch norm in G, projection in D.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import relu

from gan_models.errors import RequestError
from gan_models.families.interfaces import LatentGenerator, Trunk
from gan_models.families.resolutions import check_size as check_resolution
from gan_models.families.resolutions import map_widths, plan
from gan_models.layers.initialization import SCHEMES
from gan_models.layers.normalization import REFERENCE_ROWS, ConditionalBatchNorm2d
from gan_models.layers.residual import (
    DownBlock,
    NormFactory,
    UpBlock,
    UpBlocks,
    down_trunk,
    unconditioned_norm,
)
from gan_models.recipes.network_specs import SnganDiscriminator, SnganGenerator

ImageShape = tuple[int, int, int]
FAMILY = "sngan"


def check_size(size: int) -> None:
    """Raises RequestError where no coarse map of 4 to 7 pixels doubles to `size`."""
    check_resolution(size, FAMILY)


class SnganImageGenerator(LatentGenerator):
    """A dense layer to the coarsest map, UpBlocks, then norm-ReLU-convolution-tanh."""

    def __init__(
        self, spec: SnganGenerator, latent: int, num_classes: int, image_shape: ImageShape, *, one_hot: bool
    ) -> None:
        reference = REFERENCE_ROWS if spec.norm in ("virtual", "reference") else 0
        super().__init__(latent, num_classes, one_hot=one_hot, reference=reference)
        channels, size, _ = image_shape
        base, doublings = plan(size, FAMILY)
        widths = map_widths(spec.width, doublings)
        plain: NormFactory = unconditioned_norm(spec.norm, reference)
        norm = _class_norm(num_classes) if num_classes and not one_hot else plain
        self.coarse_shape = (widths[0], base, base)
        self.project = nn.Linear(self.joined, widths[0] * base * base)
        self.blocks = UpBlocks(widths, base, [norm] * doublings, spec.attention)
        # Plain in the conditional network too (Miyato, Koyama 2018, appendix, figure 14).
        self.norm = plain(widths[-1])
        self.last = nn.Conv2d(widths[-1], channels, 3, padding=1)

    def synthesize(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        coarse = self.project(z_BZ).unflatten(1, self.coarse_shape)
        features = self.blocks(coarse, [labels_B] * len(self.blocks.blocks))
        images: Tensor = self.last(relu(self.norm(features))).tanh()
        return images


def _class_norm(num_classes: int) -> Callable[[int], nn.Module]:
    return lambda channels: ConditionalBatchNorm2d(channels, num_classes)


def build_generator(
    spec: SnganGenerator, latent: int, num_classes: int, image_shape: ImageShape, one_hot: bool
) -> LatentGenerator:
    """Raises RequestError for conditional batch norm where the spec asks for another norm."""
    if num_classes and not one_hot and spec.norm != "batch":
        raise RequestError(
            f"networks.generator.norm={spec.norm} leaves conditional batch norm no place: set it to batch, or "
            "conditioning.generator=one-hot"
        )
    return SnganImageGenerator(spec, latent, num_classes, image_shape, one_hot=one_hot)


def build_trunk(spec: SnganDiscriminator, image_shape: ImageShape) -> Trunk:
    """Halving blocks down to twice the coarsest map, as in the 32x32 network, and two that keep it."""
    channels, size, _ = image_shape
    doublings = plan(size, FAMILY).doublings
    downs = max(1, doublings - 1)
    finest_first = map_widths(spec.width, doublings)[::-1]
    widths = [channels, *finest_first[:downs], spec.width, spec.width]
    return down_trunk(widths, size, downs, wide=False, norm=spec.norm, attention=spec.attention)


def initialise(module: nn.Module) -> None:
    """Glorot's, with gain sqrt(2) in front of a ReLU's halving in the blocks, as the authors' public code has it."""
    SCHEMES["xavier"](module)
    if isinstance(module, UpBlock | DownBlock):
        for convolution in (module.conv_in, module.conv_out):
            nn.init.xavier_uniform_(convolution.weight, nn.init.calculate_gain("relu"))
