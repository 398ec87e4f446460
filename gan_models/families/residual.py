"""The pre-activation residual blocks that SNGAN, SAGAN and BigGAN are made of (He et al. 2016; Gulrajani et al. 2017).

No activation here works in place: at the head of a block that would also change what the shortcut carries.
"""

from collections.abc import Callable, Iterable
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, conv_transpose2d, interpolate, pad, relu

from gan_models.data.shape import Size
from gan_models.families.interfaces import Trunk
from gan_models.layers.attention import attention_after
from gan_models.layers.normalization import discriminator_norm, generator_norm

NormFactory = Callable[[int], nn.Module]
"""Channels to a layer that is called with features [B, C, H, W] and a condition, labels [B] or vectors [B, F]."""


class Unconditioned(nn.Sequential):
    """Layers that are given a condition and leave it alone."""

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        for layer in self:
            x = layer(x)
        return x


def unconditioned_norm(kind: str) -> NormFactory:
    """The norm that a generator spec asks for, in blocks that pass a condition on."""
    return lambda channels: Unconditioned(*generator_norm(kind, channels))


class UpConv2d(nn.Conv2d):
    """Nearest-neighbour doubling, then a 3x3 convolution: [B, C, H, W] -> [B, D, 2H, 2W].

    Folded into one kernel: exact, at 16/36 of the multiplications. Each output pixel sees only 2x2 different inputs, so
    both together are a transposed 4x4 convolution of stride 2 whose kernel sums the weights that meet the same input.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        kernel = 4.0 * _spread(self.weight.flip(2, 3))
        return conv_transpose2d(x, kernel.transpose(0, 1), self.bias, stride=2, padding=1)


class DownConv2d(nn.Conv2d):
    """A 3x3 convolution, then the mean over 2x2 pixels: [B, C, H, W] -> [B, D, H/2, W/2]; one 4x4 of stride 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, _spread(self.weight), self.bias, stride=2, padding=1)


def _spread(weight: Tensor) -> Tensor:
    """The 3x3 kernels [D, C, 3, 3] convolved with the 2x2 mean: [D, C, 4, 4]."""
    return avg_pool2d(pad(weight, (1, 1, 1, 1)), 2, stride=1)


class UpBlock(nn.Module):
    """Norm-ReLU-doubling-convolution, norm-ReLU-convolution, and a shortcut: [B, C, H, W] -> [B, D, 2H, 2W]."""

    def __init__(self, inputs: int, outputs: int, norm: NormFactory) -> None:
        super().__init__()
        self.norm_in = norm(inputs)
        self.conv_in = UpConv2d(inputs, outputs)
        self.norm_out = norm(outputs)
        self.conv_out = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        residual = self.conv_in(relu(self.norm_in(x, condition)))
        residual = self.conv_out(relu(self.norm_out(residual, condition)))
        # A 1x1 convolution and nearest-neighbour doubling may change places; this way round is four times cheaper.
        return residual + interpolate(self.shortcut(x), scale_factor=2.0)


class UpBlocks(nn.Module):
    """Blocks from the coarsest map to the image, each with its own condition, and attention where it is asked for.

    Args:
        widths: channels of each map, the coarsest first.
        base: size of the coarsest map.
        norms: a factory for each block.
    """

    def __init__(
        self, widths: list[int], base: Size, norms: Iterable[NormFactory], attention: tuple[int, ...] = ()
    ) -> None:
        super().__init__()
        pairs = zip(pairwise(widths), norms, strict=True)
        self.blocks = nn.ModuleList(UpBlock(inputs, outputs, norm) for (inputs, outputs), norm in pairs)
        self.attention = nn.ModuleList(
            nn.Sequential(*attention_after(base.shorter << level, width, attention))
            for level, width in enumerate(widths)
            if level > 0
        )

    def forward(self, x: Tensor, conditions: Iterable[Tensor | None]) -> Tensor:
        for block, attention, condition in zip(self.blocks, self.attention, conditions, strict=True):
            x = attention(block(x, condition))
        return x


class DownBlock(nn.Module):
    """ReLU-convolution, ReLU-convolution, mean over 2x2 pixels where `down`, and a shortcut of the same shape.

    The `first` block sees the image itself, which no ReLU may cut ("optimized block" of the SNGAN code). The shortcut
    is the identity where the shape stays.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        *,
        down: bool,
        first: bool = False,
        hidden: int | None = None,
        norm: str = "none",
    ) -> None:
        super().__init__()
        hidden = hidden or outputs
        self.first, self.down = first, down
        self.norm_in = nn.Sequential(*([] if first else discriminator_norm(norm, inputs, size)))
        self.conv_in = nn.Conv2d(inputs, hidden, 3, padding=1)
        self.norm_out = nn.Sequential(*discriminator_norm(norm, hidden, size))
        self.conv_out = DownConv2d(hidden, outputs) if down else nn.Conv2d(hidden, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if down or inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        residual = x if self.first else relu(self.norm_in(x))
        residual = self.conv_out(relu(self.norm_out(self.conv_in(residual))))
        # As in UpBlock: the mean of the pixels first is the same, and cheaper.
        return residual + self.shortcut(avg_pool2d(x, 2) if self.down else x)


class SumPool(nn.Module):
    """ReLU, then the sum over positions: [B, C, H, W] -> [B, C]."""

    def forward(self, x: Tensor) -> Tensor:
        return relu(x).sum((2, 3))


class MeanPool(nn.Module):
    """ReLU, then the mean over positions: [B, C, H, W] -> [B, C]."""

    def forward(self, x: Tensor) -> Tensor:
        return relu(x).mean((2, 3))


POOLS: dict[str, type[nn.Module]] = {"sum": SumPool, "mean": MeanPool}
"""By a discriminator spec's `pool`."""


def down_trunk(
    widths: list[int],
    size: Size,
    downs: int,
    *,
    wide: bool,
    norm: str = "none",
    attention: tuple[int, ...] = (),
    pool: str = "sum",
) -> Trunk:
    """DownBlocks from `widths[0]` image channels on; the first `downs` halve, `wide` ones widen first (BigGAN)."""
    layers: list[nn.Module] = []
    side = size.shorter
    for level, (inputs, outputs) in enumerate(pairwise(widths)):
        first, down = level == 0, level < downs
        hidden = outputs if wide or first else inputs
        layers.append(DownBlock(inputs, outputs, side, down=down, first=first, hidden=hidden, norm=norm))
        side = side // 2 if down else side
        if down:  # once for each map: after the block that makes it
            layers += attention_after(side, outputs, attention)
    return Trunk(nn.Sequential(*layers, POOLS[pool]()), widths[-1], 1)
