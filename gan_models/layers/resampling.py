"""Convolutions that change the size of the map, folded into one kernel: exact, at 16/36 of the multiplications."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, conv_transpose2d, pad


class UpConv2d(nn.Conv2d):
    """Nearest-neighbour doubling, then a 3x3 convolution: [B, C, H, W] -> [B, D, 2H, 2W].

    Each output pixel sees only 2x2 different inputs, so both together are a transposed 4x4 convolution of stride 2
    whose kernel sums the weights that meet the same input.
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
