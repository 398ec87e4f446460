"""Equalised learning rate against its definition."""

import math

import pytest
import torch
from torch.nn.functional import conv2d

from gan_models.layers.equalized import HE, EqualizedConv2d, EqualizedLinear


def test_weights_are_standard_normal_and_biases_zero() -> None:
    torch.manual_seed(0)
    for layer in (EqualizedLinear(300, 200), EqualizedConv2d(80, 80, 3)):
        assert layer.weight.std().item() == pytest.approx(1, abs=0.02)
        assert layer.weight.mean().item() == pytest.approx(0, abs=0.02)
        assert not layer.bias.any()


@pytest.mark.parametrize("gain", [1.0, HE])
def test_the_layers_compute_with_scaled_weights(gain: float) -> None:
    linear, convolution = EqualizedLinear(8, 3, gain=gain), EqualizedConv2d(2, 5, 3, gain=gain)
    linear.bias.data.normal_()
    x, image = torch.randn(4, 8), torch.randn(4, 2, 6, 6)
    torch.testing.assert_close(linear(x), x @ linear.weight.T * (gain / math.sqrt(8)) + linear.bias)
    expected = conv2d(image, convolution.weight, padding=1) * (gain / math.sqrt(2 * 9))
    torch.testing.assert_close(convolution(image), expected)


def test_he_scaling_keeps_the_variance_of_unit_inputs() -> None:
    """Var y = gain^2 for inputs of unit variance, whatever the fan-in (border places apart)."""
    torch.manual_seed(0)
    for inputs in (4, 64):
        y = EqualizedConv2d(inputs, 256, 3)(torch.randn(16, inputs, 8, 8))[:, :, 1:-1, 1:-1]
        assert y.var().item() == pytest.approx(2, rel=0.1)


def test_adam_moves_wide_and_narrow_layers_by_the_same_share_of_their_weights() -> None:
    """The reason for it: a step of Adam is lr in every weight, and all weights are drawn to the same scale."""
    torch.manual_seed(0)
    for inputs in (8, 512):
        layer = EqualizedLinear(inputs, 512)
        before = layer.weight.detach().clone()
        optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3, betas=(0.0, 0.99))
        layer(torch.randn(16, inputs)).square().sum().backward()
        optimizer.step()
        moved = (layer.weight - before).norm() / before.norm()
        assert moved.item() == pytest.approx(1e-3, rel=0.05)
