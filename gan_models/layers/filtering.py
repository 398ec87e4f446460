"""Doubling and halving by the binomial filter [1, 3, 3, 1], which leaves no aliases (Zhang 2019, "Making Convolutional
Networks Shift-Invariant Again"; Karras et al. 2019, section 2).

The filter is separable and sums to 1; beyond the border there are zeros.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d

TAPS = (1.0, 3.0, 3.0, 1.0)


class BinomialFilter(nn.Module):
    """Nothing of it is learnt or saved."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor(TAPS)
        kernel = taps.outer(taps) / taps.sum().square()
        self.register_buffer("kernel", kernel[None, None], persistent=False)

    def blurred(self, x: Tensor, padding: int, *, gain: float = 1.0) -> Tensor:
        """[B, C, H, W] -> [B, C, H + 2 padding - 3, W + 2 padding - 3]."""
        return _applied(_Blurring, x, self.kernel * gain, padding)

    def halved(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H / 2, W / 2]."""
        return _applied(_Halving, x, self.kernel)

    def doubled(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, 2 H, 2 W]: zeros between the pixels, then the filter, brought back to their size."""
        return _applied(_Doubling, x, self.kernel)


# Halving and doubling are each other's gradient, but for a factor of 4, and blurring is its own. Told so, PyTorch takes
# a second derivative by the same convolutions, five to ten times as fast as by its own way through a convolution of as
# many groups as channels.


class _Halving(torch.autograd.Function):
    @staticmethod
    def of(x: Tensor, kernel: Tensor) -> Tensor:
        return conv2d(x, _each(kernel, x), stride=2, padding=1, groups=x.shape[1])

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor) -> Tensor:
        ctx.save_for_backward(kernel)
        return _computed(_Halving.of, x, kernel)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _applied(_Doubling, gradients[0], *ctx.saved_tensors) / 4.0, None


class _Doubling(torch.autograd.Function):
    @staticmethod
    def of(x: Tensor, kernel: Tensor) -> Tensor:
        return conv_transpose2d(x, _each(4.0 * kernel, x), stride=2, padding=1, groups=x.shape[1])

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor) -> Tensor:
        ctx.save_for_backward(kernel)
        return _computed(_Doubling.of, x, kernel)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _applied(_Halving, gradients[0], *ctx.saved_tensors) * 4.0, None


class _Blurring(torch.autograd.Function):
    @staticmethod
    def of(x: Tensor, kernel: Tensor, padding: int) -> Tensor:
        return conv2d(x, _each(kernel, x), padding=padding, groups=x.shape[1])

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(kernel)
        ctx.padding = padding
        return _computed(_Blurring.of, x, kernel, padding)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        around = len(TAPS) - 1 - ctx.padding
        return _applied(_Blurring, gradients[0], *ctx.saved_tensors, around), None, None


def _applied(function: type[_Halving | _Doubling | _Blurring], x: Tensor, kernel: Tensor, *settings: int) -> Tensor:
    # An exporter follows plain operations, and has no use for gradients.
    if not (torch.is_grad_enabled() and x.requires_grad):
        return _computed(function.of, x, kernel, *settings)
    result: Tensor = function.apply(x, kernel, *settings)
    return result


def _computed(of: Any, x: Tensor, kernel: Tensor, *settings: int) -> Tensor:
    """In the input's type; bf16 on a CPU by way of fp32, which alone has a fast kernel for this."""
    with nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False):
        by_fp32 = x.device.type == "cpu" and x.dtype == torch.bfloat16
        result: Tensor = of(x.float(), kernel, *settings).to(x.dtype) if by_fp32 else of(x, kernel, *settings)
    return result


def _each(kernel: Tensor, x: Tensor) -> Tensor:
    """The kernel for each channel."""
    return kernel.to(x.dtype).expand(x.shape[1], -1, -1, -1)
