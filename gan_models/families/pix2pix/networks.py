"""pix2pix (Isola, Zhu, Zhou, Efros 2017): a U-Net from one image of a pair to the other, a PatchGAN that sees both.

Networks of the paper's appendix 6.1; weights from N(0, 0.02). The paper draws images as it trains: dropout stays on,
and batch norm, at a batch of one, normalises each image by itself. Here both hold for any batch: instance norm with a
gain and a bias is that normalisation, and what dropout leaves out is drawn outside, from an image's own seed.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, relu

from gan_models.data.shape import DataShape, Size
from gan_models.families.building import Builder
from gan_models.families.interfaces import Discriminator, DiscriminatorOutput, Generator, ImageShape
from gan_models.families.pix2pix.spec import Pix2pixDiscriminator, Pix2pixGenerator
from gan_models.families.translation import norm_of, patch_network
from gan_models.layers.attention import attention_after
from gan_models.layers.initialization import SCHEMES
from gan_models.recipes.schema import Recipe

_DROPPING = 3  # doublings that dropout follows


class PairGenerator(Generator):
    """Convolutions of stride 2 to a map of one pixel, and up again beside the maps of the way down.

    Width 64, 8 halvings and RGB make the published 54.414 M parameters.

    Attributes:
        dropout: how many uniform random numbers an image takes, one for each feature that may be left out.
    """

    task = "pairs"

    def __init__(self, spec: Pix2pixGenerator, image_shape: ImageShape) -> None:
        super().__init__(("images", "dropout"))
        channels, sizes = image_shape[0], spec.sizes(Size.of(image_shape))
        norm, bias = norm_of(spec.norm, affine=True), spec.norm == "none"
        widths = [min(spec.max_width, spec.width << level) for level in range(len(sizes))]
        last = len(sizes) - 1

        def block(layer: nn.Module, width: int, size: Size, *, plain: bool) -> nn.Sequential:
            return nn.Sequential(
                layer, *([] if plain else norm(width)), *attention_after(size.shorter, width, spec.attention)
            )

        # Without a norm: the first map, which is of the image's own colours, and the last, which may be of one pixel.
        self.down = nn.ModuleList(
            block(
                nn.Conv2d(widths[level - 1] if level else channels, width, 4, 2, 1, bias=bias),
                width, sizes[level], plain=level in (0, last),
            )
            for level, width in enumerate(widths)
        )  # fmt: skip
        self.up = nn.ModuleList()
        for level in reversed(range(1, len(sizes))):
            inputs = widths[level] * (1 if level == last else 2)
            layer = nn.ConvTranspose2d(inputs, widths[level - 1], 4, 2, 1, bias=bias)
            self.up.append(block(layer, widths[level - 1], sizes[level - 1], plain=False))
        self.last = nn.Sequential(nn.ConvTranspose2d(2 * widths[0], channels, 4, 2, 1), nn.Tanh())
        self.rate = spec.dropout
        dropping = list(reversed(range(last)))[:_DROPPING] if self.rate else []
        self.dropped = [(widths[level], *sizes[level]) for level in dropping]
        self.dropout = sum(width * height * across for width, height, across in self.dropped)

    def forward(self, images: Tensor, dropout: Tensor) -> Tensor:
        """Images float [B, C, H, W] in [-1, 1], and numbers [B, `dropout`] from U[0, 1) -> their partners."""
        passed, x = [], images
        for level, down in enumerate(self.down):
            x = down(leaky_relu(x, 0.2) if level else x)
            passed.append(x)
        x, start = passed.pop(), 0
        for place, up in enumerate(self.up):
            x = up(relu(x))
            if place < len(self.dropped):
                count = self.dropped[place][0] * self.dropped[place][1] * self.dropped[place][2]
                drawn = dropout[:, start : start + count].reshape(-1, *self.dropped[place])
                x, start = x * (drawn >= self.rate).to(x.dtype) / (1.0 - self.rate), start + count
            x = torch.cat([passed.pop(), x], dim=1)
        return self.last(relu(x))


class PairDiscriminator(Discriminator):
    """A PatchGAN on an image beside the one that it was made from, or is told to have been."""

    def forward(self, images: Tensor, labels: Tensor | None = None) -> DiscriminatorOutput:
        """Images and their partners as labels, both [B, C, H, W] -> logits [B, H', W'], one for each patch."""
        if labels is None:
            raise ValueError("this discriminator judges pairs: pass the partners of the images as labels")
        return super().forward(torch.cat([labels, images], dim=1))


class Pix2pix(Builder):
    """Both players."""

    initialise = staticmethod(SCHEMES["normal"])

    def generator(self, spec: Pix2pixGenerator, recipe: Recipe, shape: DataShape) -> PairGenerator:
        return PairGenerator(spec, shape.image)

    def discriminator(self, spec: Pix2pixDiscriminator, recipe: Recipe, shape: DataShape) -> PairDiscriminator:
        channels, height, width = shape.image
        return PairDiscriminator(*patch_network(spec, (2 * channels, height, width)))
