"""The standard CNN of SNGAN (Miyato et al. 2018, appendix B.4, table 3)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from gan_models.families.building import LatentBuilder
from gan_models.families.interfaces import ImageShape, LatentGenerator, Trunk
from gan_models.families.resolutions import plan
from gan_models.families.sngan_cnn.spec import SnganCnnDiscriminator, SnganCnnGenerator
from gan_models.layers.attention import attention_after
from gan_models.layers.initialization import SCHEMES
from gan_models.layers.normalization import discriminator_norm, generator_norm


def _widths(width: int, most: int, doublings: int) -> list[int]:
    """Channels of the maps from the finest to the coarsest."""
    return [min(most, width << level) for level in range(doublings + 1)]


class SnganCnnImageGenerator(LatentGenerator):
    """A dense layer to the coarsest map, 4x4 transposed convolutions of stride 2, a 3x3 convolution to the image."""

    def build(self, spec: SnganCnnGenerator, image_shape: ImageShape) -> None:
        channels, size, _ = image_shape
        base, doublings = plan(size, spec.family)
        widths = _widths(spec.width, spec.max_width, doublings)[::-1]
        self.coarse_shape = (widths[0], base, base)
        self.project = nn.Linear(self.joined, widths[0] * base * base)
        layers: list[nn.Module] = []
        for level, (inputs, outputs) in enumerate(pairwise(widths), 1):
            layers.append(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=spec.norm == "none"))
            layers += [*generator_norm(spec.norm, outputs), nn.ReLU(inplace=True)]
            layers += attention_after(base << level, outputs, spec.attention)
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], channels, 3, padding=1), nn.Tanh())

    def synthesize(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        images: Tensor = self.layers(self.project(z_BZ).unflatten(1, self.coarse_shape))
        return images


class SnganCnn(LatentBuilder):
    """Both players."""

    network = SnganCnnImageGenerator
    # N(0, 0.02), as the authors' public code has it for this network.
    initialise = staticmethod(SCHEMES["normal"])

    def trunk(self, spec: SnganCnnDiscriminator, image_shape: ImageShape) -> Trunk:
        """A 3x3 convolution and a 4x4 one of stride 2 for each halving, one more 3x3 at the coarsest map."""
        channels, size, _ = image_shape
        base, doublings = plan(size, spec.family)
        widths = _widths(spec.width, spec.max_width, doublings)
        layers: list[nn.Module] = []
        inputs = channels
        for level, outputs in enumerate(widths):
            layers += _convolution(inputs, outputs, 3, 1, spec.norm if level else "none", size)
            if level < doublings:
                size //= 2
                layers += _convolution(outputs, outputs, 4, 2, spec.norm, size)
                layers += attention_after(size, outputs, spec.attention)
            inputs = outputs
        return Trunk(nn.Sequential(*layers), inputs, base * base)


def _convolution(inputs: int, outputs: int, kernel: int, stride: int, norm: str, size: int) -> list[nn.Module]:
    normed = discriminator_norm(norm, outputs, size)
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, 1, bias=not normed)
    return [convolution, *normed, nn.LeakyReLU(0.1, inplace=True)]
