"""Presets that bear a paper's name have the paper's networks: built for the data they are made for, and counted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

import gan_models.recipes
from gan_models.games.counting import parameters_of
from gan_models.recipes import counted_parameters, load_recipe, preset_names, recipe_names, recipe_text

TABLE = Path(gan_models.recipes.__file__).parent / "parameters.yaml"
PUBLISHED = sorted({*preset_names()} - {*recipe_names()})


@cache
def sizes(name: str) -> dict[str, int]:
    """Parameters of both players of a preset, counted."""
    return {player: sum(networks.values()) for player, networks in parameters_of(load_recipe(name)).items()}


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


@pytest.mark.parametrize("name", preset_names())
def test_how_many_images_it_is_judged_by_is_its_own(name: str) -> None:
    """A Frechet distance depends on their number, which is part of its protocol."""
    document = yaml.safe_load(recipe_text(name))
    assert document["selection"]["samples"]
    assert document["evaluation"]["samples"]


def test_the_table_of_sizes_is_what_the_networks_have() -> None:
    """`GAN_PIPELINE_UPDATE_GOLDEN=1` writes it anew."""
    counted = {name: sizes(name) for name in preset_names()}
    if os.environ.get("GAN_PIPELINE_UPDATE_GOLDEN"):
        TABLE.write_text(yaml.safe_dump(counted, sort_keys=True))
        counted_parameters.cache_clear()
    assert counted_parameters() == counted


@pytest.mark.parametrize(("name", "player", "published"), list(said()))
def test_its_networks_are_as_large_as_published(name: str, player: str, published: int | str) -> None:
    counted = sizes(name)[player]
    if isinstance(published, int):
        assert counted == published
    else:
        number, unit = published.split()
        decimals = len(number.partition(".")[2])
        assert f"{counted / {'M': 1e6, 'K': 1e3}[unit]:.{decimals}f}" == number
