"""What one iteration of the two-player game does to the players."""

import pytest
import torch

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.games import Batch, Game, build_game
from gan_models.recipes import load_recipe, recipe_names

SMALL = ["networks.generator.width=4", "networks.discriminator.width=4", "training.precision=fp32"]


def game(name: str, *overrides: str) -> Game:
    torch.manual_seed(0)
    small = SMALL if name != "vanilla" else ["training.precision=fp32"]
    return build_game(load_recipe(name, [*small, *overrides]), DataShape((1, 8, 8), 3), torch.device("cpu"))


def batch(name: str) -> Batch:
    labels = torch.randint(0, 3, (16,)) if load_recipe(name).conditional else None
    return Batch(torch.rand(16, 1, 8, 8) * 2 - 1, labels)


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("loss", ["minimax", "non-saturating"])
def test_a_step_changes_both_players_and_stays_finite(name: str, loss: str) -> None:
    played = game(name, f"game.loss={loss}")
    before = {key: value.clone() for key, value in played.state_dict()["generator"].items()}
    critic = {key: value.clone() for key, value in played.state_dict()["discriminator"].items()}
    metrics = played.step(lambda: batch(name), report=True)
    assert all(torch.isfinite(value) for value in metrics.values())
    assert {"D/loss", "G/loss", "D/accuracy_real", "D/accuracy_fake", "D/gradient_norm", "G/gradient_norm"} <= set(
        metrics
    )
    state = played.state_dict()
    assert any(not torch.equal(before[key], state["generator"][key]) for key in before)
    assert any(not torch.equal(critic[key], state["discriminator"][key]) for key in critic)


def test_the_discriminator_gets_no_gradient_from_the_generators_move() -> None:
    played = game("dcgan")
    seen = []
    optimizer_step = played.generator_optimizer.step
    played.generator_optimizer.step = lambda: (
        seen.append([p.grad for p in played.discriminator.parameters()]),
        optimizer_step(),
    )
    kept = []
    critic_step = played.discriminator_optimizer.step
    played.discriminator_optimizer.step = lambda: (
        critic_step(),
        kept.extend(p.grad.clone() for p in played.discriminator.parameters()),
    )
    played.step(lambda: batch("dcgan"), report=False)
    for at_move, own in zip(seen[0], kept, strict=True):
        torch.testing.assert_close(at_move, own, rtol=0, atol=0)
    assert all(parameter.requires_grad for parameter in played.discriminator.parameters())


@pytest.mark.parametrize("moves", [1, 3])
def test_one_batch_of_images_is_synthesised_for_each_discriminator_step(moves: int) -> None:
    played = game("dcgan", f"game.discriminator_steps={moves}")
    calls = []
    played.generator.register_forward_hook(lambda *_: calls.append(1))
    drawn = []
    played.step(lambda: (drawn.append(1), batch("dcgan"))[1], report=False)
    assert len(calls) == len(drawn) == moves


def test_further_generator_steps_draw_fresh_latents_for_the_same_classes() -> None:
    played = game("cgan-projection", "game.generator_steps=3")
    asked, moves = [], []
    played.generator.register_forward_pre_hook(lambda _, __, inputs: asked.append(inputs), with_kwargs=True)
    for name in ("generator", "discriminator"):
        optimizer = getattr(played, f"{name}_optimizer")
        optimizer.register_step_post_hook(lambda *_, name=name: moves.append(name))
    drawn = []
    played.step(lambda: drawn.append(batch("cgan-projection")) or drawn[-1], report=True)
    assert moves == ["discriminator", "generator", "generator", "generator"]
    assert len(drawn) == 1
    assert len(asked) == 3
    assert all(torch.equal(inputs["labels"], drawn[0].labels) for inputs in asked)
    assert not any(torch.equal(asked[0]["latents"], inputs["latents"]) for inputs in asked[1:])


@pytest.mark.parametrize("more", ["game.discriminator_steps=2", "game.critic_warm_up={}"])
def test_more_steps_for_both_players_are_refused(more: str) -> None:
    with pytest.raises(RequestError, match=r"game.generator_steps=2 and more than one discriminator step"):
        game("dcgan", "game.generator_steps=2", more)


def test_regularizers_enter_the_losses_only_when_due() -> None:
    overrides = ["networks.discriminator.norm=none", "regularizers=[{name: r1, every: 2}, {name: feature-matching}]"]
    played = game("dcgan", *overrides)
    first, second = (played.step(lambda: batch("dcgan"), report=False) for _ in range(2))
    assert "D/r1" in first
    assert "D/r1" not in second
    assert "G/feature-matching" in first
    assert "G/feature-matching" in second


@pytest.mark.parametrize("name", recipe_names())
def test_bf16_and_fp32_take_nearly_the_same_first_step(name: str) -> None:
    losses = []
    for precision in ("bf16", "fp32"):
        played = game(name, f"training.precision={precision}")
        torch.manual_seed(1)
        losses.append(played.step(lambda: batch(name), report=False)["D/loss"].item())
    assert losses[0] == pytest.approx(losses[1], rel=2e-2)
