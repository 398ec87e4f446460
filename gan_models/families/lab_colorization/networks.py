"""User-guided colorization (Zhang et al. 2017, "Real-Time User-Guided Image Colorization with Learned Deep Priors").

Lightness and hints go in, a* and b* come out: what a colour image is of besides lightness is all that is learnt, and
lightness is that of the grey image, always. Ten blocks of convolutions: three halvings, two blocks dilated by 2 at an
eighth of the side, three doublings, each beside a shortcut from the way down (section 3.3, figure 2). From the eighth
block, a quarter of the side, a 1x1 convolution tells which of the quantised colours each place has.

Layer by layer as in the authors' code, github.com/richzhang/colorization-pytorch (`SIGGRAPHGenerator`): all bins of
the plane are told apart, the mask of hints is centred. The original network in Caffe has the 313 bins about sRGB's.

Shape suffixes: B batch, C channels, K bins, H W height and width.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan_models.data.lab import AB_REACH, BINS, grey_of_equal_lightness, lab_of, lightness_of, rgb_of
from gan_models.data.shape import DataShape, Size
from gan_models.errors import RequestError
from gan_models.families.building import Builder
from gan_models.families.colorization.networks import HINT_CHANNELS, Colorizer
from gan_models.families.lab_colorization.spec import LabColorizationGenerator
from gan_models.families.translation import Norm, norm_of
from gan_models.games.colorization.spec import Colorization as ColorizationRules
from gan_models.layers.attention import attention_after
from gan_models.layers.initialization import SCHEMES, gains_around_one
from gan_models.recipes.schema import Recipe

CLASSIFIED = 4
"""Quantised colours are told of every fourth pixel, of every fourth row."""
_MIDDLE, _RANGE = 50.0, 100.0  # of L*
_LEAK = 0.2


class Colours(NamedTuple):
    """What the network says of a grey image."""

    ab: Tensor
    """a* and b* divided by `AB_REACH`, [B, 2, H, W] in [-1, 1]."""
    logits: Tensor
    """Of the bins, [B, K, H/4, W/4]."""


class LabNetwork(nn.Module):
    """Lightness, hints and their mask [B, 4, H, W] to colours."""

    def __init__(self, spec: LabColorizationGenerator, size: Size) -> None:
        super().__init__()
        width, norm, (full, half, quarter, eighth) = spec.width, norm_of(spec.norm), spec.maps(size)

        def block(inputs: int, outputs: int, layers: int, map_size: int, dilation: int = 1) -> nn.Sequential:
            return nn.Sequential(
                *_convolutions(inputs, outputs, layers, norm, dilation),
                *attention_after(map_size, outputs, spec.attention),
            )

        def doubling(inputs: int, outputs: int) -> nn.ConvTranspose2d:
            return nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)

        def shortcut(inputs: int, outputs: int) -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, 3, 1, 1)

        self.conv1 = block(HINT_CHANNELS, width, 2, full)
        self.conv2 = block(width, 2 * width, 2, half)
        self.conv3 = block(2 * width, 4 * width, 3, quarter)
        self.conv4 = block(4 * width, 8 * width, 3, eighth)
        self.conv5 = block(8 * width, 8 * width, 3, eighth, dilation=2)
        self.conv6 = block(8 * width, 8 * width, 3, eighth, dilation=2)
        self.conv7 = block(8 * width, 8 * width, 3, eighth)
        self.up8, self.short8 = doubling(8 * width, 4 * width), shortcut(4 * width, 4 * width)
        self.conv8 = block(4 * width, 4 * width, 2, quarter)
        self.up9, self.short9 = doubling(4 * width, 2 * width), shortcut(2 * width, 2 * width)
        self.conv9 = block(2 * width, 2 * width, 1, half)
        self.up10, self.short10 = doubling(2 * width, 2 * width), shortcut(width, 2 * width)
        self.conv10 = nn.Sequential(nn.Conv2d(2 * width, 2 * width, 3, 1, 1), nn.LeakyReLU(_LEAK))
        self.classes = nn.Conv2d(4 * width, BINS, 1)
        self.colours = nn.Sequential(nn.Conv2d(2 * width, 2, 1), nn.Tanh())

    def forward(self, seen: Tensor, *, classifying: bool = False) -> Colours:
        """
        Args:
            classifying: whether the body learns from the quantised colours; else from a* and b*. What it does not
                learn from reads it as it is.
        """
        first = self.conv1(seen)
        second = self.conv2(_halved(first))
        third = self.conv3(_halved(second))
        seventh = self.conv7(self.conv6(self.conv5(self.conv4(_halved(third)))))
        eighth = self.conv8(torch.relu(self.up8(seventh) + self.short8(third)))
        logits = self.classes(eighth if classifying else eighth.detach())
        if classifying:
            first, second, eighth = first.detach(), second.detach(), eighth.detach()
        ninth = self.conv9(torch.relu(self.up9(eighth) + self.short9(second)))
        tenth = self.conv10(torch.relu(self.up10(ninth) + self.short10(first)))
        return Colours(self.colours(tenth), logits)


class LabColorizer(Colorizer):
    """Grey images take a* and b*; their lightness stays what it is."""

    def __init__(self, spec: LabColorizationGenerator, size: Size, hint_end: float, hint_size: int) -> None:
        super().__init__(hint_end, hint_size)
        self.network = LabNetwork(spec, size)

    def grey(self, images: Tensor) -> Tensor:
        return grey_of_equal_lightness(images)

    def forward(self, images: Tensor, hints: Tensor) -> Tensor:
        return self.coloured(images, self.predict(images, hints).ab)

    def predict(self, images: Tensor, hints: Tensor, *, classifying: bool = False) -> Colours:
        """Grey images [B, 1, H, W] and hints [B, 4, H, W], both in RGB's range, to colours."""
        lightness = (lightness_of(images) - _MIDDLE) / _RANGE
        told = lab_of(hints[:, 1:])[:, 1:] / AB_REACH * hints[:, :1]
        return self.network(torch.cat([lightness, told, hints[:, :1] - 0.5], dim=1), classifying=classifying)

    @staticmethod
    def coloured(images: Tensor, ab: Tensor) -> Tensor:
        """Grey images [B, 1, H, W] with a* and b* as the network says them: RGB [B, 3, H, W]."""
        return rgb_of(torch.cat([lightness_of(images.float()), ab.float() * AB_REACH], dim=1))


