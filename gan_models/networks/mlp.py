"""The multilayer perceptrons of the first GAN (Goodfellow et al. 2014), for square images of any size."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gan_models.networks.heads import LinearHead, ProjectionHead
from gan_models.networks.interfaces import Discriminator, Generator
from gan_models.recipes.schema import MlpDiscriminator, MlpGenerator

ImageShape = tuple[int, int, int]


class MlpImageGenerator(Generator):
    """Linear-BatchNorm-ReLU blocks, then Linear-tanh to the image.."""

    def __init__(self, latent: int, num_classes: int, widths: Sequence[int], image_shape: ImageShape) -> None:
        super().__init__(latent, num_classes)
        self.image_shape = image_shape
        layers: list[nn.Module] = []
        inputs = latent + num_classes
        for width in widths:
            layers += [nn.Linear(inputs, width, bias=False), nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
            inputs = width
        self.layers = nn.Sequential(*layers, nn.Linear(inputs, prod(image_shape)), nn.Tanh())

    def synthesize(self, z_BZ: Tensor) -> Tensor:
        images: Tensor = self.layers(z_BZ).unflatten(1, self.image_shape)
        return images


def build_generator(spec: MlpGenerator, latent: int, num_classes: int, image_shape: ImageShape) -> Generator:
    return MlpImageGenerator(latent, num_classes, spec.widths, image_shape)


def build_discriminator(spec: MlpDiscriminator, num_classes: int, image_shape: ImageShape) -> Discriminator:
    """Linear-LeakyReLU(0.2) blocks, then the head; `num_classes` 0 means unconditional."""
    spectral = spec.norm == "spectral"
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = prod(image_shape)
    for width in spec.widths:
        linear = nn.Linear(inputs, width)
        layers += [spectral_norm(linear) if spectral else linear, nn.LeakyReLU(0.2, inplace=True)]
        inputs = width
    trunk = nn.Sequential(*layers)
    if num_classes:
        return Discriminator(trunk, ProjectionHead(inputs, 1, num_classes, spectral=spectral))
    return Discriminator(trunk, LinearHead(inputs, spectral=spectral))


def check_size(size: int) -> None:
    """Any square size will do."""
