"""`gan-pipeline recipes`: the family tree, and a recipe explained without loading PyTorch."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from gan_models.recipes import load_recipe, recipe_names
from pipeline.cli.recipes import family_tree


def drawn(parents: dict[str, str]) -> list[str]:
    return [branch + name for branch, _, name in family_tree(parents)]


def test_children_stand_under_their_parents() -> None:
    parents = {"a": "", "b": "a", "c": "b", "d": "a", "e": ""}
    assert drawn(parents) == ["a", "├─ b", "│  └─ c", "└─ d", "e"]
    assert [below for _, below, _ in family_tree(parents)] == ["│", "│  │", "│     ", "   ", ""]


@pytest.mark.parametrize(
    "parents", [{"a": "unknown"}, {"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "b"}]
)
def test_every_name_is_drawn_once_even_without_a_root(parents: dict[str, str]) -> None:
    assert sorted(name for _, _, name in family_tree(parents)) == sorted(parents)


def test_every_recipe_builds_on_one_that_is_there_and_names_its_paper() -> None:
    for name in recipe_names():
        recipe = load_recipe(name)
        assert recipe.paper, name
        assert recipe.builds_on in ("", *recipe_names()), name
        assert "\n" not in recipe.description + recipe.paper


def test_the_list_has_a_line_and_the_paper_of_each(ask: Callable) -> None:
    lines = ask("recipes").out.splitlines()
    for name in recipe_names():
        (place,) = [index for index, line in enumerate(lines) if re.match(rf"[│├└─ ]*{name}  ", line)]
        said = " ".join(" ".join(re.sub(r"[│├└─]", " ", line) for line in lines[place : place + 12]).split())
        assert " ".join(load_recipe(name).description.split()) in said
        assert " ".join(load_recipe(name).paper.split()) in said


def test_an_explained_recipe_gives_value_meaning_and_what_is_allowed(ask: Callable) -> None:
    text = " ".join(ask("recipes", "show", "dcgan", "--set", "game.loss=hinge").out.split())
    assert "[game.loss] what each player minimises, on raw logits game.loss.name = hinge which one;" in text
    assert "wasserstein; default non-saturating." in text
    assert "builds on: vanilla" in text


@pytest.mark.parametrize("command", [["recipes"], ["recipes", "show", "dcgan"]], ids=" ".join)
def test_nothing_heavy_is_imported(command: list[str]) -> None:
    code = f"""
import sys
from pipeline.cli import call
assert call({command!r}) == 0
print([name for name in ("torch", "kfp", "mlflow", "pyarrow", "numpy") if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
