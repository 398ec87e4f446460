"""ACGAN's networks (Odena, Olah, Shlens 2017, appendix A, tables 1 and 2).

The tables' "Linear 768" (384 for CIFAR-10) is read as so many maps of 4x4 pixels, from which their transposed
convolutions double to the image. Batch norm in all but G's dense and last layers and D's first; weights N(0, 0.02).
"""

from itertools import pairwise

from torch import Tensor, nn

from gan_models.data.shape import Size
from gan_models.families.acgan.spec import AcganDiscriminator, AcganGenerator
from gan_models.families.building import LatentBuilder
from gan_models.families.dcgan.networks import doubling
from gan_models.families.interfaces import ImageShape, LatentGenerator, Trunk
from gan_models.layers.initialization import SCHEMES
from gan_models.layers.noise import dropout


class AcganImageGenerator(LatentGenerator):
    """Linear-ReLU to the coarsest map, then 5x5 transposed convolutions of stride 2."""

    def build(self, spec: AcganGenerator, image_shape: ImageShape) -> None:
        channels, size = image_shape[0], Size.of(image_shape)
        base = spec.plan(size).base
        self.coarse_shape = (*base, spec.widths[0])
        self.project = nn.Linear(self.joined, spec.widths[0] * base.places)
        layers: list[nn.Module] = [nn.ReLU(inplace=True)]
        for inputs, outputs in pairwise(spec.widths):
            layers += [doubling(inputs, outputs, 5, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, doubling(spec.widths[-1], channels, 5), nn.Tanh())

    def synthesize(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        return self.layers(self.project(z_BZ).unflatten(1, self.coarse_shape).permute(0, 3, 1, 2))


class Acgan(LatentBuilder):
    """Both players."""

    network = AcganImageGenerator
    initialise = staticmethod(SCHEMES["normal"])

    def trunk(self, spec: AcganDiscriminator, image_shape: ImageShape) -> Trunk:
        """Convolution-BatchNorm-LeakyReLU(0.2)-dropout, each."""
        channels, size = image_shape[0], Size.of(image_shape)
        layers: list[nn.Module] = []
        for level, (inputs, outputs) in enumerate(pairwise([channels, *spec.widths])):
            stride = 1 + (level + 1) % 2
            size = Size(*((side + stride - 1) // stride for side in size))
            norm = [nn.BatchNorm2d(outputs)] if level else []
            layers += [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=not norm), *norm]
            layers += [nn.LeakyReLU(0.2, inplace=True), *dropout(spec.dropout)]
        return Trunk(nn.Sequential(*layers), spec.widths[-1], size.places)
