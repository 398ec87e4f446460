"""StarGAN (Choi et al. 2018): one generator for any number of domains or attributes, and a D that also names them.

Networks of the paper's appendix, tables 4 and 5. Weights as PyTorch initialises them, which the public code leaves.
"""

import torch
from torch import Tensor, nn

from gan_models.data.shape import DataShape, Size
from gan_models.errors import RequestError
from gan_models.families.attribute_transfer.spec import AttributeTransferDiscriminator, AttributeTransferGenerator
from gan_models.families.building import Builder
from gan_models.families.interfaces import Discriminator, Generator, ImageShape
from gan_models.families.translation import norm_of, residual_translator
from gan_models.games.attribute_transfer.spec import AttributeTransfer as Rules
from gan_models.layers.attention import attention_after
from gan_models.layers.heads import ConvolutionalHead
from gan_models.layers.normalization import discriminator_norm
from gan_models.recipes.schema import Recipe

_SLOPE = 0.01


class DomainGenerator(Generator):
    """An image with the target domain as planes beside its channels, that of the domain of ones.

    Width 64, 6 blocks, RGB and 5 domains, or attributes, make the 8,430,528 parameters of the public code.
    """

    task = "translation"

    def __init__(self, spec: AttributeTransferGenerator, image_shape: ImageShape, num_domains: int) -> None:
        super().__init__(("images", "domains"), num_domains=num_domains)
        self.layers = _layers(spec, image_shape, num_domains)

    def forward(self, images: Tensor, domains: Tensor) -> Tensor:
        """Images float [B, C, H, W] in [-1, 1] and target domains int64 [B] -> images of these domains."""
        # By comparison, not by one_hot, which a traced program cannot take for any batch.
        planes = domains[:, None] == torch.arange(self.num_domains, device=domains.device)
        return self.layers(_joined(images, planes))


class AttributeGenerator(Generator):
    """The same with a plane for each attribute, of ones where the image is to have it; several may be."""

    task = "attributes"

    def __init__(self, spec: AttributeTransferGenerator, image_shape: ImageShape, num_attributes: int) -> None:
        super().__init__(("images", "attributes"), num_attributes=num_attributes)
        self.layers = _layers(spec, image_shape, num_attributes)

    def forward(self, images: Tensor, attributes: Tensor) -> Tensor:
        """Images float [B, C, H, W] in [-1, 1] and target attributes [B, A] of 0 and 1 -> images that have them."""
        return self.layers(_joined(images, attributes))


def _layers(spec: AttributeTransferGenerator, image_shape: ImageShape, planes: int) -> nn.Sequential:
    norm, bias = norm_of(spec.norm, affine=True), spec.norm == "none"
    return residual_translator(
        spec, image_shape, norm, planes=planes, kernel=4, padding="zeros", bias=bias, last_bias=bias
    )


def _joined(images: Tensor, values: Tensor) -> Tensor:
    """Images [B, C, H, W] with a plane of each of the values [B, P] behind their channels: [B, C + P, H, W]."""
    planes = values.to(images.dtype)[:, :, None, None].expand(-1, -1, *images.shape[2:])
    return torch.cat([images, planes], dim=1)


class AttributeTransfer(Builder):
    """Both players."""

    def generator(self, spec: AttributeTransferGenerator, recipe: Recipe, shape: DataShape) -> Generator:
        """Raises RequestError for data of fewer than two domains, or of no attributes."""
        if _transfers_attributes(recipe):
            if not shape.attributes:
                raise RequestError(
                    "game.transfers=attributes, and the data has none: use a source with `attributes`, or set "
                    "game.transfers=domains"
                )
            return AttributeGenerator(spec, shape.image, shape.attributes)
        if shape.domains < 2:
            raise RequestError(
                f"attribute-transfer translates between domains and the data has {shape.domains}: use a source with a "
                "`domain` column of at least two values"
            )
        return DomainGenerator(spec, shape.image, shape.domains)

    def discriminator(self, spec: AttributeTransferDiscriminator, recipe: Recipe, shape: DataShape) -> Discriminator:
        """4x4 convolutions of stride 2, LeakyReLU(0.01); a head for patches and one for domains or attributes.

        Width 64, 6 layers, 128x128 RGB and 8 domains make the 44,786,624 parameters of the public code.
        """
        names = shape.attributes if _transfers_attributes(recipe) else shape.domains
        channels = shape.image[0]
        layers: list[nn.Module] = []
        whole = Size.of(shape.image)
        for level, size in enumerate(maps := spec.maps(whole)):
            width = min(spec.max_width, spec.width << level)
            norm = discriminator_norm(spec.norm, width, size) if level else []
            layers += [nn.Conv2d(channels, width, 4, 2, 1), *norm, nn.LeakyReLU(_SLOPE, inplace=True)]
            layers += attention_after(size, width, spec.attention)
            channels = width
        patches = ConvolutionalHead(channels, kernel=3, bias=False)
        naming = ConvolutionalHead(channels, names, whole.halved(len(maps)), bias=False)
        return Discriminator(nn.Sequential(*layers), patches, classifier=naming)


def _transfers_attributes(recipe: Recipe) -> bool:
    assert isinstance(recipe.game, Rules)
    return recipe.game.transfers == "attributes"
