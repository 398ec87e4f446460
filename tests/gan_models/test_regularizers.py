"""Regularizers against closed forms, and the pairs that are refused."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.families.interfaces import Discriminator
from gan_models.games.base import build_game
from gan_models.layers.heads import LinearHead
from gan_models.layers.normalization import add_spectral_norm
from gan_models.recipes import load_recipe
from gan_models.regularizers import (
    R1,
    REGULARIZERS,
    Dragan,
    Drift,
    FeatureMatching,
    GradientPenalty,
    HistoricalAveraging,
    Orthogonal,
    Round,
)

SMOOTHED = "game.label_smoothing=0.1"
SPECTRAL = "networks.discriminator.spectral_norm=true"
DISCRIMINATES = ["networks.discriminator.minibatch=discrimination", "networks.discriminator.norm=none"]
CRITIC = ["game.loss=wasserstein"]
CONDITIONED = ["conditioning={generator: one-hot, discriminator: concat}"]


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


def on_the_table(critic: Discriminator, count: int = 6, player: str = "discriminator") -> Round:
    real, fake = torch.randn(count, 1, 2, 2, requires_grad=True), torch.randn(count, 1, 2, 2, requires_grad=True)
    return Round(player, None, critic, real, fake, None, critic(real), critic(fake))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("r1", lambda w: 0.5 * w**2),
        ("r2", lambda w: 0.5 * w**2),
        ("gradient-penalty", lambda w: (w - 1) ** 2),
        ("dragan", lambda w: (w - 1) ** 2),
        ("zero-centred-gradient-penalty", lambda w: w**2),
    ],
)
def test_a_linear_critics_gradient_is_its_weight_everywhere(name: str, expected: Callable[[float], float]) -> None:
    critic = linear_critic(4)
    norm = critic.head.linear.weight.norm()
    value = REGULARIZERS[name]().value(on_the_table(critic))
    assert value.item() == pytest.approx(expected(norm.item()), rel=1e-5)
    value.backward()
    (by_hand,) = torch.autograd.grad(expected(critic.head.linear.weight.norm()), critic.head.linear.weight)
    torch.testing.assert_close(critic.head.linear.weight.grad, by_hand, rtol=1e-4, atol=1e-5)


def test_a_gradient_penalty_asks_for_the_slope_that_is_its_target() -> None:
    """lambda (|grad D| - t)^2 / t^2, as PGGAN's public code has it with t = 750 on CIFAR-10."""
    critic = linear_critic(4)
    norm = critic.head.linear.weight.norm().item()
    value = GradientPenalty(target=5.0).value(on_the_table(critic))
    assert value.item() == pytest.approx((norm - 5.0) ** 2 / 25.0, rel=1e-5)
    assert GradientPenalty(target=norm).value(on_the_table(critic)).item() == pytest.approx(0.0, abs=1e-6)


def test_a_gradient_of_zero_has_a_penalty_with_a_derivative() -> None:
    critic = linear_critic(4)
    nn.init.zeros_(critic.head.linear.weight)
    value = GradientPenalty().value(on_the_table(critic))
    value.backward()
    assert value.item() == pytest.approx(1, abs=1e-5)
    assert torch.isfinite(critic.head.linear.weight.grad).all()


def test_the_penalty_is_taken_between_each_real_image_and_its_generated_one() -> None:
    table = on_the_table(linear_critic(4), 50)
    shares = (GradientPenalty().points(table) - table.real) / (table.fake - table.real)
    torch.testing.assert_close(shares, shares[:, :1, :1, :1].expand_as(shares), rtol=1e-2, atol=1e-2)
    assert shares.min() > -1e-3
    assert shares.max() < 1 + 1e-3
    assert shares[:, 0, 0, 0].std() > 0.1


def test_dragan_stays_within_half_a_deviation_of_the_real_images() -> None:
    table = on_the_table(linear_critic(4), 50)
    moved = Dragan().points(table) - table.real
    assert moved.min() >= 0
    assert moved.max() <= 0.5 * table.real.std()
    assert moved.std() > 0


def test_drift_is_the_mean_square_of_the_critic_on_real_images() -> None:
    table = on_the_table(linear_critic(4))
    expected = sum(logit**2 for logit in table.real_output.logits.tolist()) / 6
    assert Drift().value(table).item() == pytest.approx(expected, rel=1e-5)


def test_the_orthogonal_penalty_sums_squared_products_of_different_filters() -> None:
    network = nn.Sequential(nn.Conv2d(2, 3, 2), nn.ConvTranspose2d(3, 4, 2), nn.Flatten(), nn.Linear(5, 2))
    network.add_module("embedding", nn.Embedding(3, 4))
    matrices = [
        [network[0].weight[i].flatten() for i in range(3)],
        [network[1].weight[:, i].flatten() for i in range(4)],
        [network[3].weight[i] for i in range(2)],
    ]
    expected = sum(
        (rows[i] @ rows[j]).item() ** 2
        for rows in matrices
        for i in range(len(rows))
        for j in range(len(rows))
        if i != j
    )
    table = Round("generator", network, None, None, None, None, None, None)
    assert Orthogonal().value(table).item() == pytest.approx(expected, rel=1e-5)


