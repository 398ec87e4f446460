"""docs/recipes.md says what is there: every system and technique, and settings that really go together."""

from __future__ import annotations

import os
import re
import runpy
import shlex
from pathlib import Path

import pytest
import torch

from gan_models.augmentations import AUGMENTATIONS
from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.games.base import build_game
from gan_models.losses import LOSSES
from gan_models.recipes import load_recipe, recipe_names
from gan_models.regularizers import REGULARIZERS

FILE = Path(__file__).parents[3] / "docs" / "recipes.md"
PAGE = FILE.read_text(encoding="utf-8")
SMALL = ["networks.generator.width=2", "networks.discriminator.width=2"]
CELLS = sorted(set(re.findall(r"\| (?:with )?`(--set [^`]+)` \|", PAGE)))
REFUSED = re.findall(r"\| refused: `(--set [^`]+)` \|", PAGE)


def settings(cell: str) -> list[str]:
    """Those of a cell of the page, for `dcgan`."""
    words = shlex.split(cell)
    assert set(words[::2]) == {"--set"}
    return words[1::2]


def test_every_recipe_is_in_the_table_of_systems_and_no_other() -> None:
    systems = PAGE.split("## All systems")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z0-9-]+)` \|", systems, flags=re.MULTILINE)) == set(recipe_names())


def test_the_table_of_presets_is_what_the_networks_say() -> None:
    """`GAN_PIPELINE_UPDATE_GOLDEN=1` writes it anew."""
    before, _, rest = PAGE.partition("<!-- presets -->\n")
    shown, end, after = rest.partition("<!-- /presets -->")
    made = f"{runpy.run_path(str(FILE.parent / 'presets.py'))['table']()}\n"
    if os.environ.get("GAN_PIPELINE_UPDATE_GOLDEN"):
        FILE.write_text(f"{before}<!-- presets -->\n{made}{end}{after}", encoding="utf-8")
    else:
        assert shown == made


@pytest.mark.parametrize("name", [*LOSSES, *REGULARIZERS, *AUGMENTATIONS])
def test_every_technique_is_named(name: str) -> None:
    assert re.search(rf"(loss=|name: |\[|,){name}\b", PAGE)


@pytest.mark.parametrize("cell", CELLS)
def test_the_settings_of_a_technique_are_complete(cell: str) -> None:
    recipe = load_recipe("dcgan", [*SMALL, *settings(cell)])
    build_game(recipe, DataShape((1, 32, 32), 3), torch.device("cpu"))


def test_the_tables_were_read() -> None:
    assert len(CELLS) > 25
    assert len(REFUSED) > 15


@pytest.mark.parametrize("cell", REFUSED)
def test_what_the_page_says_is_refused_is_with_the_recipe(cell: str) -> None:
    with pytest.raises(RequestError):
        load_recipe("dcgan", settings(cell))
