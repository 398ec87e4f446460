"""A run that leaves what its preset was made for is told so, with the preset that fits."""

from __future__ import annotations

import pytest

from gan_models.data.shape import Size
from gan_models.recipes import load_recipe, recipe_names
from gan_models.recipes.fitting import Kind, doubt_of_fit


@pytest.mark.parametrize("name", recipe_names())
def test_nothing_is_said_of_a_recipe_as_it_is(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.made_for is not None
    assert doubt_of_fit(recipe, recipe.made_for.channels, recipe.made_for.classes) == ""


def test_biggan_at_128_is_told_of_the_published_one() -> None:
    sentence = doubt_of_fit(load_recipe("biggan", ["data.size=128"]))
    assert sentence == (
        "recipe biggan is made for 32x32 grey of 10 classes, and this is 128x128: "
        "biggan/imagenet-128 (ImageNet, 128x128 RGB of 1000 classes) is nearer"
    )


def test_a_published_preset_on_other_data_claims_no_figure() -> None:
    sentence = doubt_of_fit(load_recipe("sngan/cifar10", ["data.size=16"]), channels=3)
    assert sentence.startswith("recipe sngan/cifar10 is made for 32x32 RGB, and this is 16x16 RGB: no preset of sngan")
    assert doubt_of_fit(load_recipe("sngan/cifar10"), channels=1).startswith(
        "recipe sngan/cifar10 is made for 32x32 RGB"
    )


def test_a_small_one_may_be_tried_on_anything_that_none_fits_better() -> None:
    assert doubt_of_fit(load_recipe("vanilla", ["data.size=16"])) == ""
    assert "sngan/cifar10" in doubt_of_fit(load_recipe("sngan"), channels=3)


def test_nothing_is_said_of_peoples_own() -> None:
    assert doubt_of_fit(load_recipe("biggan", ["name=mine", "data.size=128"])) == ""


def test_distance() -> None:
    assert Kind(Size.square(32), 3, 10).far_from(Kind(Size.square(32), 3, 10)) == 0
    assert Kind(Size.square(64), 3, 10).far_from(Kind(Size.square(32), None, 0)) == 1
    assert Kind(Size.square(32), 3, 10).far_from(Kind(Size.square(32), 1, 1000)) == 3
