"""The moving average of a network's weights."""

import pytest
import torch
from torch import nn

from gan_models.averaging import ExponentialMovingAverage


@pytest.mark.parametrize(("warm_up", "kept"), [(True, 2 / 11), (False, 0.9)])
def test_a_decay_is_warmed_up_unless_it_begins_low_by_itself(warm_up: bool, kept: float) -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    average = ExponentialMovingAverage(network)
    nn.init.ones_(network.weight)
    average.update(network, 1, 0.9, warm_up=warm_up)
    torch.testing.assert_close(average.parameters[0], torch.tensor([[1.0 - kept]]))
