"""docs/recipes.md says what is there: every system and technique, and settings that really go together."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch

from gan_models.augmentations import AUGMENTATIONS
from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.games import build_game
from gan_models.losses import LOSSES
from gan_models.recipes import load_recipe, recipe_names
from gan_models.regularizers import REGULARIZERS

PAGE = (Path(__file__).parents[3] / "docs" / "recipes.md").read_text(encoding="utf-8")
SMALL = ["networks.generator.width=2", "networks.discriminator.width=2"]
CELLS = sorted(set(re.findall(r"\| (?:with )?`(--set [^`]+)` \|", PAGE)))
REFUSED = {
    "penalty and batch norm": ["regularizers=[{name: gradient-penalty}]"],
    "penalty and minibatch discrimination": [
        "regularizers=[{name: r1}]", "networks.discriminator.norm=none",
        "networks.discriminator.minibatch=discrimination",
    ],
    "Wasserstein with nothing that bounds D": ["game.loss=wasserstein"],
    "clipping and penalty": [
        "game.loss=wasserstein", "game.weight_clip=0.01", "networks.discriminator.norm=none",
        "regularizers=[{name: gradient-penalty}]",
    ],
    "clipping and spectral norm": [
        "game.loss=wasserstein", "game.weight_clip=0.01",
        "networks.discriminator.spectral_norm=true",
    ],
    "warm-up without a critic": ["game.critic_warm_up={first: 1}"],
    "smoothing without class targets": ["game.loss=hinge", "game.label_smoothing=0.1"],
    "targets of another game": ["game.targets=[-1,1,0]"],
    "several steps of both": ["game.generator_steps=2", "game.discriminator_steps=2"],
    "labels for one player": ["conditioning.generator=one-hot"],
    "projection and minibatch layer": [
        "conditioning.generator=one-hot", "conditioning.discriminator=projection",
        "networks.discriminator.minibatch=stddev",
    ],
    "class loss without a head": ["game.classify_fakes=false"],
    "attention at no map": ["networks.generator.attention=[15]"],
    "conditional batch norm in dcgan": ["conditioning.generator=batch-norm", "conditioning.discriminator=projection"],
    "a regularizer twice": ["regularizers=[{name: drift}, {name: drift}]"],
}  # fmt: skip


def build(settings: list[str]) -> None:
    recipe = load_recipe("dcgan", [*SMALL, *settings])
    build_game(recipe, DataShape((1, 32, 32), 3), torch.device("cpu"))


def test_every_recipe_is_in_the_table_of_systems_and_no_other() -> None:
    systems = PAGE.split("## All systems")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z0-9-]+)` \|", systems, flags=re.MULTILINE)) == set(recipe_names())


@pytest.mark.parametrize("name", [*LOSSES, *REGULARIZERS, *AUGMENTATIONS])
def test_every_technique_is_named(name: str) -> None:
    assert re.search(rf"(loss=|name: |\[|,){name}\b", PAGE)


@pytest.mark.parametrize("cell", CELLS)
def test_the_settings_of_a_technique_are_complete(cell: str) -> None:
    words = shlex.split(cell)
    assert set(words[::2]) == {"--set"}
    build(words[1::2])


def test_the_tables_were_read() -> None:
    assert len(CELLS) > 25


@pytest.mark.parametrize("settings", REFUSED.values(), ids=REFUSED.keys())
def test_what_the_page_says_is_refused_is(settings: list[str]) -> None:
    with pytest.raises(RequestError):
        build(settings)
