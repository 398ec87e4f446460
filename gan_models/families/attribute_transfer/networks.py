"""StarGAN (Choi et al. 2018): one generator for any number of domains, a discriminator that also names the domain.

Networks of the paper's appendix, tables 4 and 5. Weights as PyTorch initialises them, which the public code leaves.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.families.attribute_transfer.spec import AttributeTransferDiscriminator, AttributeTransferGenerator
from gan_models.families.building import Builder
from gan_models.families.interfaces import Discriminator, Generator, ImageShape
from gan_models.families.residual_translator import Residual, norm_of
from gan_models.layers.attention import attention_after
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
        channels, size, _ = image_shape
        norm, width, bias = norm_of(spec.norm, affine=True), spec.width, spec.norm == "none"

        def block(layer: nn.Module, outputs: int) -> list[nn.Module]:
            return [layer, *norm(outputs), nn.ReLU(inplace=True)]

        layers = block(nn.Conv2d(channels + num_domains, width, 7, 1, 3, bias=bias), width)
        for _ in range(spec.halvings):
            layers += block(nn.Conv2d(width, 2 * width, 4, 2, 1, bias=bias), 2 * width)
            size, width = size // 2, 2 * width
            layers += attention_after(size, width, spec.attention)
        layers += [Residual(width, norm, bias=bias, padding="zeros") for _ in range(spec.blocks)]
        for _ in range(spec.halvings):
            layers += block(nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=bias), width // 2)
            width //= 2
        self.layers = nn.Sequential(*layers, nn.Conv2d(width, channels, 7, 1, 3, bias=bias), nn.Tanh())

    def forward(self, images: Tensor, domains: Tensor) -> Tensor:
        """Images float [B, C, H, W] in [-1, 1] and target domains int64 [B] -> images of these domains."""
        # By comparison, not by one_hot, which a traced program cannot take for any batch.
        planes = (domains[:, None] == torch.arange(self.num_domains, device=domains.device)).to(images.dtype)
        planes = planes[:, :, None, None].expand(-1, -1, *images.shape[2:])
        translated: Tensor = self.layers(torch.cat([images, planes], dim=1))
        return translated


class PlainHead(nn.Module):
    """A convolution without bias: patches' logits [B, H, W], or the logits [B, K] of what the whole map shows."""

    def __init__(self, channels: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.layer = nn.Conv2d(channels, outputs, kernel, 1, 1 if outputs == 1 else 0, bias=False)

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        logits: Tensor = self.layer(features)
        return logits.squeeze(1) if self.outputs == 1 else logits.flatten(1)


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
        patches, domains = PlainHead(channels, 1, 3), PlainHead(channels, shape.domains, sizes[-1])
        return Discriminator(nn.Sequential(*layers), patches, classifier=domains)