class LabColorization(Builder):
    """The generator; there may be any discriminator of colour images, or none."""

    def generator(self, spec: LabColorizationGenerator, recipe: Recipe, shape: DataShape) -> LabColorizer:
        """Raises RequestError for grey images, which have no colours to learn."""
        channels, size = shape.image[0], Size.of(shape.image)
        if channels != 3:
            raise RequestError(
                "lab-colorization learns from colour images: set data.channels=rgb and use a source with colours"
            )
        game = recipe.game
        assert isinstance(game, ColorizationRules)
        return LabColorizer(spec, size, game.hint_end, game.hint_size)

    def initialise(self, module: nn.Module) -> None:
        """N(0, 0.02) and gains around 1, as the authors' code has them."""
        SCHEMES["normal"](module)
        gains_around_one(module)


def _convolutions(inputs: int, outputs: int, layers: int, norm: Norm, dilation: int) -> list[nn.Module]:
    """So many 3x3 convolutions with ReLU, and one norm behind the last."""
    found: list[nn.Module] = []
    for _ in range(layers):
        convolution = nn.Conv2d(inputs, outputs, 3, 1, dilation, dilation)
        found += [convolution, nn.ReLU(inplace=True)]
        inputs = outputs
    return [*found, *norm(outputs)]


def _halved(features: Tensor) -> Tensor:
    """Every second place of every second row."""
    return features[:, :, ::2, ::2]
