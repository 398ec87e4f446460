"""Weight norm against its formula, and what it is started with."""

import copy

import pytest
import torch
from torch import nn

from gan_models.layers.weight_norm import start_from_data, weight_normed

LAYERS = {
    "linear": (lambda: nn.Linear(7, 5), (64, 7)),
    "convolution": (lambda: nn.Conv2d(4, 6, 3), (64, 4, 5, 5)),
    "transposed": (lambda: nn.ConvTranspose2d(4, 6, 4, 2, 1), (64, 4, 5, 5)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_each_output_has_a_weight_of_the_length_asked_for(name: str) -> None:
    torch.manual_seed(0)
    layer = weight_normed(LAYERS[name][0](), std=0.05, learnt=True)
    lengths = torch.rand(len(layer.bias)) + 0.5
    norm, direction = layer.parametrizations.weight[0], layer.parametrizations.weight.original
    with torch.no_grad():
        norm.length.copy_(lengths)
    outputs_first = (lambda w: w.transpose(0, 1)) if name == "transposed" else (lambda w: w)
    weight, v = outputs_first(layer.weight).flatten(1), outputs_first(direction).flatten(1)
    torch.testing.assert_close(weight, lengths[:, None] * v / v.norm(dim=1, keepdim=True), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("learnt", [True, False])
def test_lengths_are_parameters_only_where_they_are_learnt(learnt: bool) -> None:
    layer = weight_normed(nn.Linear(7, 5), std=0.1, learnt=learnt)
    assert sum(parameter.numel() for parameter in layer.parameters()) == 7 * 5 + 5 + 5 * learnt
    assert "parametrizations.weight.0.length" in layer.state_dict()


@pytest.mark.parametrize("name", LAYERS)
def test_outputs_start_with_mean_zero_and_the_spread_asked_for(name: str) -> None:
    """One layer after the other, each on what the ones before it make by then; and it holds without the hooks."""
    torch.manual_seed(0)
    make, shape = LAYERS[name]
    network = nn.Sequential(weight_normed(make(), std=0.05), nn.ReLU(), nn.Flatten())
    x = 3 * torch.randn(shape) + 2
    network.append(weight_normed(nn.Linear(network(x).shape[1], 3), std=0.05, learnt=True, spread=0.1))
    start_from_data(network, lambda: network(x))
    hidden, outputs = network[0](x), network(x)
    places = [0, *range(2, hidden.dim())]
    for made, rest, spread in ((hidden, places, 1.0), (outputs, [0], 0.1)):
        torch.testing.assert_close(made.mean(rest), torch.zeros(made.shape[1]), rtol=0, atol=1e-4)
        torch.testing.assert_close(
            made.std(rest, correction=0), torch.full((made.shape[1],), spread), rtol=1e-3, atol=0
        )


def test_what_is_not_to_be_started_from_data_is_left_alone() -> None:
    network = nn.Sequential(nn.Linear(3, 4), weight_normed(nn.Linear(4, 2), std=0.05, spread=None))
    before = copy.deepcopy(network.state_dict())
    start_from_data(network, lambda: pytest.fail("there is nothing to start"))
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
