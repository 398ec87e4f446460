"""`training.compile`: the same training, its networks run as compiled programs."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import Tensor

from gan_models.averaging import ExponentialMovingAverage
from gan_models.data.shape import DataShape
from gan_models.data.table import Split
from gan_models.games.base import Batch, Game, build_game
from gan_models.recipes import load_recipe

SETTINGS = [
    *("data.size=8", "training.batch_size=4", "training.precision=fp32", "networks.latent=8", "training.threads=1"),
    *(f"networks.{player}.widths=[8]" for player in ("generator", "discriminator")),
]


def played(*settings: str) -> Game:
    torch.manual_seed(0)
    game = build_game(load_recipe("vanilla", [*SETTINGS, *settings]), DataShape((1, 8, 8)), torch.device("cpu"))
    images = torch.rand(4, 1, 8, 8) * 2 - 1
    for _ in range(2):
        game.step(lambda: Batch(images), report=False)
    return game


def weights(game: Game) -> dict[str, Tensor]:
    return {**game.generator.state_dict(), **game.discriminator.state_dict()}


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_training_does_the_same_and_is_averaged_and_saved_alike() -> None:
    compiled, plain = played("training.compile=true"), played()
    assert list(compiled.state_dict()["generator"]) == list(plain.state_dict()["generator"])
    for name, tensor in weights(compiled).items():
        torch.testing.assert_close(tensor, weights(plain)[name], rtol=1e-3, atol=1e-3)
    latents = torch.randn(2, 8)
    snapshot = ExponentialMovingAverage(compiled.generator).snapshot(compiled.generator, {"latents": torch.randn(8, 8)})
    assert snapshot(latents=latents).shape == (2, 1, 8, 8)


def test_a_player_whose_gradient_is_differentiated_stays_as_it_is() -> None:
    penalised = ["training.compile=true", "regularizers=[{name: r1, weight: 1}]"]
    game = build_game(load_recipe("vanilla", [*SETTINGS, *penalised]), DataShape((1, 8, 8)), torch.device("cpu"))
    assert game.generator._compiled_call_impl is not None
    assert game.discriminator._compiled_call_impl is None


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_weight_norm_is_started_before_anything_is_compiled() -> None:
    narrow = ["networks.discriminator.widths=[6]", "networks.generator.widths=[6]", "game.labels_per_class=1"]
    own = ["data.size=8", "training.batch_size=4", "training.precision=fp32", "training.threads=1"]
    split = Split(torch.randint(0, 256, (16, 8, 8, 1), dtype=torch.uint8), torch.arange(16) % 2, [""] * 16)
    games = []
    for compiles in ("true", "false"):
        torch.manual_seed(0)
        recipe = load_recipe("sgan/mnist", [*narrow, *own, f"training.compile={compiles}"])
        games.append(build_game(recipe, DataShape((1, 8, 8), 2), torch.device("cpu")))
        games[-1].prepare(split, 0)
    compiled, plain = games
    started = plain.discriminator.state_dict()
    assert all(torch.equal(value, started[name]) for name, value in compiled.discriminator.state_dict().items())
    images = torch.rand(4, 1, 8, 8) * 2 - 1
    with torch.no_grad():
        said = [game.discriminator.eval()(images).class_logits for game in games]
    torch.testing.assert_close(*said)
    after = compiled.discriminator.state_dict()
    assert all(torch.equal(value, started[name]) for name, value in after.items()), "a hook is in the program"
