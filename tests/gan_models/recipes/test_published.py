"""Presets that bear a paper's name have the paper's networks: built for the data they are made for, and counted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gan_models.games.counting import parameters_of
from gan_models.recipes import load_recipe, preset_names, recipe_names

PUBLISHED = sorted({*preset_names()} - {*recipe_names()})


def said() -> Iterator[tuple[str, str, int | str]]:
    """Each number that somebody published: preset, player, number."""
    for name in PUBLISHED:
        made_for = load_recipe(name).made_for
        if made_for is not None and made_for.parameters is not None:
            yield name, "generator", made_for.parameters.generator
            yield name, "discriminator", made_for.parameters.discriminator


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_says_what_it_was_made_for_and_bears_its_own_name(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.made_for is not None
    assert load_recipe(f"{name}/small") == recipe if name in recipe_names() else "/" in name


@pytest.mark.parametrize(("name", "player", "published"), list(said()))
def test_its_networks_are_as_large_as_published(name: str, player: str, published: int | str) -> None:
    counted = sum(parameters_of(load_recipe(name))[player].values())
    if isinstance(published, int):
        assert counted == published
    else:
        number, unit = published.split()
        decimals = len(number.partition(".")[2])
        assert f"{counted / {'M': 1e6, 'K': 1e3}[unit]:.{decimals}f}" == number
