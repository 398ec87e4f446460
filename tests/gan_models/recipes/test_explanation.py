"""What is told of a recipe's settings: all of them, each with a meaning, and only values that are really allowed."""

from collections.abc import Iterator
from typing import Any

import pytest

from gan_models.augmentations import AUGMENTATIONS
from gan_models.families import FAMILIES
from gan_models.games import GAMES
from gan_models.losses import LOSSES
from gan_models.recipes import load_recipe, recipe_names
from gan_models.recipes.schema import Recipe
from gan_models.recipes.settings import Setting, explain
from gan_models.regularizers import REGULARIZERS

SECTIONS = Recipe.model_json_schema()["$defs"]
"""Every section that a recipe can have, those of all families and games included."""


def settings(name: str, *overrides: str) -> dict[str, Setting]:
    return {setting.key: setting for setting in explain(load_recipe(name, overrides))}


def test_the_schema_has_every_section_that_is_registered() -> None:
    players = [spec for family in FAMILIES.values() for spec in family.players.values()]
    forms = [*players, *GAMES.values(), *LOSSES.values(), *REGULARIZERS.values()]
    assert {form.__name__ for form in forms} <= set(SECTIONS)


@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_and_every_field_of_the_schema_says_what_it_means(name: str) -> None:
    section = SECTIONS[name]
    assert section.get("description"), f"{name} has no docstring"

    def meaning(field: dict[str, Any]) -> str:
        target = SECTIONS.get(field.get("$ref", "").rpartition("/")[2], {})
        return field.get("description") or target.get("description", "")

    unexplained = [
        key
        for key, field in section["properties"].items()
        if not {"const", "oneOf"} & set(field) and not meaning(field)
    ]
    assert not unexplained, f"{name}: fields without a description"


@pytest.mark.parametrize("name", recipe_names())
def test_every_leaf_of_every_recipe_is_explained(name: str) -> None:
    explained = settings(name)

    def leaves(value: object, key: str = "") -> Iterator[str]:
        is_schedule = key in explained and not explained[key].is_section
        if isinstance(value, dict) and value and not is_schedule:
            for part, inner in value.items():
                yield from leaves(inner, f"{key}.{part}" if key else part)
        else:
            yield key

    assert set(leaves(load_recipe(name).model_dump(mode="json"))) <= set(explained)
    assert all(setting.meaning for setting in explained.values())


def test_values_defaults_and_bounds() -> None:
    found = settings("dcgan", "training.steps=7")
    assert found["training.steps"][1:] == (7, "generator steps", "a whole number above 0", ..., False)
    assert found["training.batch_size"].allowed == (
        "a whole number at least 1, or a schedule as {by_resolution: {size: value}}"
    )
    assert (found["training.batch_size"].value, found["training.batch_size"].default) == (32, 64)
    others = "cosine, exponential, by_resolution, by_share"
    schedule = f"a schedule as {{linear: [first, last], since: 0, until: 1}} (or {others})"
    halved = schedule.replace("by_share)", "by_share, half_life)")
    assert found["training.ema"].allowed == f"a number at least 0 and below 1, or {halved}"
    assert found["data.max_images"].allowed == "a whole number above 0, or null"
    assert found["data.fit"].allowed == "crop | pad"
    assert found["optimizers.generator.betas"].allowed == (
        f"a list of 2; each a number at least 0 and at most 1, or {schedule}"
    )
    assert found["networks.generator"].is_section


def test_a_family_is_one_of_those_that_can_stand_in_its_place() -> None:
    families = settings("dcgan")["networks.generator.family"].allowed.split(" | ")
    assert {"mlp", "dcgan"} <= set(families)
    for family in families:
        assert family in str(Recipe.model_json_schema()["$defs"])


def test_items_of_a_list_are_explained_one_by_one() -> None:
    found = settings("dcgan", "regularizers=[{name: drift, weight: 0.5}]")
    assert found["regularizers.0.weight"].value == 0.5
    assert "feature-matching" in found["regularizers.0.name"].allowed.split(" | ")


def test_names_are_those_of_the_registries() -> None:
    found = settings("dcgan", "regularizers=[{name: drift}]")
    for key, registry in (("game.loss.name", LOSSES), ("game.kind", GAMES), ("regularizers.0.name", REGULARIZERS)):
        assert set(found[key].allowed.split(" | ")) == set(registry)
    assert found["game.augmentations"].allowed == f"a list of {' | '.join(AUGMENTATIONS)}"


def test_a_narrowed_field_keeps_its_base_meaning() -> None:
    assert "penalties" in settings("dcgan")["networks.discriminator.norm"].meaning