def test_biggans_orthogonal_penalty_adds_the_gradient_that_the_public_code_adds() -> None:
    """2 beta (W W^T - its diagonal) W with beta 1e-4, for each W [filters, weights of one]."""
    network = nn.Linear(5, 3)
    (term,) = load_recipe("biggan/imagenet-128").regularizers
    assert isinstance(term.weight, float)
    (term.weight * term.value(Round("generator", network, None, None, None, None, None, None))).backward()
    w = network.weight.detach()
    products = w @ w.T
    torch.testing.assert_close(network.weight.grad, 2 * 1e-4 * (products - products.diagonal().diag()) @ w)


def test_the_orthogonal_penalty_reads_the_weight_itself_under_spectral_norm() -> None:
    network = nn.Sequential(nn.Linear(5, 3))
    table = Round("generator", network, None, None, None, None, None, None)
    plain = Orthogonal().value(table).item()
    add_spectral_norm(network)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert Orthogonal().value(table).item() == pytest.approx(plain, rel=1e-6)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_historical_averaging_is_the_distance_to_the_mean_of_the_past() -> None:
    network, term = nn.Linear(3, 2), HistoricalAveraging()
    table = Round("generator", network, None, None, None, None, None, None)
    assert term.value(table).item() == 0
    past = []
    for _ in range(4):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        term.moved(network)
        past.append(torch.nn.utils.parameters_to_vector(network.parameters()).detach().clone())
        with torch.no_grad():
            network.weight.add_(0.3)
        theta = torch.nn.utils.parameters_to_vector(network.parameters())
        expected = (theta - torch.stack(past).mean(0)).square().sum()
        assert term.value(table).item() == pytest.approx(expected.item(), rel=1e-5)
    resumed = HistoricalAveraging()
    resumed.load_state_dict(term.state_dict())
    assert resumed.value(table).item() == term.value(table).item()
    (gradient,) = torch.autograd.grad(term.value(table), network.weight)
    mean = torch.stack(past).mean(0)[:6].reshape(2, 3)
    torch.testing.assert_close(gradient, 2 * (network.weight - mean).detach())


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["regularizers=[{name: r1}]"], "batch norm in D mixes"),
        (["regularizers=[{name: dragan}]"], "batch norm in D mixes"),
        (["regularizers=[{name: gradient-penalty}]", *DISCRIMINATES], "D's word on an image depends on its neighbours"),
        (["regularizers=[{name: r2}]", *DISCRIMINATES], "D's word on an image depends on its neighbours"),
        (["regularizers=[{name: r2d2}]"], "unknown regularizer 'r2d2'"),
        (["regularizers=[{name: drift}, {name: drift, weight: 2}]"], "is named twice for the discriminator"),
        (["regularizers=[{name: drift, player: generator}]"], "belongs to the discriminator: leave its player at auto"),
        (["regularizers=[{name: feature-matching, player: discriminator}]"], "belongs to the generator"),
        (["game.loss=non-saturatin"], "did you mean 'non-saturating'"),
        (["game.augmentations=[cutot]"], "did you mean 'cutout'"),
        (
            ["game.loss=hinge", SMOOTHED],
            "game.label_smoothing smooths class targets, which game.loss=hinge does not have",
        ),
        (["game.loss=least-squares", SMOOTHED], "game.label_smoothing smooths class targets"),
        (["game.targets=[-1, 1, 0]"], "game.targets are those of least-squares"),
        (["game.classification_in_generator=0.1"], "game.classify_fakes weigh D's class loss"),
        (["game.classification=0.5"], "game.classify_fakes weigh D's class loss"),
        (["game.classify_fakes=false"], "game.classify_fakes weigh D's class loss"),
        ([*CRITIC], "game.loss=wasserstein grows without end unless D's slope is bounded"),
        ([*CRITIC, "game.weight_clip=0.01", SPECTRAL], "that networks.discriminator.spectral_norm scales anyway"),
        (
            [
                *CRITIC,
                "game.weight_clip=0.01",
                "networks.discriminator.norm=none",
                "regularizers=[{name: gradient-penalty}]",
            ],
            "game.weight_clip and the regularizer 'gradient-penalty' both bound D's gradient",
        ),
        (["game.critic_warm_up={}"], "game.critic_warm_up is for a critic"),
        (["networks.generator.attention=[5]"], "networks.generator.attention=.5.: only 0 of these are sizes"),
        (["networks.discriminator.attention=[4, 3]"], "networks.discriminator.attention=.4, 3.: only 1 of these"),
        (["conditioning={generator: batch-norm, discriminator: projection}"], "set conditioning.generator=one-hot"),
        (
            ["conditioning={generator: one-hot, discriminator: projection}", DISCRIMINATES[0]],
            "a projection head both reshape the features",
        ),
        (["game={kind: semi-supervised}", *CONDITIONED], "names the class by D itself and tells neither player"),
        (["game={kind: semi-supervised, adversarial: 0}"], "game.adversarial=0 leaves G nothing to learn from"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(overrides: list[str], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        build_game(load_recipe("dcgan", overrides), DataShape((1, 8, 8), 3), torch.device("cpu"))
