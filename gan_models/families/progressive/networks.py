"""Networks that grow from 4x4 (Karras et al. 2018, "Progressive Growing of GANs", table 2).

Level k works at 4 * 2^k pixels, of oblong images on the shorter side. A network at stage (level, alpha) uses its layers
up to `level`; while 0 <= alpha < 1 the newest are faded in: what the network of the level before says, and what it says
with them, mixed 1 - alpha to alpha (figure 2). Layers above the level wait. A fresh network is fully grown.

In the loop and afterwards a generator makes images of the full size at every stage; `draw_at_stage` makes them at the
stage's own size, which is what D at that stage looks at.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from gan_models.data.shape import Size
from gan_models.families.building import LatentBuilder
from gan_models.families.interfaces import ImageShape, LatentGenerator, Trunk
from gan_models.families.progressive.spec import COARSEST, ProgressiveDiscriminator, ProgressiveGenerator, levels_of
from gan_models.layers.equalized import HE, EqualizedConv2d, EqualizedLinear
from gan_models.layers.minibatch import MinibatchStdDev
from gan_models.layers.normalization import PixelNorm


class Stage(nn.Module):
    """How far a network has grown; saved and copied with its weights.

    Attributes:
        level: the level it works at.
        alpha: share of this level's layers, 1 where nothing is faded.
    """

    values: Tensor

    def __init__(self, level: int) -> None:
        super().__init__()
        self.register_buffer("values", torch.zeros(2, dtype=torch.float64))
        self.enter(level, 1.0)
        self.register_load_state_dict_post_hook(_recall)  # type: ignore[no-untyped-call]

    def enter(self, level: int, alpha: float) -> None:
        # Plain numbers beside the buffer: they decide which layers run, which must not wait for the device.
        self.level, self.alpha = level, alpha
        self.values[0], self.values[1] = level, alpha

    @property
    def side(self) -> int:
        """Pixels of its images, on the shorter side."""
        return COARSEST << self.level


def _recall(stage: Any, _: object) -> None:
    level, alpha = stage.values.tolist()
    stage.level, stage.alpha = int(level), alpha


class GrowingGenerator(LatentGenerator):
    """Pixel norm on the latent and after every convolution; nearest upsampling, then two 3x3 convolutions a level."""

    def build(self, spec: ProgressiveGenerator, image_shape: ImageShape) -> None:
        channels, size = image_shape[0], Size.of(image_shape)
        self.side, levels = size.shorter, levels_of(size)
        widths = spec.widths(levels)
        self.stage = Stage(levels)
        self.normalise = PixelNorm()
        self.first = _FirstBlock(self.joined, widths[0], size.halved(levels))
        self.blocks = nn.ModuleList(_grow(widths[level - 1], widths[level]) for level in range(1, levels + 1))
        # No tanh: table 2 ends linearly.
        self.to_image = nn.ModuleList(EqualizedConv2d(width, channels, 1, gain=1.0) for width in widths)

    def synthesize(self, z_BZ: Tensor, labels_B: Tensor | None) -> Tensor:
        """Images [B, C, H, W] of the stage's size, not clamped."""
        level, alpha = self.stage.level, self.stage.alpha
        features = self.first(self.normalise(z_BZ))
        for block in self.blocks[: max(0, level - 1)]:
            features = block(features)
        if level == 0:
            return self.to_image[0](features)
        grown: Tensor = self.to_image[level](self.blocks[level - 1](features))
        before = self.to_image[level - 1](features)
        return grown if alpha >= 1.0 else torch.lerp(interpolate(before, scale_factor=2), grown, alpha)

    def draw_at_stage(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images [B, C, H, W] of the stage's size, not clamped: what the game is played with."""
        return super().forward(latents, labels)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        images = self.draw_at_stage(latents, labels)
        if self.stage.side != self.side:
            images = interpolate(images, scale_factor=self.side // self.stage.side)
        return images.clamp(-1.0, 1.0)


class GrowingTrunk(nn.Module):
    """The mirror image of the generator: features [B, F] of images [B, C, H, W] of the stage's size."""

    def __init__(self, spec: ProgressiveDiscriminator, image_shape: ImageShape) -> None:
        super().__init__()
        channels, size = image_shape[0], Size.of(image_shape)
        levels = levels_of(size)
        widths = spec.widths(levels)
        self.stage = Stage(levels)
        self.from_image = nn.ModuleList(_convolution(channels, width, 1) for width in widths)
        self.blocks = nn.ModuleList(_shrink(widths[level], widths[level - 1]) for level in range(1, levels + 1))
        stddev = [MinibatchStdDev(spec.group)] if spec.minibatch == "stddev" else []
        self.last = nn.Sequential(
            *stddev,
            _convolution(widths[0] + len(stddev), widths[0], 3),
            nn.Flatten(),
            # The 4x4 convolution of table 2, whose output is 1x1, as the matrix product that it is.
            EqualizedLinear(widths[0] * size.halved(levels).places, widths[0], gain=HE),
            nn.LeakyReLU(0.2, inplace=True),
        )

    def forward(self, images: Tensor) -> Tensor:
        level, alpha = self.stage.level, self.stage.alpha
        features = self.from_image[level](images)
        if level > 0:
            features = self.blocks[level - 1](features)
            if alpha < 1.0:
                features = torch.lerp(self.from_image[level - 1](avg_pool2d(images, 2)), features, alpha)
        for block in reversed(self.blocks[: max(0, level - 1)]):
            features = block(features)
        return self.last(features)


class Progressive(LatentBuilder):
    """Both players."""

    network = GrowingGenerator

    def trunk(self, spec: ProgressiveDiscriminator, image_shape: ImageShape) -> Trunk:
        """Everything in front of the last dense layer, minibatch statistics included."""
        grown, stddev = GrowingTrunk(spec, image_shape), spec.minibatch == "stddev"
        return Trunk(grown, spec.widths(0)[0], 1, linear=EqualizedLinear, has_stddev=stddev)

    def initialise(self, module: nn.Module) -> None:
        """N(0, 1) and zero biases, appendix A.1; the scale is applied at run time."""
        if isinstance(module, EqualizedLinear | EqualizedConv2d):
            module.reset_parameters()


class _FirstBlock(nn.Module):
    """Latent [B, Z] -> features [B, F, 4, 4], or of the oblong map that is `coarsest`."""

    def __init__(self, inputs: int, width: int, coarsest: Size) -> None:
        super().__init__()
        # The 4x4 convolution of table 2 on a padded 1x1 map as a matrix product. Its fan-in counts 16 places, most of
        # them padding, and its bias is one for each map.
        self.project = EqualizedLinear(inputs, width * coarsest.places, gain=HE / coarsest.places**0.5, bias=False)
        self.bias = nn.Parameter(torch.zeros(width))
        self.coarse_shape = (width, *coarsest)
        self.after = nn.Sequential(
            nn.LeakyReLU(0.2, inplace=True), PixelNorm(), _convolution(width, width, 3), PixelNorm()
        )

    def forward(self, z_BZ: Tensor) -> Tensor:
        coarse = self.project(z_BZ).unflatten(1, self.coarse_shape)
        return self.after(coarse + self.bias[:, None, None].to(coarse.dtype))


def _convolution(inputs: int, outputs: int, size: int) -> nn.Sequential:
    return nn.Sequential(EqualizedConv2d(inputs, outputs, size), nn.LeakyReLU(0.2, inplace=True))


def _grow(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2),
        _convolution(inputs, outputs, 3),
        PixelNorm(),
        _convolution(outputs, outputs, 3),
        PixelNorm(),
    )


def _shrink(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_convolution(inputs, inputs, 3), _convolution(inputs, outputs, 3), nn.AvgPool2d(2))
