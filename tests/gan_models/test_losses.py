"""The games against their closed forms."""

import math

import pytest
import torch

from gan_models.losses import LOSSES, Loss, NonSaturating, Relativistic


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def loss_of(name: str, **rules: object) -> Loss:
    return LOSSES[name](**rules)


NOTHING = torch.empty(0)
REAL, FAKE = torch.tensor([2.0, -1.0], dtype=torch.float64), torch.tensor([0.5, -3.0], dtype=torch.float64)


@pytest.mark.parametrize("name", ["minimax", "non-saturating"])
def test_discriminator_minimises_binary_cross_entropy(name: str) -> None:
    expected = (
        -sum(math.log(sigmoid(x)) for x in REAL.tolist()) / 2 - sum(math.log(1 - sigmoid(x)) for x in FAKE.tolist()) / 2
    )
    assert loss_of(name).discriminator(REAL, FAKE).item() == pytest.approx(expected, abs=1e-12)


def test_generators_minimise_what_the_paper_writes() -> None:
    minimax = sum(math.log(1 - sigmoid(x)) for x in FAKE.tolist()) / 2
    non_saturating = -sum(math.log(sigmoid(x)) for x in FAKE.tolist()) / 2
    assert loss_of("minimax").generator(FAKE, NOTHING).item() == pytest.approx(minimax, abs=1e-12)
    assert loss_of("non-saturating").generator(FAKE, NOTHING).item() == pytest.approx(non_saturating, abs=1e-12)


def test_generator_gradients_share_their_direction_and_differ_in_strength() -> None:
    """Both fall with D(G(z)); where D wins (very negative logits) only minimax's gradient vanishes."""
    gradients = {}
    for name in ("minimax", "non-saturating"):
        logits = torch.tensor([-8.0], requires_grad=True)
        loss_of(name).generator(logits, NOTHING).backward()
        gradients[name] = logits.grad.item()
    assert gradients["minimax"] == pytest.approx(-sigmoid(-8), rel=1e-5)
    assert gradients["non-saturating"] == pytest.approx(-sigmoid(8), rel=1e-5)


def test_label_smoothing_is_one_sided() -> None:
    """Real targets 0.9 give the cross entropy of a soft target; the gradient on fakes does not change at all."""

    def loss(real: torch.Tensor, fake: torch.Tensor, smoothing: float) -> torch.Tensor:
        return NonSaturating(label_smoothing=smoothing).discriminator(real, fake)

    soft = torch.nn.functional.binary_cross_entropy_with_logits(REAL, torch.full_like(REAL, 0.9))
    hard = torch.nn.functional.binary_cross_entropy_with_logits(FAKE, torch.zeros_like(FAKE))
    assert loss(REAL, FAKE, 0.1).item() == pytest.approx((soft + hard).item(), abs=1e-12)
    fake = FAKE.clone().requires_grad_()
    smoothed, plain = (torch.autograd.grad(loss(REAL, fake, s), fake)[0] for s in (0.1, 0.0))
    torch.testing.assert_close(smoothed, plain, rtol=0, atol=0)


def test_extreme_logits_stay_finite() -> None:
    extreme = torch.tensor([1e4, -1e4])
    for name in LOSSES:
        assert torch.isfinite(loss_of(name).discriminator(extreme, -extreme))
        assert torch.isfinite(loss_of(name).generator(extreme, -extreme))


def test_maximum_likelihood_weighs_a_sample_by_its_density_ratio() -> None:
    """With D = p / (p + q), exp of its logit is p / q: the gradient of a sample's logit is -p / q over the batch."""
    density_ratio = torch.tensor([0.5, 2.0, 9.0], dtype=torch.float64)
    logits = density_ratio.log().requires_grad_()
    loss = loss_of("maximum-likelihood").generator(logits, NOTHING)
    assert loss.item() == pytest.approx(-density_ratio.mean().item(), abs=1e-12)
    (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(gradient, -density_ratio / 3)
    far = torch.tensor([50.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(loss_of("maximum-likelihood").generator(far, NOTHING), far)
    assert gradient.item() == 0


@pytest.mark.parametrize("targets", [(0.0, 1.0, 1.0), (-1.0, 1.0, 0.0)])
def test_least_squares_pulls_raw_logits_to_its_targets(targets: tuple[float, float, float]) -> None:
    a, b, c = targets
    loss = loss_of("least-squares", targets=targets)
    expected = sum((x - b) ** 2 for x in REAL.tolist()) / 4 + sum((x - a) ** 2 for x in FAKE.tolist()) / 4
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(expected, abs=1e-12)
    expected = sum((x - c) ** 2 for x in FAKE.tolist()) / 4
    assert loss.generator(FAKE, NOTHING).item() == pytest.approx(expected, abs=1e-12)
    assert loss.boundary == (a + b) / 2


def test_the_critic_is_paid_by_the_difference_of_means() -> None:
    loss = loss_of("wasserstein")
    assert loss.critic
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(-1.25 - 0.5)
    assert loss.generator(FAKE, NOTHING).item() == pytest.approx(1.25)


def test_hinge_lets_go_of_what_is_beyond_the_margin_and_only_in_d() -> None:
    loss = loss_of("hinge")
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx((0 + 2) / 2 + (1.5 + 0) / 2)
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    gradients = torch.autograd.grad(loss.discriminator(real, fake), [real, fake])
    assert [gradient.tolist() for gradient in gradients] == [[0, -0.5], [0.5, 0]]
    (gradient,) = torch.autograd.grad(loss.generator(fake, NOTHING), fake)
    assert gradient.tolist() == [-0.5, -0.5]


def test_relativistic_players_judge_pairs() -> None:
    loss = loss_of("relativistic")
    assert loss.relativistic
    pairs = list(zip(REAL.tolist(), FAKE.tolist(), strict=True))
    expected = -sum(math.log(sigmoid(real - fake)) for real, fake in pairs) / 2
    assert loss.discriminator(REAL, FAKE).item() == pytest.approx(expected, abs=1e-12)
    expected = -sum(math.log(sigmoid(fake - real)) for real, fake in pairs) / 2
    assert loss.generator(FAKE, REAL).item() == pytest.approx(expected, abs=1e-12)
    shifted = Relativistic().discriminator(REAL + 7, FAKE + 7)
    torch.testing.assert_close(shifted, loss.discriminator(REAL, FAKE))


def test_a_trained_discriminator_recovers_the_density_ratio() -> None:
    """Goodfellow et al. 2014, proposition 1: the optimum is p / (p + q), here of two normal densities.

    Within 0.05 wherever either density is at least a twentieth of its peak.
    """
    torch.manual_seed(0)
    p, q = torch.distributions.Normal(-0.5, 1.0), torch.distributions.Normal(1.0, 0.6)
    network = torch.nn.Sequential(
        torch.nn.Linear(1, 32), torch.nn.Tanh(), torch.nn.Linear(32, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1)
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    steps = 400
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 1e-2 * (1 - step / steps)
        real, fake = p.sample((512, 1)), q.sample((512, 1))
        loss = NonSaturating().discriminator(network(real), network(fake))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x = torch.linspace(-3, 3, 601)
    x = x[(p.log_prob(x).exp() > 0.05 * p.log_prob(p.mean).exp()) | (q.log_prob(x).exp() > 0.05 * 0.665)]
    optimum = torch.sigmoid(p.log_prob(x) - q.log_prob(x))
    found = torch.sigmoid(network(x[:, None])).squeeze(1).detach()
    assert (found - optimum).abs().max() < 0.05
