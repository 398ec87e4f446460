"""What cannot be is refused when it is planned, before anything is prepared; what is planned can be built."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gan_models.errors import RequestError
from gan_models.recipes import Recipe, recipe_names
from pipeline.request.plan import Elsewhere, make_plan
from pipeline.request.request import Request

TOO_SMALL = {
    ("biggan", 8): "networks.generator.attention=[16]: only 0 of these are sizes of a feature map",
    (
        "colorization",
        8,
    ): "lab-colorization halves images three times, to 2 pixels or more: use a multiple of 8 such as 16",
    ("sagan", 8): "networks.generator.attention=[16]: only 0 of these are sizes of a feature map",
    ("stackgan", 8): "data.size=8: stackgan doubles a 4 to 7 pixel map twice or more, so the nearest sizes",
}


def build(recipe: Recipe) -> None:
    """Networks and game, without memory for their weights."""
    import torch

    from gan_models.data.shape import DataShape
    from gan_models.games.base import build_game

    channels = {"grey": 1, "auto": 1, "rgb": 3}[recipe.data.channels]
    with torch.device("meta"):
        build_game(recipe, DataShape((channels, *recipe.data.size), 10, 2, 50), torch.device("meta"))


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("size", [8, 32])
def test_a_recipe_of_another_size_can_be_built_or_is_refused(name: str, size: int) -> None:
    request = Request(recipe=name, overrides=(f"data.size={size}", "training.steps=300", "networks.latent=8"))
    if words := TOO_SMALL.get((name, size)):
        with pytest.raises(RequestError) as refused:
            make_plan(request)
        assert words in str(refused.value)
    else:
        build(make_plan(request).recipe)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_as_it_stands_is_planned(name: str) -> None:
    assert make_plan(Request(recipe=name)).recipe.name == name


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data.size=9"], "nearest sizes"),
        (["game.loss=hinged"], "unknown game.loss"),
        (["regularizers=[{name: r3}]"], "unknown regularizer"),
        (["regularizers=[{name: r1}]"], "batch norm"),
    ],
)
@pytest.mark.parametrize("named", [[], ["name=mine"]])
def test_parts_that_do_not_go_together(overrides: list[str], words: str, named: list[str]) -> None:
    with pytest.raises(RequestError, match=words):
        make_plan(Request(recipe="dcgan", overrides=(*overrides, *named)))


@pytest.fixture
def _without_efficientnet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)


EFFICIENTNET = ("--set", "evaluation.extractor=efficientnet-lite0")


@pytest.mark.usefixtures("_without_efficientnet")
@pytest.mark.parametrize(
    "command", [["run"], ["retrain"], ["compile", "-o", "t.yaml"], ["schedule", "ensure", "nightly", "--every", "1d"]]
)
def test_an_extractor_that_is_not_installed(ask: Callable, tmp_path: Path, command: list[str]) -> None:
    answer = ask(*command, *EFFICIENTNET)
    assert answer.code == 2
    assert "needs packages that are not installed: pip install gan-pipeline[efficientnet]" in answer.sentence
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("_without_efficientnet")
def test_what_is_installed_here_says_nothing_of_a_cluster() -> None:
    assert (
        make_plan(Request(overrides=EFFICIENTNET[1:]), Elsewhere()).recipe.evaluation.extractor == "efficientnet-lite0"
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"force": True}, "--force is for --command retrain"),
        ({"model": "faces"}, "--model is for --command retrain"),
        ({"command": "retrain", "model": "a/b"}, "--model 'a/b': MLflow takes any name without / and :"),
        ({"command": "retrain", "webhook_env": "1st"}, "the name of an environment variable that holds the address"),
        ({"pipeline": "t.yaml", "seed": 1}, "--pipeline brings its own recipe, data and seed"),
    ],
)
def test_options_that_cannot_be(fields: dict[str, object], words: str) -> None:
    with pytest.raises(RequestError) as refused:
        make_plan(Request.parse(fields))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("recipe", "settings", "words"),
    [
        ("wgan", ["game.weight_clip=null"], "game.loss=wasserstein grows without end unless D's slope is bounded"),
        ("dcgan", ["game.generator_steps=2", "game.discriminator_steps=2"], "pull in opposite directions"),
        (
            "dcgan",
            ["game.targets=[-1,1,0]"],
            "game.targets are those of least-squares, and game.loss is",
        ),
        ("dcgan", ["game.classification=2"], "weigh D's class loss, which it has none of"),
        ("r3gan", ["networks.generator.norm=batch"], "unknown key 'networks.generator.norm'"),
    ],
)
def test_parts_that_do_not_go_together_are_refused_before_anything_is_prepared(
    ask: Callable, tmp_path: Path, recipe: str, settings: list[str], words: str
) -> None:
    answer = ask("run", "--recipe", recipe, *(word for setting in settings for word in ("--set", setting)))
    assert answer.code == 2
    assert words in answer.sentence
    assert not list(tmp_path.iterdir())
