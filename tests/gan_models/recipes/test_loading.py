"""Recipes as users write and override them, and the sentences that mistakes get."""

import re
from pathlib import Path

import pytest

from gan_models.errors import RequestError
from gan_models.recipes import load_recipe, recipe_digest, recipe_names, recipe_text


def test_every_built_in_recipe_is_valid_and_named_after_its_file() -> None:
    assert {"vanilla", "dcgan", "cgan-projection"} <= set(recipe_names())
    for name in recipe_names():
        recipe = load_recipe(name)
        assert recipe.name == name
        assert recipe.description


def test_overrides_reach_any_leaf() -> None:
    overrides = [
        "training.steps=7",
        "optimizers.generator.lr=1e-3",
        "networks.generator.widths=[8, 9]",
        "data.source=digits",
    ]
    recipe = load_recipe("vanilla", overrides)
    assert recipe.training.steps == 7
    assert recipe.optimizers.generator.lr == 1e-3
    assert recipe.networks.generator.model_dump()["widths"] == (8, 9)
    assert recipe.data.source == "digits"


def test_a_section_that_the_yaml_leaves_out_can_be_overridden() -> None:
    assert load_recipe("dcgan", ["evaluation.samples=100"]).evaluation.samples == 100


def test_a_users_own_file_works_like_a_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(recipe_text("dcgan").replace("name: dcgan", "name: mine"))
    assert load_recipe(str(path)).name == "mine"


@pytest.mark.parametrize(
    ("recipe", "overrides", "sentence"),
    [
        ("dcgam", [], "unknown recipe 'dcgam': did you mean 'dcgan'?"),
        ("dcgan", ["training.stpes=3"], "unknown key 'training.stpes': did you mean 'steps'?"),
        ("dcgan", ["networks.generator.widht=3"], "unknown key 'networks.generator.widht': did you mean 'width'?"),
        ("dcgan", ["trainin.steps=3"], "unknown key 'trainin': did you mean 'training'?"),
        ("dcgan", ["training.steps=0"], "training.steps: input should be greater than 0 (got 0)"),
        ("dcgan", ["training.steps=many"], "training.steps: input should be a valid integer"),
        ("dcgan", ["training.steps"], "--set training.steps: expected section.key=value"),
        ("dcgan", ["training.steps.x=1"], "training.steps is a single value"),
        ("dcgan", ["data.validation=0.6", "data.test=0.4"], "nothing is left to train on"),
        ("dcgan", ["conditioning.generator=one-hot"], "labels must reach both players or neither"),
        ("./absent.yaml", [], "recipe file ./absent.yaml does not exist"),
    ],
)
def test_mistakes_get_one_sentence(recipe: str, overrides: list[str], sentence: str) -> None:
    with pytest.raises(RequestError, match=re.escape(sentence)) as caught:
        load_recipe(recipe, overrides)
    assert "\n" not in str(caught.value)


def test_broken_yaml_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text("name: [")
    with pytest.raises(RequestError, match="not valid YAML"):
        load_recipe(str(path))


def test_the_digest_holds_what_decides_the_weights_and_nothing_else() -> None:
    base = recipe_digest(load_recipe("dcgan"))
    for same in ("training.checkpoint_seconds=1", "evaluation.samples=3", "data.source=digits"):
        assert recipe_digest(load_recipe("dcgan", [same])) == base
    for other in ("training.steps=3", "optimizers.generator.lr=1e-5", "game.loss=minimax"):
        assert recipe_digest(load_recipe("dcgan", [other])) != base
