"""Equalised learning rate (Karras et al. 2018, "Progressive Growing of GANs", section 4.1).

Weights are drawn from N(0, 1) and scaled at run time by He's constant, gain / sqrt(fan_in), instead of being drawn to
that scale: Adam's steps do not depend on a parameter's size, so every weight learns at the same relative speed.
"""

import math
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

HE = math.sqrt(2.0)  # the gain in front of a rectifier (He et al. 2015); 1 where none follows


class _Equalized(nn.Module):
    weight: Tensor
    bias: Any

    def reset_parameters(self) -> None:
        """Weights from N(0, 1), biases 0."""
        nn.init.normal_(self.weight)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class EqualizedLinear(_Equalized, nn.Linear):
    """[B, inputs] -> [B, outputs] by W gain / sqrt(inputs) and a bias starting at 0."""

    def __init__(self, inputs: int, outputs: int, *, gain: float = 1.0, bias: bool = True) -> None:
        self.scale = gain / math.sqrt(inputs)
        super().__init__(inputs, outputs, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        return linear(features, self.weight * self.scale, self.bias)


class EqualizedConv2d(_Equalized, nn.Conv2d):
    """A convolution of stride 1 that keeps the size, [B, inputs, H, W] -> [B, outputs, H, W], as above.

    fan_in = inputs * size^2.
    """

    def __init__(self, inputs: int, outputs: int, size: int, *, gain: float = HE) -> None:
        self.scale = gain / math.sqrt(inputs * size * size)
        super().__init__(inputs, outputs, size, padding=size // 2)

    def forward(self, features: Tensor) -> Tensor:
        return conv2d(features, self.weight * self.scale, self.bias, padding=self.padding)
