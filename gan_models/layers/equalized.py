"""Equalised learning rate (Karras et al. 2018, "Progressive Growing of GANs", section 4.1).

Weights are drawn from N(0, 1) and scaled at run time by He's constant, gain / sqrt(fan_in), instead of being drawn to
that scale: Adam's steps do not depend on a parameter's size, so every weight learns at the same relative speed. At a
`rate` of r, weights are drawn r times as narrow and scaled by r more: they learn r times as fast, as StyleGAN's
mapping network does (Karras et al. 2019, appendix C).
"""

import math
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

HE = math.sqrt(2.0)  # the gain in front of a rectifier (He et al. 2015); 1 where none follows


class _Equalized(nn.Module):
    weight: Tensor
    bias: Any
    rate = 1.0
    start = 0.0

    def reset_parameters(self) -> None:
        """Weights from N(0, 1 / rate^2), biases `start`."""
        nn.init.normal_(self.weight, 0.0, 1.0 / self.rate)
        if self.bias is not None:
            nn.init.constant_(self.bias, self.start / self.rate)


class EqualizedLinear(_Equalized, nn.Linear):
    """[B, inputs] -> [B, outputs] by W gain / sqrt(inputs) and a bias that begins as `start`."""

    def __init__(
        self, inputs: int, outputs: int, *, gain: float = 1.0, bias: bool = True, rate: float = 1.0, start: float = 0.0
    ) -> None:
        self.scale, self.rate, self.start = rate * gain / math.sqrt(inputs), rate, start
        super().__init__(inputs, outputs, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        bias = self.bias if self.bias is None or self.rate == 1.0 else self.bias * self.rate
        return linear(features, self.weight * self.scale, bias)


class EqualizedConv2d(_Equalized, nn.Conv2d):
    """A convolution of stride 1 that keeps the size, [B, inputs, H, W] -> [B, outputs, H, W], as above.

    fan_in = inputs * size^2.
    """

    def __init__(self, inputs: int, outputs: int, size: int, *, gain: float = HE, bias: bool = True) -> None:
        self.scale = gain / math.sqrt(inputs * size * size)
        super().__init__(inputs, outputs, size, padding=size // 2, bias=bias)

    def forward(self, features: Tensor) -> Tensor:
        return conv2d(features, self.weight * self.scale, self.bias, padding=self.padding)
