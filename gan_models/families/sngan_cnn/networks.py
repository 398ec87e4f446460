"""The standard CNN of SNGAN (Miyato et al. 2018, appendix B.4, table 3)."""

from torch import Tensor, nn

from gan_models.data.shape import Size
from gan_models.families.building import LatentBuilder
from gan_models.families.dcgan.networks import doubling_layers
from gan_models.families.interfaces import ImageShape, LatentGenerator, Trunk
from gan_models.families.resolutions import doubled_widths
from gan_models.families.sngan_cnn.spec import SnganCnnDiscriminator, SnganCnnGenerator
from gan_models.layers.attention import attention_after
from gan_models.layers.initialization import SCHEMES
from gan_models.layers.normalization import discriminator_norm


class SnganCnnImageGenerator(LatentGenerator):
    """A dense layer to the coarsest map, 4x4 transposed convolutions of stride 2, a 3x3 convolution to the image."""

    def build(self, spec: SnganCnnGenerator, image_shape: ImageShape) -> None:
        channels, size = image_shape[0], Size.of(image_shape)
        base, doublings = spec.plan(size)
        widths = doubled_widths(spec.width, spec.max_width, doublings + 1)[::-1]
        self.coarse_shape = (widths[0], *base)
        self.project = nn.Linear(self.joined, widths[0] * base.places)
        layers = doubling_layers(spec, widths, base)
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], channels, 3, padding=1), nn.Tanh())

    def synthesize(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        return self.layers(self.project(z_BZ).unflatten(1, self.coarse_shape))


class SnganCnn(LatentBuilder):
    """Both players."""

    network = SnganCnnImageGenerator
    # N(0, 0.02), as the authors' public code has it for this network.
    initialise = staticmethod(SCHEMES["normal"])

    def trunk(self, spec: SnganCnnDiscriminator, image_shape: ImageShape) -> Trunk:
        """A 3x3 convolution and a 4x4 one of stride 2 for each halving, one more 3x3 at the coarsest map."""
        channels, size = image_shape[0], Size.of(image_shape)
        base, doublings = spec.plan(size)
        widths = doubled_widths(spec.width, spec.max_width, doublings + 1)
        layers: list[nn.Module] = []
        inputs, side = channels, size.shorter
        for level, outputs in enumerate(widths):
            layers += _convolution(inputs, outputs, 3, 1, spec.norm if level else "none", side)
            if level < doublings:
                side //= 2
                layers += _convolution(outputs, outputs, 4, 2, spec.norm, side)
                layers += attention_after(side, outputs, spec.attention)
            inputs = outputs
        return Trunk(nn.Sequential(*layers), inputs, base.places)


def _convolution(inputs: int, outputs: int, kernel: int, stride: int, norm: str, size: int) -> list[nn.Module]:
    normed = discriminator_norm(norm, outputs, size)
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, 1, bias=not normed)
    return [convolution, *normed, nn.LeakyReLU(0.1, inplace=True)]
