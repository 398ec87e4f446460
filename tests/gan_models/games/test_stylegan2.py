"""StyleGAN2's training: path lengths in closed form, penalties in steps of their own, mixing, adaptive augmentation."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.families.interfaces import DiscriminatorOutput
from gan_models.games.adapting import Adaptation
from gan_models.games.base import Batch, build_game
from gan_models.games.stylegan2.game import StyleGan2Game
from gan_models.recipes import load_recipe
from gan_models.regularizers import PathLength, Round
from gan_models.schedules import Adaptive

NARROW = [
    *(f"networks.{player}.channel_max=8" for player in ("generator", "discriminator")),
    "networks.generator.style=12",
    "networks.latent=10",
    "data.size=8",
    "training.batch_size=8",
    "training.precision=fp32",
]
CPU = torch.device("cpu")
SILENCE = DiscriminatorOutput(torch.empty(0), torch.empty(0))


def game(*overrides: str) -> StyleGan2Game:
    torch.manual_seed(0)
    made = build_game(load_recipe("stylegan2-ada", [*NARROW, *overrides]), DataShape((1, 8, 8), 10), CPU)
    assert isinstance(made, StyleGan2Game)
    return made


def draw() -> Batch:
    return Batch(torch.rand(8, 1, 8, 8) * 2 - 1, torch.arange(8))


def drawn_linearly(matrix: Tensor, count: int = 400) -> Round:
    """Images [B, 1, 4, 4] that are a matrix [16, W] of two styles' sum."""
    styles = torch.randn(count, 2, matrix.shape[1], requires_grad=True)
    images = (styles.sum(1) @ matrix.T).view(count, 1, 4, 4)
    return Round("generator", None, None, images, images, None, None, SILENCE, styles=styles)


def test_the_path_length_of_a_linear_generator_is_that_of_its_matrix() -> None:
    """J^T y = M^T y: with orthogonal columns of length s in 16 pixels, E |J^T y|^2 / 16 = W s^2 / 16 a layer."""
    torch.manual_seed(0)
    matrix = 3.0 * torch.linalg.qr(torch.randn(16, 5))[0]
    term = PathLength(decay=1.0)  # the mean is that of this batch
    value = term.value(drawn_linearly(matrix, 4000)).item()
    # Lengths are 3 / 4 |y| of five dimensions: a chi distribution, of which mean and variance are known.
    mean = math.sqrt(2) * math.gamma(3.0) / math.gamma(2.5)
    assert term.state_dict()["mean"].item() == pytest.approx(0.75 * mean, rel=0.02)
    assert value == pytest.approx(0.75**2 * (5 - mean**2), rel=0.1)


def test_the_mean_length_moves_by_a_hundredth_and_is_remembered() -> None:
    torch.manual_seed(0)
    term, matrix = PathLength(), torch.randn(16, 5)
    first = term.value(drawn_linearly(matrix))
    mean = term.state_dict()["mean"].item()
    assert first.item() > 0
    assert not term.state_dict()["mean"].requires_grad
    for _ in range(400):
        term.value(drawn_linearly(matrix, 50))
    assert term.state_dict()["mean"].item() == pytest.approx(mean * 100, rel=0.1)
    other = PathLength()
    other.load_state_dict(term.state_dict())
    assert other.state_dict() == term.state_dict()


def moves(played: StyleGan2Game, steps: int) -> list[list[str]]:
    """Of each step: who moved, with the penalty where that was all."""
    found: list[list[str]] = []
    original = played.move

    def move(loss: Tensor, round_: Round, *, report: bool) -> dict[str, Tensor]:
        figures = original(loss, round_, report=report)
        found[-1].append(f"{round_.player} {' '.join(figures)}".strip())
        return figures

    played.move = move  # type: ignore[method-assign]
    for _ in range(steps):
        found.append([])
        played.step(draw, report=False)
    return found


def test_penalties_have_steps_of_their_own_at_their_intervals() -> None:
    found = moves(game("regularizers=[{name: r1, weight: 1, every: 4}, {name: path-length, every: 2}]"), 4)
    assert found == [
        ["generator", "generator G/path-length", "discriminator", "discriminator D/r1"],
        ["generator", "discriminator"],
        ["generator", "generator G/path-length", "discriminator"],
        ["generator", "discriminator"],
    ]
    assert moves(game("regularizers=[{name: r1, weight: 1}]"), 1) == [["generator", "discriminator D/r1"]]


def test_adam_is_corrected_for_the_steps_that_penalties_add() -> None:
    played = game(
        "optimizers.generator={lr: 0.001, betas: [0.5, 0.9]}", "optimizers.discriminator={lr: 0.002, betas: [0, 0.99]}"
    )
    for _ in range(2):  # it does not add up
        played.begin_step()
    (generator,), (discriminator,) = (played.optimizers[each].param_groups for each in ("generator", "discriminator"))
    assert generator["lr"] == pytest.approx(0.001 * 4 / 5)
    assert generator["betas"] == pytest.approx((0.5 ** (4 / 5), 0.9 ** (4 / 5)))
    assert discriminator["lr"] == pytest.approx(0.002 * 16 / 17)
    assert discriminator["betas"] == pytest.approx((0.0, 0.99 ** (16 / 17)))
    plain = game("regularizers=[{name: r1, weight: 1}]")
    plain.begin_step()
    assert plain.optimizers["discriminator"].param_groups[0]["lr"] == pytest.approx(2.5e-3)


