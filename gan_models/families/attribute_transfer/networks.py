"""StarGAN (Choi et al. 2018): one generator for any number of domains, a discriminator that also names the domain.

Networks of the paper's appendix, tables 4 and 5. Weights as PyTorch initialises them, which the public code leaves.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_models.data.shape import DataShape
from gan_models.data.table import Split, to_float
from gan_models.errors import RequestError
from gan_models.families.interfaces import Discriminator, Generator, Inputs
from gan_models.families.procedures import check_procedure
from gan_models.layers.attention import attention_after
from gan_models.layers.normalization import discriminator_norm
from gan_models.layers.patches import refuse_minibatch
from gan_models.layers.residual_translator import Residual, attention, check_halvings, norm_of
from gan_models.recipes.network_specs import AttributeTransferDiscriminator, AttributeTransferGenerator
from gan_models.recipes.schema import Recipe

_LEAST_MAP = 2
_SLOPE = 0.01


def check_size(size: int) -> None:
    """Any size the sections allow; whether it can be halved as often as asked is seen when the network is built."""


def initialise(module: nn.Module) -> None:
    """Leaves what PyTorch drew."""


class AttributeGenerator(Generator):
    """An image with the target domain as planes beside its channels.

    Width 64, 6 blocks, RGB and 5 domains make the 8,430,528 parameters of the public code.
    """

    def __init__(self, spec: AttributeTransferGenerator, image_shape: tuple[int, int, int], num_domains: int) -> None:
        super().__init__(latent=0, num_classes=0)
        self.inputs = ("images", "domains")
        self.num_domains = num_domains
        channels, size, _ = image_shape
        check_halvings(size, spec.halvings)
        norm, width, bias = norm_of(spec, affine=True), spec.width, spec.norm == "none"

        def block(layer: nn.Module, outputs: int) -> list[nn.Module]:
            return [layer, *norm(outputs), nn.ReLU(inplace=True)]

        layers = block(nn.Conv2d(channels + num_domains, width, 7, 1, 3, bias=bias), width)
        for _ in range(spec.halvings):
            layers += block(nn.Conv2d(width, 2 * width, 4, 2, 1, bias=bias), 2 * width)
            size, width = size // 2, 2 * width
            layers += attention(spec, size, width)
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

    def draw_inputs(
        self, num: int, stream: torch.Generator, *, labels: Tensor | None = None, examples: Split | None = None
    ) -> Inputs:
        """Example i modulo their number, to each other domain in turn: every round takes the next one."""
        if examples is None or examples.domains is None:
            raise ValueError("it translates images: give it examples with their domains")
        position = torch.arange(num)
        index, round_ = position % len(examples), position // len(examples)
        # Within a round, too, targets differ from one example to the next.
        step = 1 + (index + round_) % (self.num_domains - 1)
        index = index.to(examples.images.device)
        domains = (examples.domains[index].cpu() + step) % self.num_domains
        return {"images": to_float(examples.images[index]).cpu(), "domains": domains}

    def distinct(self, examples: int) -> int | None:
        return examples * (self.num_domains - 1)


def build(recipe: Recipe, shape: DataShape) -> AttributeGenerator:
    """Raises RequestError for data of fewer than two domains."""
    check_procedure(recipe, "attribute-transfer")
    if shape.domains < 2:
        raise RequestError(
            f"attribute-transfer translates between domains and the data has {shape.domains}: use a source with a "
            "`domain` column of at least two values"
        )
    spec = recipe.networks.generator
    assert isinstance(spec, AttributeTransferGenerator)
    return AttributeGenerator(spec, shape.image, shape.domains)


class PlainHead(nn.Module):
    """A convolution without bias: patches' logits [B, H, W], or the logits [B, K] of what the whole map shows."""

    def __init__(self, channels: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.layer = nn.Conv2d(channels, outputs, kernel, 1, 1 if outputs == 1 else 0, bias=False)

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        logits: Tensor = self.layer(features)
        return logits.squeeze(1) if self.outputs == 1 else logits.flatten(1)


def build_discriminator(recipe: Recipe, shape: DataShape) -> Discriminator:
    """4x4 convolutions of stride 2, LeakyReLU(0.01); a head for patches and one for domains.

    Width 64, 6 layers, 128x128 RGB and 8 domains make the 44,786,624 parameters of the public code.
    """
    check_procedure(recipe, "attribute-transfer")
    spec = recipe.networks.discriminator
    assert isinstance(spec, AttributeTransferDiscriminator)
    refuse_minibatch(spec)
    channels, size, _ = shape.image
    layers: list[nn.Module] = []
    for level in range(spec.layers):
        if size < 2 * _LEAST_MAP:
            break
        width, size = min(spec.max_width, spec.width << level), size // 2
        norm = discriminator_norm(spec.norm, width, size) if level else []
        layers += [nn.Conv2d(channels, width, 4, 2, 1), *norm, nn.LeakyReLU(_SLOPE, inplace=True)]
        layers += attention_after(size, width, spec.attention)
        channels = width
    patches, domains = PlainHead(channels, 1, 3), PlainHead(channels, shape.domains, size)
    return Discriminator(nn.Sequential(*layers), patches, classifier=domains)
