"""StarGAN (Choi et al. 2018): one generator for any number of domains, a discriminator that also names the domain.

Networks of the paper's appendix, tables 4 and 5. Weights as PyTorch initialises them, which the public code leaves.
"""

import torch
from torch import Tensor, nn

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.families.attribute_transfer.spec import AttributeTransferDiscriminator, AttributeTransferGenerator
from gan_models.families.building import Builder
from gan_models.families.interfaces import Discriminator, Generator, ImageShape
from gan_models.families.translation import norm_of, residual_translator
from gan_models.layers.attention import attention_after
from gan_models.layers.heads import ConvolutionalHead
from gan_models.layers.normalization import discriminator_norm
from gan_models.recipes.schema import Recipe

_SLOPE = 0.01


class AttributeGenerator(Generator):
    """An image with the target domain as planes beside its channels.

    Width 64, 6 blocks, RGB and 5 domains make the 8,430,528 parameters of the public code.
    """

    task = "translation"

    def __init__(self, spec: AttributeTransferGenerator, image_shape: ImageShape, num_domains: int) -> None:
        super().__init__(("images", "domains"), num_domains=num_domains)
        norm, bias = norm_of(spec.norm, affine=True), spec.norm == "none"
        self.layers = residual_translator(
            spec, image_shape, norm, planes=num_domains, kernel=4, padding="zeros", bias=bias, last_bias=bias
        )

    def forward(self, images: Tensor, domains: Tensor) -> Tensor:
        """Images float [B, C, H, W] in [-1, 1] and target domains int64 [B] -> images of these domains."""
        # By comparison, not by one_hot, which a traced program cannot take for any batch.
        planes = (domains[:, None] == torch.arange(self.num_domains, device=domains.device)).to(images.dtype)
        planes = planes[:, :, None, None].expand(-1, -1, *images.shape[2:])
        return self.layers(torch.cat([images, planes], dim=1))


class AttributeTransfer(Builder):
    """Both players."""

    def generator(self, spec: AttributeTransferGenerator, recipe: Recipe, shape: DataShape) -> AttributeGenerator:
        """Raises RequestError for data of fewer than two domains."""
        if shape.domains < 2:
            raise RequestError(
                f"attribute-transfer translates between domains and the data has {shape.domains}: use a source with a "
                "`domain` column of at least two values"
            )
        return AttributeGenerator(spec, shape.image, shape.domains)

    def discriminator(self, spec: AttributeTransferDiscriminator, recipe: Recipe, shape: DataShape) -> Discriminator:
        """4x4 convolutions of stride 2, LeakyReLU(0.01); a head for patches and one for domains.

        Width 64, 6 layers, 128x128 RGB and 8 domains make the 44,786,624 parameters of the public code.
        """
        channels = shape.image[0]
        layers: list[nn.Module] = []
        sizes = spec.maps(shape.image[1])
        for level, size in enumerate(sizes):
            width = min(spec.max_width, spec.width << level)
            norm = discriminator_norm(spec.norm, width, size) if level else []
            layers += [nn.Conv2d(channels, width, 4, 2, 1), *norm, nn.LeakyReLU(_SLOPE, inplace=True)]
            layers += attention_after(size, width, spec.attention)
            channels = width
        patches = ConvolutionalHead(channels, 1, 3, bias=False)
        domains = ConvolutionalHead(channels, shape.domains, sizes[-1], bias=False)
        return Discriminator(nn.Sequential(*layers), patches, classifier=domains)
