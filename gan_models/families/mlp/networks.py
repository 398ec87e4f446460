"""The multilayer perceptrons of the first GAN (Goodfellow et al. 2014), for square images of any size."""

from math import prod

from torch import Tensor, nn

from gan_models.families.building import LatentBuilder
from gan_models.families.interfaces import ImageShape, LatentGenerator, Trunk
from gan_models.families.mlp.spec import MlpDiscriminator, MlpGenerator
from gan_models.layers.normalization import discriminator_norm, generator_norm


class MlpImageGenerator(LatentGenerator):
    """Linear-BatchNorm-ReLU blocks, then Linear-tanh to the image."""

    def build(self, spec: MlpGenerator, image_shape: ImageShape) -> None:
        self.image_shape = image_shape
        layers: list[nn.Module] = []
        inputs = self.joined
        for width in spec.widths:
            layers.append(nn.Linear(inputs, width, bias=spec.norm == "none"))
            layers += [*generator_norm(spec.norm, width, flat=True), nn.ReLU(inplace=True)]
            inputs = width
        self.layers = nn.Sequential(*layers, nn.Linear(inputs, prod(image_shape)), nn.Tanh())

    def synthesize(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        return self.layers(z_BZ).unflatten(1, self.image_shape)


class Mlp(LatentBuilder):
    """Weights stay as PyTorch draws them, which the paper leaves open."""

    network = MlpImageGenerator

    def trunk(self, spec: MlpDiscriminator, image_shape: ImageShape) -> Trunk:
        """Linear-LeakyReLU(0.2) blocks on the flat image."""
        layers: list[nn.Module] = [nn.Flatten()]
        inputs = prod(image_shape)
        for level, width in enumerate(spec.widths):
            norm = discriminator_norm(spec.norm, width) if level > 0 else []
            layers += [nn.Linear(inputs, width, bias=not norm), *norm, nn.LeakyReLU(0.2, inplace=True)]
            inputs = width
        return Trunk(nn.Sequential(*layers), inputs, 1)