def test_r1_is_taken_at_the_images_before_they_are_augmented() -> None:
    """With all images turned black, D's slope there is zero; at what D sees it is not."""
    played = game()
    played.augmented = lambda images: 0.0 * images  # type: ignore[method-assign]
    judged = played._real(draw())
    (gradient,) = torch.autograd.grad(judged.real_logits.sum(), judged.real, create_graph=True)
    assert not gradient.any()
    played.augmented = lambda images: 2.0 * images  # type: ignore[method-assign]
    judged = played._real(draw())
    (twice,) = torch.autograd.grad(judged.real_logits.sum(), judged.real)
    seen = (2.0 * judged.real).detach().requires_grad_()
    (once,) = torch.autograd.grad(played.discriminator(seen).logits.sum(), seen)
    torch.testing.assert_close(twice, 2.0 * once)


def test_the_path_is_taken_on_half_a_batch_unless_the_recipe_says_otherwise() -> None:
    for shrink, count in ((2, 4), (1, 8)):
        played = game(f"regularizers=[{{name: path-length, shrink: {shrink}}}]")
        assert len(played._styled(draw(), played.terms).fake) == count


def test_mixed_styles_change_from_one_layer_on_for_all_images() -> None:
    played = game("game.mixing=1")
    latents = torch.randn(4, 10)
    played.generator.eval()
    alone = played.generator.styles(latents)
    changes = set()
    for _ in range(40):
        same = (played.styles(latents, None) == alone).all(2)
        assert (same == same[:1]).all()
        kept = int(same[0].sum())
        assert same[0].tolist() == [True] * kept + [False] * (len(same[0]) - kept)
        changes.add(kept)
    assert changes == {*range(1, played.generator.layers)}
    played = game("game.mixing=0")
    played.generator.eval()
    assert torch.equal(played.styles(latents, None), played.generator.styles(latents))


@pytest.mark.parametrize(("sign", "expected"), [(1.0, 0.08), (-1.0, 0.0)])
def test_augmentation_rises_where_d_overfits_and_falls_where_not(sign: float, expected: float) -> None:
    adaptation = Adaptation(Adaptive(adaptive=0.6, full=1000, every=4), CPU)
    for _ in range(2):
        adaptation.look(sign * torch.rand(40))
        figures = adaptation.follow(40)
    assert adaptation.probability.item() == pytest.approx(expected)
    assert figures["D/sign_real"].item() == sign
    again = Adaptation(adaptation.spec, CPU)
    again.load_state_dict(adaptation.state_dict())
    assert torch.equal(again.probability, adaptation.probability)


def test_a_mean_sign_below_the_target_is_no_overfitting() -> None:
    adaptation = Adaptation(Adaptive(adaptive=0.6, full=1000), CPU)
    adaptation.look(torch.tensor([1.0, 1.0, 1.0, -1.0]))  # 0.5
    adaptation.follow(100)
    assert not adaptation.probability
    adaptation.look(torch.tensor([1.0, 1.0, 1.0, 1.0, -1.0]))  # 0.6, no more than the target
    adaptation.follow(100)
    assert not adaptation.probability


def test_the_probability_is_followed_every_fourth_step_and_is_in_the_checkpoint() -> None:
    played = game("game.augmentation_probability={adaptive: 0.0, full: 320}")
    played.discriminator.head.linear.bias.data.fill_(100.0)  # D takes everything for real
    reported: list[dict[str, Any]] = [played.step(draw, report=False) for _ in range(8)]
    assert ["D/augmentation" in figures for figures in reported] == [False, False, False, True] * 2
    assert played.moment.adapted.item() == pytest.approx(2 * 4 * 8 / 320)
    other = game("game.augmentation_probability={adaptive: 0.0, full: 320}")
    other.load_state_dict(played.state_dict())
    assert other.moment.adapted.item() == played.moment.adapted.item()
    assert "augmentation" not in game("game.augmentation_probability=0.5").state_dict()


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["regularizers=[{name: drift, every: 4}]"], "takes r1 and path-length in steps of their own, and no others"),
        (["regularizers=[{name: path-length, every: 1}]"], "greater than or equal to 2"),
        (["conditioning={generator: one-hot, discriminator: projection}"], "set conditioning.generator=embedding"),
        (["game.kind=adversarial"], "trained by game.kind=stylegan2, not adversarial"),
        (["networks.discriminator={family: dcgan}"], "trains the family stylegan2 only"),
        (["training.ema={half_life: -1}"], "greater than or equal to 0"),
        (["game.augmentation_probability={adaptive: 2}"], "less than or equal to 1"),
    ],
)
def test_what_does_not_go_together_is_refused(overrides: list[str], sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        load_recipe("stylegan2-ada", [each for each in overrides if each])


def test_a_path_length_needs_a_game_with_styles() -> None:
    with pytest.raises(RequestError, match=r"set game\.kind=stylegan2, or drop the regularizer"):
        load_recipe("dcgan", ["regularizers=[{name: path-length}]"])


def test_parts_of_a_batch_add_up_to_its_moves() -> None:
    found = moves(game("training.accumulate=2", "regularizers=[{name: r1, weight: 1, every: 2}]"), 2)
    assert [step.count("generator") for step in found] == [2, 2]
    assert [step.count("discriminator D/r1") for step in found] == [2, 0]


def test_what_is_compiled_are_the_losses_not_the_penalties() -> None:
    played = game("training.compile=true")
    assert played.compiled_draw is not None
    assert played.discriminator._compiled_call_impl is not None
    assert played._real(draw()).real_logits.shape == (8,)  # at once: it is not compiled
    every_step = game("training.compile=true", "regularizers=[{name: r1, weight: 1}]")
    assert every_step.discriminator._compiled_call_impl is None
    assert game().compiled_draw is None
