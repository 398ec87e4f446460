"""CycleGAN (Zhu, Park, Isola, Efros 2017): two domains, a generator for each direction, a PatchGAN for each domain.

Networks of the paper's appendix 7.2: c7s1-64, d128, d256, nine residual blocks, u128, u64, c7s1-3; instance norm;
reflection padding; weights from N(0, 0.02).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_models.data.shape import DataShape
from gan_models.data.table import Split, to_float
from gan_models.errors import RequestError
from gan_models.families.interfaces import Discriminator, DiscriminatorOutput, Generator, Inputs
from gan_models.families.procedures import check_procedure
from gan_models.layers.initialization import SCHEMES
from gan_models.layers.patches import patch_network
from gan_models.layers.residual_translator import Residual, attention, check_halvings, norm_of
from gan_models.layers.routing import Routed
from gan_models.recipes.network_specs import CycleganDiscriminator, CycleganGenerator
from gan_models.recipes.schema import Recipe

DOMAINS = 2
initialise = SCHEMES["normal"]


def check_size(size: int) -> None:
    """Any size the sections allow; whether it can be halved as often as asked is seen when the network is built."""


def direction(spec: CycleganGenerator, channels: int, size: int) -> nn.Sequential:
    """One direction: images [B, C, size, size] in [-1, 1] to images of the other domain.

    Width 64, 9 blocks and RGB make the published 11,378,179 parameters.

    Raises:
        RequestError: the size cannot be halved as often as the spec says.
    """
    check_halvings(size, spec.halvings)
    norm, width = norm_of(spec), spec.width
    bias = spec.norm != "batch"  # as the public code: none in front of batch norm, although instance norm undoes it too

    def block(layer: nn.Module, outputs: int) -> list[nn.Module]:
        return [layer, *norm(outputs), nn.ReLU(inplace=True)]

    layers = block(nn.Conv2d(channels, width, 7, 1, 3, bias=bias, padding_mode="reflect"), width)
    for _ in range(spec.halvings):
        layers += block(nn.Conv2d(width, 2 * width, 3, 2, 1, bias=bias), 2 * width)
        size, width = size // 2, 2 * width
        layers += attention(spec, size, width)
    layers += [Residual(width, norm, bias=bias, padding="reflect") for _ in range(spec.blocks)]
    for _ in range(spec.halvings):
        layers += block(nn.ConvTranspose2d(width, width // 2, 3, 2, 1, output_padding=1, bias=bias), width // 2)
        size, width = size * 2, width // 2
    last = nn.Conv2d(width, channels, 7, 1, 3, padding_mode="reflect")
    return nn.Sequential(*layers, last, nn.Tanh())


class TwoWayGenerator(Generator):
    """Both directions; an image goes through the one that leads to the domain it is to have."""

    def __init__(self, spec: CycleganGenerator, image_shape: tuple[int, int, int]) -> None:
        super().__init__(latent=0, num_classes=0)
        self.inputs = ("images", "domains")
        self.directions = Routed([direction(spec, *image_shape[:2]) for _ in range(DOMAINS)])

    def forward(self, images: Tensor, domains: Tensor) -> Tensor:
        """Images float [B, C, H, W] in [-1, 1] and target domains int64 [B] -> images of these domains."""
        translated: Tensor = self.directions(images, domains)
        return translated

    def draw_inputs(
        self, num: int, stream: torch.Generator, *, labels: Tensor | None = None, examples: Split | None = None
    ) -> Inputs:
        """Example i modulo their number, and the domain that it is not of."""
        if examples is None or examples.domains is None:
            raise ValueError("it translates images: give it examples with their domains")
        index = torch.arange(num, device=examples.images.device) % len(examples)
        return {"images": to_float(examples.images[index]).cpu(), "domains": 1 - examples.domains[index].cpu()}

    def distinct(self, examples: int) -> int | None:
        return examples


def build(recipe: Recipe, shape: DataShape) -> TwoWayGenerator:
    """Raises RequestError for data of another number of domains than two."""
    check_procedure(recipe, "cyclegan")
    if shape.domains != DOMAINS:
        raise RequestError(
            f"cyclegan translates between exactly {DOMAINS} domains and the data has {shape.domains}: use the recipe "
            "attribute-transfer for more, or a source with two"
        )
    spec = recipe.networks.generator
    assert isinstance(spec, CycleganGenerator)
    return TwoWayGenerator(spec, shape.image)


class TwoDomainDiscriminator(Discriminator):
    """A PatchGAN for each domain; an image is judged by that of the domain it claims to be of."""

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        """Images [B, C, H, W] and domains int64 [B] -> logits [B, H', W'], one for each patch."""
        if labels is None:
            raise ValueError("this discriminator judges images of a domain: pass their domains as labels")
        features = self.trunk(images, labels)
        return DiscriminatorOutput(self.head(features, labels), features)


def build_discriminator(recipe: Recipe, shape: DataShape) -> TwoDomainDiscriminator:
    check_procedure(recipe, "cyclegan")
    spec = recipe.networks.discriminator
    assert isinstance(spec, CycleganDiscriminator)
    networks = [patch_network(spec, spec.width, spec.layers, shape.image) for _ in range(DOMAINS)]
    return TwoDomainDiscriminator(
        Routed([network.trunk for network in networks]), Routed([network.head for network in networks])
    )
