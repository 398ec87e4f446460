"""The multilayer perceptrons of the first GANs, for images of any size.

Goodfellow et al. 2014: ReLU in G, maxout and dropout in D. Mirza, Osindero 2014: the same, and a first layer of the
class's own in both.
"""

from itertools import chain
from math import prod
from typing import TypeVar

import torch
from torch import Tensor, nn

from gan_models.data.shape import DataShape
from gan_models.data.table import AnySplit
from gan_models.families.base import PlayerSpec
from gan_models.families.building import LatentBuilder
from gan_models.families.interfaces import Discriminator, ImageShape, LatentGenerator, Trunk
from gan_models.families.mlp.spec import MlpDiscriminator, MlpGenerator
from gan_models.layers.heads import LinearHead
from gan_models.layers.maxout import Maxout
from gan_models.layers.noise import dropout
from gan_models.layers.normalization import discriminator_norm, generator_norm
from gan_models.layers.pixels import Sigmoid, ToUnit
from gan_models.recipes.schema import Recipe

Network = TypeVar("Network", bound=nn.Module)

_ROWS = 4096  # images that are summed at once
_CERTAIN = 1e-7  # of a pixel that is the same in all images


class MlpImageGenerator(LatentGenerator):
    """Linear-BatchNorm-ReLU blocks, then Linear-tanh to the image."""

    def build(self, spec: MlpGenerator, image_shape: ImageShape) -> None:
        self.image_shape = image_shape
        own = spec.class_width if self.one_hot else 0
        blocks: list[list[nn.Module]] = []
        inputs = self.latent if own else self.joined
        for level, width in enumerate(spec.widths):
            blocks.append(_block(spec, inputs, width))
            inputs = width if level else width + own
        self.of_latent = nn.Sequential(*blocks.pop(0)) if own else None
        self.of_class = nn.Sequential(*_block(spec, self.num_classes, own)) if own else None
        output = Sigmoid() if spec.output == "sigmoid" else nn.Tanh()
        self.bias_of_data = spec.output_bias == "data"
        self.layers = nn.Sequential(*chain(*blocks), nn.Linear(inputs, prod(image_shape)), output)

    @torch.no_grad()
    def begin(self, split: AnySplit) -> None:
        """The last bias at the log odds of the mean pixels, where it is to start there."""
        last = self.layers[-2]
        if self.bias_of_data and isinstance(last, nn.Linear):
            parts = (split.images[start : start + _ROWS] for start in range(0, len(split), _ROWS))
            mean_HWC = torch.stack([part.double().sum(0) for part in parts]).sum(0) / len(split)
            white = 65535 if split.images.dtype == torch.uint16 else 255
            shares = (mean_HWC / white).permute(2, 0, 1).flatten().clamp(_CERTAIN, 1 - _CERTAIN)
            last.bias.copy_(torch.logit(shares))

    def synthesize(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        if self.of_latent is not None and self.of_class is not None:
            latents_BZ, one_hot_BK = z_BZ[:, : self.latent], z_BZ[:, self.latent :]
            z_BZ = torch.cat([self.of_latent(latents_BZ), self.of_class(one_hot_BK)], dim=1)
        return self.layers(z_BZ).unflatten(1, self.image_shape)


def _block(spec: MlpGenerator, inputs: int, width: int) -> list[nn.Module]:
    dense = nn.Linear(inputs, width, bias=spec.norm == "none")
    norm = generator_norm(spec.norm, width, flat=True)
    return [dense, *norm, nn.ReLU(inplace=True), *dropout(spec.dropout)]


class ClassLayer(nn.Module):
    """The first layers of an image's pixels and of its class, each its own, joined: [B, C + K, H, W] -> [B, F]."""

    def __init__(self, channels: int, of_image: nn.Module, of_class: nn.Module) -> None:
        super().__init__()
        self.channels, self.of_image, self.of_class = channels, of_image, of_class

    def forward(self, images: Tensor) -> Tensor:
        one_hot = images[:, self.channels :, 0, 0]  # of the planes, which are the same everywhere
        return torch.cat([self.of_image(images[:, : self.channels]), self.of_class(one_hot)], dim=1)


class Mlp(LatentBuilder):
    """Weights stay as PyTorch draws them, which the paper leaves open, unless `init_range` says otherwise."""

    network = MlpImageGenerator

    def trunk(self, spec: MlpDiscriminator, image_shape: ImageShape) -> Trunk:
        """Linear-LeakyReLU(0.2) blocks on the flat image, or maxout on its pixels in [0, 1]; dropout after each."""
        layers: list[nn.Module] = self._entrance(spec)
        inputs = prod(image_shape)
        for level, width in enumerate(spec.widths):
            layers += self._block(spec, level, inputs, width)
            inputs = width
        return Trunk(nn.Sequential(*layers), inputs, 1)

    def discriminator(self, spec: MlpDiscriminator, recipe: Recipe, shape: DataShape) -> Discriminator:
        if not spec.class_width:
            return super().discriminator(spec, recipe, shape)
        channels, first, own = shape.image[0], spec.widths[0], spec.class_width
        of_image = [*self._entrance(spec), *self._block(spec, 0, prod(shape.image), first)]
        layers: list[nn.Module] = [
            ClassLayer(channels, nn.Sequential(*of_image), nn.Sequential(*self._block(spec, 0, shape.classes, own)))
        ]
        inputs = first + own
        for level, width in enumerate(spec.widths[1:], 1):
            layers += self._block(spec, level, inputs, width)
            inputs = width
        return Discriminator(nn.Sequential(*layers), LinearHead(inputs), label_planes=shape.classes)

    def _entrance(self, spec: MlpDiscriminator) -> list[nn.Module]:
        return [nn.Flatten(), *([ToUnit()] if spec.pieces else []), *dropout(spec.input_dropout)]

    def _block(self, spec: MlpDiscriminator, level: int, inputs: int, width: int) -> list[nn.Module]:
        if spec.pieces:
            return [Maxout(inputs, width, spec.pieces[level]), *dropout(spec.dropout)]
        norm = discriminator_norm(spec.norm, width) if level > 0 else []
        dense = nn.Linear(inputs, width, bias=not norm)
        return [dense, *norm, nn.LeakyReLU(0.2, inplace=True), *dropout(spec.dropout)]

    def finish(self, network: Network, spec: PlayerSpec) -> Network:
        bound = spec.get("init_range", None)
        for module in network.modules() if bound is not None else ():
            if isinstance(module, nn.Linear):
                nn.init.uniform_(module.weight, -bound, bound)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        return super().finish(network, spec)
