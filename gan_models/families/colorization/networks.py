"""User-guided colorization (after Zhang et al. 2017): a grey image and sparse colour hints to a colour image.

The generator is a U-Net (Ronneberger et al. 2015) that sees the hints at full resolution; the discriminator is the
PatchGAN of Isola et al. 2017. Weights from N(0, 0.02), as in the latter.
"""

import torch
from torch import Tensor, nn

from gan_models.data.hints import grey_of, with_luminance
from gan_models.data.shape import DataShape, Size
from gan_models.errors import RequestError
from gan_models.families.building import Builder
from gan_models.families.colorization.spec import ColorizationDiscriminator, ColorizationGenerator
from gan_models.families.interfaces import Discriminator, Generator
from gan_models.families.translation import Norm, norm_of, patch_network
from gan_models.games.colorization.spec import Colorization as ColorizationRules
from gan_models.layers.attention import attention_after
from gan_models.layers.initialization import SCHEMES
from gan_models.recipes.schema import Recipe

HINT_CHANNELS = 4


class UNet(nn.Module):
    """Convolutions down to a small map and up again, each map on the way up beside its equal of the way down."""

    def __init__(self, spec: ColorizationGenerator, norm: Norm, inputs: int, outputs: int, size: Size) -> None:
        super().__init__()
        sizes = spec.maps(size)
        halvings = len(sizes) - 1
        widths = [min(spec.max_width, spec.width << level) for level in range(halvings + 1)]
        bias = spec.norm == "none"

        def block(layer: nn.Module, channels: int, map_size: int) -> nn.Sequential:
            parts = [layer, *norm(channels), nn.ReLU(inplace=True)]
            return nn.Sequential(*parts, *attention_after(map_size, channels, spec.attention))

        self.first = nn.Sequential(nn.Conv2d(inputs, widths[0], 3, 1, 1), nn.ReLU(inplace=True))
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for level in range(halvings):
            layer: nn.Module = nn.Conv2d(widths[level], widths[level + 1], 4, 2, 1, bias=bias)
            self.down.append(block(layer, widths[level + 1], sizes[level + 1]))
        for level in reversed(range(halvings)):
            above = widths[level + 1] * (1 if level + 1 == halvings else 2)
            layer = nn.ConvTranspose2d(above, widths[level], 4, 2, 1, bias=bias)
            self.up.append(block(layer, widths[level], sizes[level]))
        self.last = nn.Sequential(nn.Conv2d(2 * widths[0], outputs, 3, 1, 1), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, H, W] -> [B, outputs, H, W] in [-1, 1]."""
        x = self.first(x)
        passed = []
        for down in self.down:
            passed.append(x)
            x = down(x)
        for up in self.up:
            x = torch.cat([up(x), passed.pop()], dim=1)
        return self.last(x)


class Colorizer(Generator):
    """Base of the generators that draw colours for grey images [B, 1, H, W] in [-1, 1] and hints [B, 4, H, W]."""

    task = "colorization"

    def __init__(self, hint_end: float, hint_size: int) -> None:
        super().__init__(("images", "hints"))
        self.hint_end = hint_end
        self.hint_size = hint_size

    def grey(self, images: Tensor) -> Tensor:
        """RGB [B, 3, H, W] as the grey images [B, 1, H, W] that it colours: of the same luminance."""
        return grey_of(images)


class UNetColorizer(Colorizer):
    """Draws colours; their luminance is that of the grey image, so only colour is left to get wrong."""

    def __init__(self, spec: ColorizationGenerator, size: Size, hint_end: float, hint_size: int) -> None:
        super().__init__(hint_end, hint_size)
        self.network = UNet(spec, norm_of(spec.norm), 1 + HINT_CHANNELS, 3, size)

    def forward(self, images: Tensor, hints: Tensor) -> Tensor:
        """Grey images [B, 1, H, W] in [-1, 1] and hints [B, 4, H, W] (`gan_models.data.hints`) -> [B, 3, H, W]."""
        colours = self.network(torch.cat([images, hints], dim=1))
        return with_luminance(colours.float(), images)


class Colorization(Builder):
    """Both players."""

    initialise = staticmethod(SCHEMES["normal"])

    def generator(self, spec: ColorizationGenerator, recipe: Recipe, shape: DataShape) -> UNetColorizer:
        """Raises RequestError for grey images, which have no colours to learn."""
        channels, size = shape.image[0], Size.of(shape.image)
        if channels != 3:
            raise RequestError(
                "colorization learns from colour images: set data.channels=rgb and use a source with colours"
            )
        game = recipe.game
        assert isinstance(game, ColorizationRules)
        return UNetColorizer(spec, size, game.hint_end, game.hint_size)

    def discriminator(self, spec: ColorizationDiscriminator, recipe: Recipe, shape: DataShape) -> Discriminator:
        return Discriminator(*patch_network(spec, shape.image))
