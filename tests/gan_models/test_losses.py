"""The games against their closed forms."""

import math

import pytest
import torch

from gan_models.losses import LOSSES, Loss, cross_entropy_discriminator
from gan_models.recipes.game_specs import Adversarial


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def loss_of(name: str, **rules: object) -> Loss:
    return LOSSES[name](Adversarial(loss=name, **rules))


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
    loss = cross_entropy_discriminator
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
