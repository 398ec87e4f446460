"""Regularizers against closed forms, and the pairs that are refused."""

import pytest
import torch
from torch import nn

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.games import build_game
from gan_models.networks import Discriminator
from gan_models.networks.heads import LinearHead
from gan_models.recipes import load_recipe
from gan_models.regularizers import R1, FeatureMatching, Round


def linear_critic(pixels: int) -> Discriminator:
    return Discriminator(nn.Flatten(), LinearHead(pixels))


def test_r1_of_a_linear_critic_is_half_its_squared_weight() -> None:
    critic = linear_critic(12)
    real = torch.randn(5, 3, 2, 2, requires_grad=True)
    fake = torch.randn(5, 3, 2, 2)
    value = R1().value(Round("discriminator", None, critic, real, fake, None, critic(real), critic(fake)))
    assert value.item() == pytest.approx(0.5 * critic.head.linear.weight.square().sum().item(), rel=1e-6)


def test_feature_matching_compares_batch_means_not_samples() -> None:
    critic = linear_critic(4)
    real = torch.randn(6, 1, 2, 2)
    shuffled = real[torch.randperm(6)]
    term = FeatureMatching()
    assert term.value(Round("generator", None, critic, real, shuffled, None, None, critic(shuffled))).item() < 1e-12
    moved = real + 1
    value = term.value(Round("generator", None, critic, real, moved, None, None, critic(moved)))
    assert value.item() == pytest.approx(4, rel=1e-5)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["regularizers=[{name: r1}]"], "batch norm in D mixes"),
        (["regularizers=[{name: r2d2}]"], "unknown regularizer 'r2d2'"),
        (["game.loss=non-saturatin"], "did you mean 'non-saturating'"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(overrides: list[str], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        build_game(load_recipe("dcgan", overrides), DataShape((1, 8, 8)), torch.device("meta"))
