"""CycleGAN (Zhu, Park, Isola, Efros 2017): two domains, a generator for each direction, a PatchGAN for each domain.

Networks of the paper's appendix 7.2: c7s1-64, d128, d256, nine residual blocks, u128, u64, c7s1-3; instance norm;
reflection padding; weights from N(0, 0.02).
"""

from __future__ import annotations

from torch import Tensor, nn

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.families.building import Builder
from gan_models.families.cyclegan.spec import DOMAINS, CycleganDiscriminator, CycleganGenerator
from gan_models.families.interfaces import Discriminator, DiscriminatorOutput, Generator, ImageShape
from gan_models.families.patches import patch_network
from gan_models.families.residual_translator import Residual, norm_of
from gan_models.layers.attention import attention_after
from gan_models.layers.initialization import SCHEMES
from gan_models.layers.routing import Routed
from gan_models.recipes.schema import Recipe


def direction(spec: CycleganGenerator, channels: int, size: int) -> nn.Sequential:
    """One direction: images [B, C, size, size] in [-1, 1] to images of the other domain.

    Width 64, 9 blocks and RGB make the published 11,378,179 parameters.
    """
    norm, width = norm_of(spec.norm), spec.width
    bias = spec.norm != "batch"  # as the public code: none in front of batch norm, although instance norm undoes it too

    def block(layer: nn.Module, outputs: int) -> list[nn.Module]:
        return [layer, *norm(outputs), nn.ReLU(inplace=True)]

    layers = block(nn.Conv2d(channels, width, 7, 1, 3, bias=bias, padding_mode="reflect"), width)
    for _ in range(spec.halvings):
        layers += block(nn.Conv2d(width, 2 * width, 3, 2, 1, bias=bias), 2 * width)
        size, width = size // 2, 2 * width
        layers += attention_after(size, width, spec.attention)
    layers += [Residual(width, norm, bias=bias, padding="reflect") for _ in range(spec.blocks)]
    for _ in range(spec.halvings):
        layers += block(nn.ConvTranspose2d(width, width // 2, 3, 2, 1, output_padding=1, bias=bias), width // 2)
        size, width = size * 2, width // 2
    last = nn.Conv2d(width, channels, 7, 1, 3, padding_mode="reflect")
    return nn.Sequential(*layers, last, nn.Tanh())


class TwoWayGenerator(Generator):
    """Both directions; an image goes through the one that leads to the domain it is to have."""

    task = "translation"

    def __init__(self, spec: CycleganGenerator, image_shape: ImageShape) -> None:
        super().__init__(("images", "domains"), num_domains=DOMAINS)
        self.directions = Routed([direction(spec, *image_shape[:2]) for _ in range(DOMAINS)])

    def forward(self, images: Tensor, domains: Tensor) -> Tensor:
        """Images float [B, C, H, W] in [-1, 1] and target domains int64 [B] -> images of these domains."""
        translated: Tensor = self.directions(images, domains)
        return translated


class TwoDomainDiscriminator(Discriminator):
    """A PatchGAN for each domain; an image is judged by that of the domain it claims to be of."""

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        """Images [B, C, H, W] and domains int64 [B] -> logits [B, H', W'], one for each patch."""
        if labels is None:
            raise ValueError("this discriminator judges images of a domain: pass their domains as labels")
        features = self.trunk(images, labels)
        return DiscriminatorOutput(self.head(features, labels), features)


class Cyclegan(Builder):
    """Both players."""

    initialise = staticmethod(SCHEMES["normal"])

    def generator(self, spec: CycleganGenerator, recipe: Recipe, shape: DataShape) -> TwoWayGenerator:
        """Raises RequestError for data of another number of domains than two."""
        if shape.domains != DOMAINS:
            raise RequestError(
                f"cyclegan translates between exactly {DOMAINS} domains and the data has {shape.domains}: use the "
                "recipe attribute-transfer for more, or a source with two"
            )
        return TwoWayGenerator(spec, shape.image)

    def discriminator(self, spec: CycleganDiscriminator, recipe: Recipe, shape: DataShape) -> TwoDomainDiscriminator:
        trunks, heads = zip(*(patch_network(spec, shape.image) for _ in range(DOMAINS)), strict=True)
        return TwoDomainDiscriminator(Routed(trunks), Routed(heads))
