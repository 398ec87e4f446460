"""The folded kernels against the two steps they stand for."""

import torch
from torch.nn.functional import avg_pool2d, conv2d, interpolate

from gan_models.families.residual import DownConv2d, UpConv2d


def test_doubling_and_convolving_in_one_is_exact() -> None:
    layer, x = UpConv2d(3, 5).double(), torch.randn(2, 3, 5, 7, dtype=torch.float64)
    expected = conv2d(interpolate(x, scale_factor=2.0), layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), expected)


def test_convolving_and_halving_in_one_is_exact_to_the_second_derivative() -> None:
    layer, x = DownConv2d(3, 5).double(), torch.randn(2, 3, 6, 8, dtype=torch.float64, requires_grad=True)
    expected = avg_pool2d(conv2d(x, layer.weight, layer.bias, padding=1), 2)
    torch.testing.assert_close(layer(x), expected)

    def penalty_gradient(output: torch.Tensor) -> torch.Tensor:
        (gradient,) = torch.autograd.grad(output.square().sum(), x, create_graph=True)
        return torch.autograd.grad(gradient.square().sum(), layer.weight)[0]

    torch.testing.assert_close(penalty_gradient(layer(x)), penalty_gradient(expected))
