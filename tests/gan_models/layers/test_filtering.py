"""The binomial filter both ways, against convolutions written out, and its derivatives."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from gan_models.layers.filtering import BinomialFilter

KERNEL = torch.tensor([1.0, 3.0, 3.0, 1.0]).outer(torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64


def direct(x: Tensor, kernel: Tensor, around: tuple[int, int]) -> Tensor:
    """A convolution of each channel by itself, [B, C, H, W], over zeros; every place summed up."""
    padded = pad(x, (*around, *around))
    high, wide = padded.shape[2] - 3, padded.shape[3] - 3
    total = torch.zeros(*x.shape[:2], high, wide, dtype=x.dtype)
    for row in range(4):
        for column in range(4):
            total += kernel[row, column] * padded[:, :, row : row + high, column : column + wide]
    return total


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("needs_gradient", [False, True])
def test_halving_is_every_second_pixel_of_the_filtered_image(layout: torch.memory_format, needs_gradient: bool) -> None:
    x = torch.randn(2, 3, 8, 6).to(memory_format=layout).requires_grad_(needs_gradient)
    torch.testing.assert_close(BinomialFilter().halved(x), direct(x, KERNEL, (1, 1))[:, :, ::2, ::2])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("needs_gradient", [False, True])
def test_doubling_filters_pixels_with_zeros_between(layout: torch.memory_format, needs_gradient: bool) -> None:
    x = torch.randn(2, 3, 4, 3).to(memory_format=layout).requires_grad_(needs_gradient)
    spread = torch.zeros(2, 3, 8, 6)
    spread[:, :, ::2, ::2] = x.detach()
    torch.testing.assert_close(BinomialFilter().doubled(x), direct(spread, 4 * KERNEL, (2, 1)))


def test_blurring_keeps_the_size_but_for_the_taps() -> None:
    x = torch.randn(2, 3, 5, 7)
    expected = conv2d(x.flatten(0, 1)[:, None], KERNEL[None, None], padding=2).unflatten(0, (2, 3)).squeeze(2)
    torch.testing.assert_close(BinomialFilter().blurred(x, 2), expected)


def test_a_flat_image_stays_flat_inside() -> None:
    flat = torch.ones(1, 1, 8, 8)
    torch.testing.assert_close(BinomialFilter().halved(flat)[..., 1:-1, 1:-1], torch.ones(1, 1, 2, 2))
    torch.testing.assert_close(BinomialFilter().doubled(flat)[..., 1:-1, 1:-1], torch.ones(1, 1, 14, 14))


@pytest.mark.parametrize("way", ["halved", "doubled"])
def test_both_derivatives_are_those_of_the_plain_convolution(way: str) -> None:
    """Twice, as a penalty on D's gradient takes them: PyTorch's own derivative of the same convolution beside it."""
    filtered = BinomialFilter()
    kernel = filtered.kernel.expand(3, -1, -1, -1)

    def plain(x: Tensor) -> Tensor:
        if way == "halved":
            return conv2d(x, kernel, stride=2, padding=1, groups=3)
        return torch.nn.functional.conv_transpose2d(x, 4 * kernel, stride=2, padding=1, groups=3)

    x, found = torch.randn(2, 3, 8, 8), []
    for function in (getattr(filtered, way), plain):
        x = x.detach().requires_grad_()
        (first,) = torch.autograd.grad(function(x).pow(3).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), x)
        found.append((first.detach(), second))
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("way", ["halved", "doubled"])
def test_bf16_and_the_layout_come_back_as_they_went_in(way: str) -> None:
    x = torch.randn(2, 4, 8, 8).to(memory_format=torch.channels_last)
    function = getattr(BinomialFilter(), way)
    with torch.autocast("cpu", torch.bfloat16):
        half = function(x.bfloat16().requires_grad_())
    assert half.dtype == torch.bfloat16
    assert half.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(half.float(), function(x), atol=0.02, rtol=0.02)
