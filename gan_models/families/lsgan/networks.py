"""LSGAN's generator of scenes (Mao et al. 2017, figure 1a; the authors' public code).

112 pixels: from 7x7 maps of 256 channels two doublings of two layers each, then doublings to 128 and 64 channels and a
layer to the image. Batch norm and ReLU after all but the last, a bias in each, weights from N(0, 0.02).
"""

from torch import Tensor, nn

from gan_models.data.shape import Size
from gan_models.families.building import LatentBuilder
from gan_models.families.interfaces import ImageShape, LatentGenerator
from gan_models.families.lsgan.spec import LsganGenerator
from gan_models.layers.initialization import SCHEMES


class LsganImageGenerator(LatentGenerator):
    """A dense layer to the coarsest map, then 3x3 transposed convolutions of stride 2 and 1."""

    def build(self, spec: LsganGenerator, image_shape: ImageShape) -> None:
        channels, size = image_shape[0], Size.of(image_shape)
        base, doublings = spec.plan(size)
        self.coarse_shape = (*base, spec.width)
        self.project = nn.Linear(self.joined, spec.width * base.places)
        layers: list[nn.Module] = [nn.BatchNorm2d(spec.width), nn.ReLU(inplace=True)]
        inputs = spec.width
        for left in reversed(range(doublings)):
            outputs = max(1, spec.width >> max(0, 2 - left))
            layers += _layer(inputs, outputs, stride=2)
            if left > 1:
                layers += _layer(outputs, outputs, stride=1)
            inputs = outputs
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(inputs, channels, 3, 1, 1), nn.Tanh())

    def synthesize(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        return self.layers(self.project(z_BZ).unflatten(1, self.coarse_shape).permute(0, 3, 1, 2))


class Lsgan(LatentBuilder):
    """The generator."""

    network = LsganImageGenerator
    initialise = staticmethod(SCHEMES["normal"])


def _layer(inputs: int, outputs: int, *, stride: int) -> list[nn.Module]:
    up = nn.ConvTranspose2d(inputs, outputs, 3, stride, 1, output_padding=stride - 1)
    return [up, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
