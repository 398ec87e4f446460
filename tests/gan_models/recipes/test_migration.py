"""Recipes as earlier versions wrote them are still read, and mean what they meant."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from gan_models.data.shape import Size
from gan_models.errors import RequestError
from gan_models.losses import LeastSquares, NonSaturating
from gan_models.recipes import load_recipe
from gan_models.recipes.loading import parse_recipe
from gan_models.recipes.migration import migrate

GENERATOR_FOLDER: dict[str, Any] = yaml.safe_load("""
name: r3gan
description: ''
paper: ''
builds_on: dcgan
data: {source: mnist-5k, size: 32, channels: auto, resize: bicubic, fit: crop, validation: 0.1, test: 0.1,
  split_seed: 0, max_images: null, max_bad_share: 0.01}
networks:
  latent: 64
  generator: {norm: none, spectral_norm: false, attention: [], init: family, family: r3gan, width: 16, max_width: 96,
    blocks: 1, expansion: 2, group: 32}
  discriminator: {norm: none, spectral_norm: false, attention: [], minibatch: none, init: family, family: r3gan,
    width: 12, max_width: 64, blocks: 1, expansion: 2, group: 32}
conditioning: {generator: none, discriminator: none}
game: {discriminator_steps: 1, augmentations: [], kind: adversarial, generator_steps: 1, loss: relativistic,
  label_smoothing: 0.0, targets: [0.0, 1.0, 1.0], weight_clip: null, critic_warm_up: null, classification: 1.0,
  classify_fakes: true}
regularizers:
- {name: r1, weight: 0.5, player: auto, every: 1}
- {name: r2, weight: 0.5, player: auto, every: 1}
optimizers:
  generator: {name: adam, lr: 0.001, betas: [0.0, 0.99]}
  discriminator: {name: adam, lr: 0.001, betas: [0.0, 0.99]}
  decay_from: 1.0
training: {steps: 5000, batch_size: 16, precision: bf16, ema: 0.999, tick: 100, keep: 10, checkpoint_seconds: 15.0,
  on_nan: stop, on_collapse: flag, min_diversity: 0.1, threads: null, ranks: null}
selection: {samples: 1000}
evaluation: {extractor: auto, inception_weights: null, samples: 5000, neighbours: 5, truncations: []}
export: {samples: 64, model_name: null}
""")
"""recipe.yaml as version 0.1.0 left it beside a generator: every default of that time spelled out."""


def test_a_generator_folders_recipe_is_the_one_of_today() -> None:
    found = parse_recipe(GENERATOR_FOLDER, "recipe.yaml")
    today = load_recipe("r3gan", [f"networks.{player}.form=first" for player in ("generator", "discriminator")])
    sections = ("data", "networks", "conditioning", "game", "regularizers", "optimizers", "training", "evaluation")
    assert [name for name in sections if getattr(found, name) != getattr(today, name)] == []


def test_r3gans_networks_of_a_folder_keep_their_first_form_and_those_of_people_get_the_published_one() -> None:
    """The weights of a folder would make other images with another resampling; a person's file has none."""
    folder = GENERATOR_FOLDER["networks"]["generator"]
    assert migrate({"networks": {"generator": folder}})["networks"]["generator"]["form"] == "first"
    again = parse_recipe(GENERATOR_FOLDER, "recipe.yaml").model_dump(mode="json")
    assert migrate(again) == again
    for section in ({"family": "r3gan", "width": 16, "group": 32}, {**folder, "form": "published"}):
        assert (
            parse_recipe(
                GENERATOR_FOLDER | {"networks": GENERATOR_FOLDER["networks"] | {"generator": section}}, "mine.yaml"
            ).networks.generator.get("form", "")
            == "published"
        )


@pytest.mark.parametrize(("size", "maps"), [(32, [48] * 4), (56, [48] * 4), (128, [48, 48, 48, 48, 24, 12])])
def test_a_generator_folders_sngan_has_the_widths_of_its_time(size: int, maps: list[int]) -> None:
    """`width` was that of the first four maps, and D had two blocks at twice the coarsest."""
    document = load_recipe("sngan").model_dump(mode="json")
    document["data"]["size"] = size
    for player, added in (("generator", ["max_width"]), ("discriminator", ["max_width", "wide", "halvings", "blocks"])):
        for name in added:
            del document["networks"][player][name]
    found = parse_recipe(document, "recipe.yaml").networks
    assert found.generator.widths(Size.square(size)) == maps
    doublings = len(maps) - 1
    assert found.discriminator.trunk(Size.square(size)) == (doublings - 1, doublings + 1)
    assert found.discriminator.widths(Size.square(size))[-4:] == [32] * 4
    document["networks"]["generator"]["width"] = 50
    if size == 128:
        with pytest.raises(RequestError, match=r"networks.generator.width=50: .* a multiple of 4"):
            parse_recipe(document, "recipe.yaml")


def test_settings_beside_the_loss_become_the_losss_own() -> None:
    assert load_recipe("lsgan", ["game.targets=[-1, 1, 0]"]).game.loss == LeastSquares(targets=(-1.0, 1.0, 0.0))
    assert load_recipe("dcgan", ["game.label_smoothing=0.1"]).game.loss == NonSaturating(label_smoothing=0.1)
    assert load_recipe("dcgan", ["game.loss=minimax", "game.label_smoothing=0"]).game.loss.name == "minimax"


def test_a_loss_is_a_name_or_a_section() -> None:
    by_name, whole = load_recipe("dcgan", ["game.loss=hinge"]), load_recipe("dcgan", ["game.loss={name: hinge}"])
    assert by_name == whole
    one_leaf = load_recipe("lsgan", ["game.loss.targets=[-1, 1, 0]"])
    assert one_leaf.game.loss == LeastSquares(targets=(-1.0, 1.0, 0.0))


@pytest.mark.parametrize(
    ("name", "player", "said"),
    [
        ("vanilla", "generator", {"attention": []}),
        ("pggan", "generator", {"norm": "none", "spectral_norm": False, "attention": [], "init": "family"}),
        ("pggan", "discriminator", {"norm": "none", "spectral_norm": False, "attention": [], "init": "family"}),
        ("biggan", "generator", {"norm": "batch"}),
        ("cyclegan", "discriminator", {"minibatch": "none"}),
        ("colorization", "discriminator", {"minibatch": "none"}),
    ],
)
def test_what_a_network_cannot_do_may_be_said_as_before(name: str, player: str, said: dict[str, Any]) -> None:
    recipe = load_recipe(name)
    document = recipe.model_dump(mode="json")
    document["networks"][player] |= said
    assert parse_recipe(document, name) == recipe


@pytest.mark.parametrize(
    ("name", "override", "words"),
    [
        ("pggan", "networks.generator.spectral_norm=true", "unknown key 'networks.generator.spectral_norm'"),
        ("vanilla", "networks.generator.attention=[4]", "unknown key 'networks.generator.attention'"),
        ("biggan", "networks.generator.norm=none", "unknown key 'networks.generator.norm'"),
        ("dcgan", "game.targets=[-1, 1, 0]", "game.targets are those of least-squares, and game.loss is"),
    ],
)
def test_what_it_cannot_do_and_is_asked_for_is_refused(name: str, override: str, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        load_recipe(name, [override])


def test_a_recipe_of_today_comes_back_as_it_is() -> None:
    for name in ("dcgan", "lsgan", "cyclegan", "stackgan"):
        document = load_recipe(name).model_dump(mode="json")
        assert migrate(document) == document
