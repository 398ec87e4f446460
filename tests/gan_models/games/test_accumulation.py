"""A batch that is worked on in parts, one after the other, before the players move (`training.accumulate`)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.games.base import Batch, build_game
from gan_models.recipes import load_recipe

SETTINGS = [
    *("data.size=8", "training.batch_size=16", "training.precision=fp32", "networks.latent=16"),
    *(
        f"networks.{player}.{setting}"
        for player in ("generator", "discriminator")
        for setting in ("width=4", "norm=none")
    ),
]


def gradients(parts: int, *settings: str) -> dict[str, Tensor]:
    """D's, that its first move is made with."""
    torch.manual_seed(0)
    recipe = load_recipe("dcgan", [*SETTINGS, *settings, f"training.accumulate={parts}"])
    game = build_game(recipe, DataShape((1, 8, 8)), torch.device("cpu"))
    images = torch.rand(16, 1, 8, 8) * 2 - 1
    game.step(lambda: Batch(images), report=True)
    assert game.steps == 1
    return {name: each.grad.clone() for name, each in game.discriminator.named_parameters() if each.grad is not None}


@pytest.mark.parametrize("settings", [(), ("regularizers=[{name: r1, weight: 10}]",)])
def test_parts_of_a_batch_have_the_gradient_of_the_whole(settings: tuple[str, ...]) -> None:
    whole = gradients(1, *settings)
    assert whole
    for parts in (2, 4):
        for name, gradient in gradients(parts, *settings).items():
            torch.testing.assert_close(gradient, whole[name], rtol=1e-4, atol=1e-6)


def test_one_part_at_a_time_is_in_memory() -> None:
    recipe = load_recipe("dcgan", [*SETTINGS, "training.accumulate=4", "game.generator_steps=2"])
    game = build_game(recipe, DataShape((1, 8, 8)), torch.device("cpu"))
    seen: list[int] = []
    game.generator.register_forward_hook(lambda _, __, images: seen.append(len(images)))
    game.step(lambda: Batch(torch.zeros(16, 1, 8, 8)), report=False)
    assert seen == [4] * (4 + 2 * 4)  # for D's move, and for each of G's


def test_a_batch_that_does_not_divide_is_refused_and_so_is_a_game_of_whole_batches() -> None:
    with pytest.raises(
        RequestError, match=r"training.batch_size=16 does not divide into training.accumulate=3 .* use 15"
    ):
        load_recipe("dcgan", [*SETTINGS, "training.accumulate=3"])
    with pytest.raises(RequestError, match=r"game\.kind=cycle works on whole batches: set it to 1"):
        load_recipe("cyclegan", ["training.accumulate=2"])
