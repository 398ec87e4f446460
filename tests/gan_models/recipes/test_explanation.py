"""What is told of a recipe's settings: all of them, each with a meaning, and only values that are really allowed."""

from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from gan_models import augmentations, losses, regularizers
from gan_models.recipes import load_recipe, recipe_names
from gan_models.recipes.explanation import Setting, explain, meaning, registry, sections_of
from gan_models.recipes.schema import Recipe


def sections(model: type[BaseModel] = Recipe) -> Iterator[type[BaseModel]]:
    """Every section that a recipe can have, those of all families and kinds included."""
    yield model
    for field in model.model_fields.values():
        for section in sections_of(field.annotation):
            yield from sections(section)


def settings(name: str, *overrides: str) -> dict[str, Setting]:
    return {setting.key: setting for setting in explain(load_recipe(name, overrides))}


@pytest.mark.parametrize("section", sorted(set(sections()), key=lambda s: s.__name__), ids=lambda s: s.__name__)
def test_every_section_and_every_field_of_the_schema_says_what_it_means(section: type[BaseModel]) -> None:
    assert section.__doc__, f"{section.__name__} has no docstring"
    unexplained = [name for name in section.model_fields if not meaning(section, name)]
    assert not unexplained, f"{section.__name__}: fields without a description"


@pytest.mark.parametrize("name", recipe_names())
def test_every_leaf_of_every_recipe_is_explained(name: str) -> None:
    def leaves(value: object, key: str = "") -> Iterator[str]:
        if isinstance(value, dict) and value:
            for part, inner in value.items():
                yield from leaves(inner, f"{key}.{part}" if key else part)
        else:
            yield key

    explained = settings(name)
    assert set(leaves(load_recipe(name).model_dump(mode="json"))) <= set(explained)
    assert all(setting.meaning for setting in explained.values())


def test_values_defaults_and_bounds() -> None:
    found = settings("dcgan", "training.steps=7")
    assert found["training.steps"][1:] == (7, "generator steps", "a whole number above 0", ..., False)
    assert found["training.batch_size"].allowed == "a whole number at least 2"
    assert (found["training.batch_size"].value, found["training.batch_size"].default) == (32, 64)
    assert found["training.ema"].allowed == "a number at least 0 and below 1"
    assert found["data.max_images"].allowed == "a whole number above 0, or null"
    assert found["data.fit"].allowed == "crop | pad"
    assert found["optimizers.generator.betas"].allowed == "a list of 2; each a number at least 0 and at most 1"
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


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("losses.LOSSES", losses.LOSSES),
        ("regularizers.REGULARIZERS", regularizers.REGULARIZERS),
        ("augmentations.AUGMENTATIONS", augmentations.AUGMENTATIONS),
    ],
)
def test_names_read_from_the_source_are_those_of_the_dictionaries(place: str, names: dict[str, object]) -> None:
    assert registry(place) == list(names)


def test_a_narrowed_field_keeps_its_base_meaning() -> None:
    assert "penalties" in settings("dcgan")["networks.discriminator.norm"].meaning
