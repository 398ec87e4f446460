"""DCGAN (Radford, Metz, Chintala 2016): strided and transposed convolutions, no pooling, no hidden dense layers.

Batch norm everywhere but in G's output and D's input; ReLU in G, LeakyReLU(0.2) in D; weights from N(0, 0.02).
"""

from itertools import pairwise

from torch import Tensor, nn

from gan_models.data.shape import Size
from gan_models.families.base import StridedGenerator
from gan_models.families.building import LatentBuilder
from gan_models.families.dcgan.spec import DcganDiscriminator, DcganGenerator
from gan_models.families.interfaces import ImageShape, LatentGenerator, Trunk
from gan_models.families.resolutions import doubled_widths
from gan_models.layers.attention import attention_after
from gan_models.layers.initialization import SCHEMES, gains_around_one
from gan_models.layers.normalization import discriminator_norm, generator_norm


def doubling(inputs: int, outputs: int, kernel: int = 4, *, bias: bool = True) -> nn.ConvTranspose2d:
    """A transposed convolution of stride 2: [B, inputs, H, W] -> [B, outputs, 2H, 2W]."""
    return nn.ConvTranspose2d(inputs, outputs, kernel, 2, (kernel - 1) // 2, output_padding=kernel % 2, bias=bias)


def doubling_layers(
    spec: StridedGenerator, widths: list[int], base: Size, kernel: int = 4, *, bias: bool = False
) -> list[nn.Module]:
    """Transposed convolutions of stride 2 from a map of the size `base`, norm-ReLU after each.

    Args:
        bias: whether they have one where a norm follows, too.
    """
    layers: list[nn.Module] = []
    for level, (inputs, outputs) in enumerate(pairwise(widths), 1):
        norm = generator_norm(spec.norm, outputs)
        layers += [doubling(inputs, outputs, kernel, bias=bias or not norm), *norm, nn.ReLU(inplace=True)]
        layers += attention_after(base.shorter << level, outputs, spec.attention)
    return layers


class DcganImageGenerator(LatentGenerator):
    """A dense projection to the coarsest map, then transposed convolutions of stride 2."""

    def build(self, spec: DcganGenerator, image_shape: ImageShape) -> None:
        channels, size = image_shape[0], Size.of(image_shape)
        base, doublings = spec.plan(size)
        widths = doubled_widths(spec.width, spec.max_width, doublings)[::-1]
        self.coarse_shape = (*base, widths[0])
        units = widths[0] * base.places
        # The paper's first layer, a convolution on a 1x1 map, written as the matrix product that it is.
        self.project = nn.Linear(self.joined, units, bias=spec.bias == "all" or spec.norm == "none")
        self.norm = nn.Sequential(*(generator_norm(spec.norm, units, flat=True) if spec.flat_norm else []))
        layers = [*([] if spec.flat_norm else generator_norm(spec.norm, widths[0])), nn.ReLU(inplace=True)]
        layers += attention_after(base.shorter, widths[0], spec.attention)
        layers += doubling_layers(spec, widths, base, spec.kernel, bias=spec.bias == "all")
        last = doubling(widths[-1], channels, spec.kernel, bias=spec.bias != "none")
        self.layers = nn.Sequential(*layers, last, nn.Tanh())

    def synthesize(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        # Channels last from the start, as the convolutions want them: nothing is copied into another order.
        coarse_BHWC = self.norm(self.project(z_BZ)).unflatten(1, self.coarse_shape)
        return self.layers(coarse_BHWC.permute(0, 3, 1, 2))


class Dcgan(LatentBuilder):
    """Both players."""

    network = DcganImageGenerator

    def trunk(self, spec: DcganDiscriminator, image_shape: ImageShape) -> Trunk:
        """Convolutions of stride 2 down to the coarsest map."""
        channels, size = image_shape[0], Size.of(image_shape)
        base, doublings = spec.plan(size)
        widths = [channels, *doubled_widths(spec.width, spec.max_width, doublings)]
        layers: list[nn.Module] = []
        for level, (inputs, outputs) in enumerate(pairwise(widths)):
            map_size = size.shorter >> (level + 1)
            norm = discriminator_norm(spec.norm, outputs, map_size) if level > 0 else []
            bias = spec.bias == "all" or (spec.bias == "unnormed" and not norm)
            layers.append(nn.Conv2d(inputs, outputs, spec.kernel, 2, (spec.kernel - 1) // 2, bias=bias))
            layers += [*norm, nn.LeakyReLU(0.2, inplace=True)]
            layers += attention_after(map_size, outputs, spec.attention)
        return Trunk(nn.Sequential(*layers), widths[-1], base.places, bias=spec.bias != "none")

    def initialise(self, module: nn.Module) -> None:
        """Weights from N(0, 0.02) (section 4); batch-norm gains around 1, as the public code has them."""
        SCHEMES["normal"](module)
        gains_around_one(module)
        if isinstance(module, DcganImageGenerator):
            for norm in module.norm:  # of the first layer's units
                if isinstance(norm, nn.BatchNorm1d):
                    nn.init.normal_(norm.weight, 1.0, 0.02)
