"""The perceptrons of semi-supervised learning on MNIST (Salimans et al. 2016, section 6.1, and their public code).

Weight norm in all of D and in G's last layer, lengths learnt in each player's last layer only; noise on D's input and
on every hidden layer. Images are in [0, 1] inside.
"""

from functools import partial
from itertools import pairwise
from math import prod

from torch import Tensor, nn

from gan_models.families.building import LatentBuilder
from gan_models.families.interfaces import ImageShape, LatentGenerator, Trunk
from gan_models.families.sgan_mlp.spec import SganMlpDiscriminator, SganMlpGenerator
from gan_models.layers.noise import GaussianNoise
from gan_models.layers.normalization import ShiftedBatchNorm
from gan_models.layers.pixels import Sigmoid, ToUnit
from gan_models.layers.weight_norm import weight_normed


class SganMlpImageGenerator(LatentGenerator):
    """Linear-BatchNorm-softplus blocks, then a weight-normed dense layer and a sigmoid."""

    def build(self, spec: SganMlpGenerator, image_shape: ImageShape) -> None:
        self.image_shape = image_shape
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([self.joined, *spec.widths]):
            dense = nn.Linear(inputs, outputs, bias=False)
            nn.init.xavier_uniform_(dense.weight)
            layers += [dense, ShiftedBatchNorm(outputs, flat=True), nn.Softplus()]
        last = nn.Linear([self.joined, *spec.widths][-1], prod(image_shape))
        layers += [weight_normed(last, std=0.05, learnt=True, spread=None) if spec.weight_norm else last, Sigmoid()]
        self.layers = nn.Sequential(*layers)

    def synthesize(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        return self.layers(z_BZ).unflatten(1, self.image_shape)


class SganMlp(LatentBuilder):
    """Both players; their weights are drawn where their layers are made."""

    network = SganMlpImageGenerator

    def trunk(self, spec: SganMlpDiscriminator, image_shape: ImageShape) -> Trunk:
        """Noise-Linear-ReLU blocks; the head brings the last noise, which feature matching does not see."""
        layers: list[nn.Module] = [nn.Flatten(), ToUnit()]
        noise = spec.input_noise
        for inputs, outputs in pairwise([prod(image_shape), *spec.widths]):
            layers += [GaussianNoise(noise), weight_normed(nn.Linear(inputs, outputs), std=0.1), nn.ReLU()]
            noise = spec.noise
        return Trunk(nn.Sequential(*layers), spec.widths[-1], 1, linear=partial(_noisy, noise=spec.noise))


def _noisy(inputs: int, outputs: int, *, noise: float, bias: bool = True) -> nn.Module:
    """The dense layer of D's heads."""
    dense = nn.Linear(inputs, outputs, bias=bias)
    return nn.Sequential(GaussianNoise(noise), weight_normed(dense, std=0.1, learnt=True))
