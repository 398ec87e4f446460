"""The convolutions of semi-supervised learning on CIFAR-10 (Salimans et al. 2016, section 6.2, and their public code).

Weight norm in all of D and in G's last layer, lengths learnt in each player's last layer only; all weights are drawn
from N(0, 0.05).
"""

from itertools import pairwise

from torch import Tensor, nn

from gan_models.data.shape import Size
from gan_models.families.building import LatentBuilder
from gan_models.families.dcgan.networks import doubling
from gan_models.families.interfaces import ImageShape, LatentGenerator, Trunk
from gan_models.families.resolutions import doubled_widths
from gan_models.families.sgan_cnn.spec import SganCnnDiscriminator, SganCnnGenerator
from gan_models.layers.noise import dropout
from gan_models.layers.normalization import ShiftedBatchNorm
from gan_models.layers.weight_norm import weight_normed

_STD = 0.05
_LAST = 0.1  # what the outputs of each player's last layer spread over at the start


class SganCnnImageGenerator(LatentGenerator):
    """A dense layer normalised unit by unit, then 5x5 transposed convolutions of stride 2."""

    def build(self, spec: SganCnnGenerator, image_shape: ImageShape) -> None:
        channels, size = image_shape[0], Size.of(image_shape)
        base, doublings = spec.plan(size)
        widths = doubled_widths(spec.width, spec.max_width, doublings)[::-1]
        self.coarse_shape = (*base, widths[0])
        units = widths[0] * base.places
        self.project = nn.Sequential(
            _drawn(nn.Linear(self.joined, units, bias=False)), ShiftedBatchNorm(units, flat=True), nn.ReLU()
        )
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [_drawn(doubling(inputs, outputs, 5, bias=False)), ShiftedBatchNorm(outputs), nn.ReLU()]
        last = doubling(widths[-1], channels, 5)
        if spec.weight_norm:
            weight_normed(last, std=_STD, learnt=True, spread=_LAST)
        self.layers = nn.Sequential(*layers, last, nn.Tanh())

    def synthesize(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        return self.layers(self.project(z_BZ).unflatten(1, self.coarse_shape).permute(0, 3, 1, 2))


class SganCnn(LatentBuilder):
    """Both players; their weights are drawn where their layers are made."""

    network = SganCnnImageGenerator

    def trunk(self, spec: SganCnnDiscriminator, image_shape: ImageShape) -> Trunk:
        """Three 3x3 convolutions to each halving, one that shrinks the map by its border, two of 1x1, and the mean."""
        channels, size = image_shape[0], Size.of(image_shape)
        layers: list[nn.Module] = dropout(spec.input_dropout)
        inputs = channels
        for level in range(spec.halvings(size)):
            outputs = spec.width * min(2, level + 1)
            for stride in (1, 1, 2):
                layers += _convolution(inputs, outputs, stride=stride, padding=1)
                inputs = outputs
            layers += dropout(spec.dropout)
        wide = 2 * spec.width
        layers += [*_convolution(inputs, wide), *_convolution(wide, wide, 1), *_convolution(wide, wide, 1)]
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return Trunk(nn.Sequential(*layers), wide, 1, linear=_dense)


def _drawn(layer: nn.Linear | nn.ConvTranspose2d) -> nn.Module:
    nn.init.normal_(layer.weight, 0.0, _STD)
    return layer


def _convolution(inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, padding: int = 0) -> list[nn.Module]:
    return [weight_normed(nn.Conv2d(inputs, outputs, kernel, stride, padding), std=_STD), nn.LeakyReLU(0.2)]


def _dense(inputs: int, outputs: int, *, bias: bool = True) -> nn.Module:
    """The dense layer of D's heads."""
    return weight_normed(nn.Linear(inputs, outputs, bias=bias), std=_STD, learnt=True, spread=_LAST)
