"""Spectral norm against the singular value decomposition; its vectors move in training only."""

import pytest
import torch
from torch import nn

from gan_models.layers.normalization import add_spectral_norm

LAYERS = {
    "linear": (nn.Linear(7, 5), (3, 7)),
    "convolution": (nn.Conv2d(4, 6, 3), (3, 4, 5, 5)),
    "transposed": (nn.ConvTranspose2d(4, 6, 4, 2, 1), (3, 4, 5, 5)),
}


def largest_singular_value(layer: nn.Module, weight: torch.Tensor) -> float:
    matrix = weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight
    return float(torch.linalg.svdvals(matrix.detach().flatten(1).double())[0])


def vectors(network: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in network.state_dict().items() if key.endswith(("_u", "_v"))}


@pytest.mark.parametrize("name", LAYERS)
def test_weights_are_divided_by_their_largest_singular_value(name: str) -> None:
    torch.manual_seed(0)
    layer, shape = LAYERS[name]
    network = nn.Sequential(type(layer)(*_arguments(layer)))
    raw = network[0].weight.detach().clone()
    add_spectral_norm(network)
    for _ in range(200):
        network(torch.randn(shape))
    network.eval()
    assert largest_singular_value(layer, network[0].weight) == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(network[0].weight, raw / largest_singular_value(layer, raw), rtol=1e-3, atol=1e-5)


def _arguments(layer: nn.Module) -> tuple[int, ...]:
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    return layer.in_channels, layer.out_channels, layer.kernel_size[0], layer.stride[0], layer.padding[0]


def test_one_power_iteration_for_each_training_forward_and_none_in_eval() -> None:
    network = nn.Sequential(nn.Linear(7, 5))
    add_spectral_norm(network)
    start = vectors(network)
    matrix = network[0].parametrizations.weight.original.detach()
    network(torch.randn(2, 7))
    u = nn.functional.normalize(matrix @ start["0.parametrizations.weight.0._v"], dim=0)
    torch.testing.assert_close(vectors(network)["0.parametrizations.weight.0._u"], u)
    moved = vectors(network)
    network.eval()
    for _ in range(3):
        network(torch.randn(2, 7))
    assert all(torch.equal(moved[key], value) for key, value in vectors(network).items())


def test_the_gradient_flows_through_sigma_but_not_through_the_vectors() -> None:
    network = nn.Sequential(nn.Linear(4, 3, bias=False)).double()
    add_spectral_norm(network)
    x = torch.randn(2, 4, dtype=torch.float64)
    network.eval()
    state = network.state_dict()
    u, v = (state[f"0.parametrizations.weight.0._{name}"] for name in "uv")
    weight = state["0.parametrizations.weight.original"].clone().requires_grad_()
    (x @ (weight / (u @ weight @ v)).T).square().sum().backward()
    network(x).square().sum().backward()
    torch.testing.assert_close(network[0].parametrizations.weight.original.grad, weight.grad)
