"""The multilayer perceptrons of the first GAN (Goodfellow et al. 2014), for square images of any size."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn

from gan_models.errors import RequestError
from gan_models.families.interfaces import LatentGenerator, Trunk
from gan_models.layers.normalization import REFERENCE_ROWS, discriminator_norm, generator_norm
from gan_models.recipes.network_specs import MlpDiscriminator, MlpGenerator

ImageShape = tuple[int, int, int]


class MlpImageGenerator(LatentGenerator):
    """Linear-BatchNorm-ReLU blocks, then Linear-tanh to the image."""

    def __init__(
        self, spec: MlpGenerator, latent: int, num_classes: int, image_shape: ImageShape, *, one_hot: bool
    ) -> None:
        reference = REFERENCE_ROWS if spec.norm in ("virtual", "reference") else 0
        super().__init__(latent, num_classes, one_hot=one_hot, reference=reference)
        self.image_shape = image_shape
        layers: list[nn.Module] = []
        inputs = self.joined
        for width in spec.widths:
            layers.append(nn.Linear(inputs, width, bias=spec.norm == "none"))
            layers += [*generator_norm(spec.norm, width, reference, flat=True), nn.ReLU(inplace=True)]
            inputs = width
        self.layers = nn.Sequential(*layers, nn.Linear(inputs, prod(image_shape)), nn.Tanh())

    def synthesize(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        images: Tensor = self.layers(z_BZ).unflatten(1, self.image_shape)
        return images


def build_generator(
    spec: MlpGenerator, latent: int, num_classes: int, image_shape: ImageShape, one_hot: bool
) -> LatentGenerator:
    """Raises RequestError for attention and conditional batch norm, which need feature maps."""
    _refuse_attention(spec.attention)
    if num_classes and not one_hot:
        raise RequestError("mlp takes the class joined to its latent: set conditioning.generator=one-hot")
    return MlpImageGenerator(spec, latent, num_classes, image_shape, one_hot=one_hot)


def build_trunk(spec: MlpDiscriminator, image_shape: ImageShape) -> Trunk:
    """Linear-LeakyReLU(0.2) blocks on the flat image; raises RequestError for attention."""
    _refuse_attention(spec.attention)
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = prod(image_shape)
    for level, width in enumerate(spec.widths):
        norm = discriminator_norm(spec.norm, width) if level > 0 else []
        layers += [nn.Linear(inputs, width, bias=not norm), *norm, nn.LeakyReLU(0.2, inplace=True)]
        inputs = width
    return Trunk(nn.Sequential(*layers), inputs, 1)


def initialise(module: nn.Module) -> None:
    """PyTorch's own, which the paper leaves open."""


def check_size(size: int) -> None:
    """Any square size will do."""


def _refuse_attention(sizes: Sequence[int]) -> None:
    if sizes:
        raise RequestError("mlp has no feature maps to attend over: leave networks.*.attention empty")
