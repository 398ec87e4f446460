"""Noise and dropout: in training only, with the moments that they promise."""

import pytest
import torch

from gan_models.layers.noise import Dropout, GaussianNoise


def test_noise_has_its_standard_deviation_in_training_and_is_absent_otherwise() -> None:
    torch.manual_seed(0)
    x, layer = torch.full((500, 40), 2.0), GaussianNoise(0.3)
    noised = layer(x)
    assert noised.mean().item() == pytest.approx(2.0, abs=0.01)
    assert noised.std().item() == pytest.approx(0.3, abs=0.01)
    assert layer.eval()(x) is x


def test_dropout_keeps_the_mean_and_drops_its_share() -> None:
    torch.manual_seed(0)
    x, layer = torch.full((500, 40), 2.0), Dropout(0.2)
    dropped = layer(x)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert set(dropped.unique().tolist()) == {0.0, 2.5}
    assert layer.eval()(x) is x
