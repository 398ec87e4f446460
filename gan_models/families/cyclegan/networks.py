"""CycleGAN (Zhu, Park, Isola, Efros 2017): two domains, a generator for each direction, a PatchGAN for each domain.

Networks of the paper's appendix 7.2: c7s1-64, d128, d256, nine residual blocks, u128, u64, c7s1-3; instance norm;
reflection padding; weights from N(0, 0.02).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.families.building import Builder
from gan_models.families.cyclegan.spec import DOMAINS, CycleganDiscriminator, CycleganGenerator
from gan_models.families.interfaces import Discriminator, DiscriminatorOutput, Generator, ImageShape
from gan_models.families.translation import norm_of, patch_network, residual_translator
from gan_models.layers.initialization import SCHEMES
from gan_models.recipes.schema import Recipe


class Routed(nn.Module):
    """Branch `numbers[i]` sees image i: equal to running each branch on its own images, in any order."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor, numbers: Tensor) -> Tensor:
        """[B, ...] and int64 [B] in 0..branches-1 -> [B, ...]; a branch without images is not run."""
        if torch.compiler.is_compiling():
            return self._all(x, numbers)
        order = torch.argsort(numbers, stable=True)
        counts: list[int] = torch.bincount(numbers, minlength=len(self.branches)).tolist()
        parts = torch.split(x[order], counts)
        made = [branch(part) for branch, part in zip(self.branches, parts, strict=True) if len(part)]
        return torch.cat(made)[torch.argsort(order)]

    def _all(self, x: Tensor, numbers: Tensor) -> Tensor:
        """Every branch on every image: a traced program cannot depend on how many images go where."""
        outputs: Tensor = self.branches[0](x)
        for number, branch in enumerate(self.branches[1:], 1):
            chosen = (numbers == number).reshape(-1, *(1 for _ in outputs.shape[1:]))
            outputs = torch.where(chosen, branch(x), outputs)
        return outputs


class TwoWayGenerator(Generator):
    """Both directions; an image goes through the one that leads to the domain it is to have.

    Width 64, 9 blocks and RGB make the published 11,378,179 parameters of each.
    """

    task = "translation"

    def __init__(self, spec: CycleganGenerator, image_shape: ImageShape) -> None:
        super().__init__(("images", "domains"), num_domains=DOMAINS)
        # As the public code: none in front of batch norm, although instance norm undoes it too.
        norm, bias = norm_of(spec.norm), spec.norm != "batch"
        directions = (
            residual_translator(spec, image_shape, norm, kernel=3, padding="reflect", bias=bias, last_bias=True)
            for _ in range(DOMAINS)
        )
        self.directions = Routed(list(directions))

    def forward(self, images: Tensor, domains: Tensor) -> Tensor:
        """Images float [B, C, H, W] in [-1, 1] and target domains int64 [B] -> images of these domains."""
        return self.directions(images, domains)


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
