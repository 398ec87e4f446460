"""The ResNet of SNGAN (Miyato et al. 2018, appendix B.4, tables 4 to 6), which WGAN-GP's for CIFAR-10 led to.

32x32: three doubling blocks of 256 channels in G; in D two halving and two plain blocks of 128, summed over positions
after the last ReLU. 4,276,739 and 1,053,825 parameters for RGB and 128 latents. Larger images have wider coarse maps:
at 128x128 from 64 channels of the finest to 1024, 32.2 and 29.0 million parameters. With attention it is SAGAN (Zhang
et al. 2019), with a class for each image the network of Miyato, Koyama 2018: conditional batch norm in G, projection on
the sum in D. What the tables leave open (which convolution widens, how often D halves) is as in the authors' public
code.
"""

from functools import partial

from torch import Tensor, nn
from torch.nn.functional import relu

from gan_models.data.shape import Size
from gan_models.families.building import LatentBuilder
from gan_models.families.interfaces import ImageShape, LatentGenerator, Trunk
from gan_models.families.residual import (
    DownBlock,
    NormFactory,
    UpBlock,
    UpBlocks,
    down_trunk,
    unconditioned_norm,
)
from gan_models.families.sngan.spec import SnganDiscriminator, SnganGenerator
from gan_models.layers.initialization import SCHEMES
from gan_models.layers.normalization import ConditionalBatchNorm2d


class SnganImageGenerator(LatentGenerator):
    """A dense layer to the coarsest map, UpBlocks, then norm-ReLU-convolution-tanh."""

    def build(self, spec: SnganGenerator, image_shape: ImageShape) -> None:
        channels, size = image_shape[0], Size.of(image_shape)
        base, doublings = spec.plan(size)
        widths = spec.widths(size)
        plain: NormFactory = unconditioned_norm(spec.norm)
        by_class = self.num_classes and not self.one_hot
        norm = partial(ConditionalBatchNorm2d, num_classes=self.num_classes) if by_class else plain
        self.coarse_shape = (widths[0], *base)
        self.project = nn.Linear(self.joined, widths[0] * base.places)
        self.blocks = UpBlocks(widths, base, [norm] * doublings, spec.attention)
        # Plain in the conditional network too (Miyato, Koyama 2018, appendix, figure 14).
        self.norm = plain(widths[-1])
        self.last = nn.Conv2d(widths[-1], channels, 3, padding=1)

    def synthesize(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        coarse = self.project(z_BZ).unflatten(1, self.coarse_shape)
        features = self.blocks(coarse, [labels_B] * len(self.blocks.blocks))
        return self.last(relu(self.norm(features))).tanh()


class Sngan(LatentBuilder):
    """Both players."""

    network = SnganImageGenerator

    def trunk(self, spec: SnganDiscriminator, image_shape: ImageShape) -> Trunk:
        """Halving blocks and those that keep the map."""
        channels, size = image_shape[0], Size.of(image_shape)
        halvings, _ = spec.trunk(size)
        widths = [channels, *spec.widths(size)]
        return down_trunk(
            widths, size, halvings, wide=spec.wide, norm=spec.norm, attention=spec.attention, pool=spec.pool
        )

    def initialise(self, module: nn.Module) -> None:
        """Glorot's, with gain sqrt(2) in front of a ReLU's halving in the blocks (the authors' public code)."""
        SCHEMES["xavier"](module)
        if isinstance(module, UpBlock | DownBlock):
            for convolution in (module.conv_in, module.conv_out):
                nn.init.xavier_uniform_(convolution.weight, nn.init.calculate_gain("relu"))
