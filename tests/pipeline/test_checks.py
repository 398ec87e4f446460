"""Recipes are refused before anything is prepared for them, at no cost for those that are known to be fine."""

from __future__ import annotations

import pytest

from gan_models.errors import RequestError
from gan_models.recipes import load_recipe, recipe_names
from pipeline.checks import check_buildable, is_proven


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("size", [8, 16, 32, 64, 128])
def test_what_counts_as_proven_can_be_built(name: str, size: int) -> None:
    recipe = load_recipe(name, [f"data.size={size}", "training.steps=3", "networks.latent=8"])
    if is_proven(recipe):
        check_buildable(recipe)
    else:
        assert name not in ("vanilla", "dcgan", "cgan-projection")


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_as_it_stands_is_proven_and_can_be_built(name: str) -> None:
    assert is_proven(load_recipe(name))
    check_buildable(load_recipe(name))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data.size=9"], "nearest sizes"),
        (["game.loss=hinged"], "unknown game.loss"),
        (["regularizers=[{name: r3}]"], "unknown regularizer"),
        (["regularizers=[{name: r1}]"], "batch norm"),
    ],
)
def test_what_cannot_be_built_is_not_proven(overrides: list[str], words: str) -> None:
    recipe = load_recipe("dcgan", overrides)
    assert not is_proven(recipe)
    with pytest.raises(RequestError, match=words):
        check_buildable(recipe)


def test_a_recipe_of_ones_own_is_not_proven() -> None:
    assert not is_proven(load_recipe("dcgan", ["name=mine"]))
