"""`--dry-run`: what it would take, with nothing prepared, sent or written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

TINY = ["--recipe", "vanilla", "--data", "digits", "--set", "data.size=8", "--set", "training.steps=7"]
NARROW = ["--set", "networks.generator.widths=[8]", "--set", "networks.discriminator.widths=[8]"]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_says_what_it_would_take(ask: Callable, elsewhere: Path) -> None:
    answer = ask("run", "--dry-run", *TINY, *NARROW)
    assert answer.code == 0, answer.err
    lines = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in answer.out.splitlines())
    assert lines["recipe"] == "vanilla on digits, seed 0"
    assert lines["discriminator"] == f"{8 * 64 + 8 + 8 + 1:,} parameters"
    assert lines["a step"].startswith("64 real and 64 generated images of 1x8x8")
    assert re.fullmatch(r".* a step in real steps, .* for 7", lines["time"])
    assert not list(elsewhere.iterdir())


def test_json_has_the_figures(ask: Callable, elsewhere: Path) -> None:
    found = json.loads(ask("run", "--dry-run", "--json", *TINY, *NARROW).out)
    assert found["parameters"]["discriminator"] == {"discriminator": 529}
    assert found["measured"]
    assert found["seconds"] == pytest.approx(7 * found["step_seconds"])


def test_submit_speaks_of_the_card_that_it_counts_with(ask: Callable, elsewhere: Path) -> None:
    longer = "training.steps=1000000000"
    out = ask("submit", "--dry-run", "--recipe", "sngan", "--image", "r/i:1", "--set", longer).out
    assert "NVIDIA A100" in out
    assert "this is more than 12 hours" in out


def test_a_wrong_request_is_refused_as_without_it(ask: Callable, elsewhere: Path) -> None:
    answer = ask("run", "--dry-run", "--recipe", "nothing")
    assert answer.code == 2
    assert "unknown recipe 'nothing'" in answer.err


def test_images_that_are_not_there_yet_are_those_that_the_preset_is_made_for(ask: Callable, elsewhere: Path) -> None:
    answer = ask("run", "--dry-run", "--recipe", "vanilla", "--data", "folder:nowhere", *NARROW, "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert found["parameters"]["discriminator"] == {"discriminator": 8 * 28 * 28 + 8 + 8 + 1}
    assert "there is nothing at" in found["note"]
    assert "so these are figures of other images" in found["note"]


def test_a_retraining_says_the_same(ask: Callable, elsewhere: Path) -> None:
    run, retrain = (
        json.loads(ask(command, "--dry-run", "--json", *TINY, *NARROW).out) for command in ("run", "retrain")
    )
    assert retrain["parameters"] == run["parameters"]
    assert not list(elsewhere.iterdir())


def test_images_that_are_there_and_no_good_for_the_recipe_are_refused(ask: Callable, elsewhere: Path) -> None:
    (elsewhere / "photos").mkdir()
    for number in range(3):
        Image.new("L", (8, 8), number).save(elsewhere / "photos" / f"{number}.png")
    answer = ask("run", "--dry-run", "--recipe", "acgan", "--data", "folder:photos")
    assert answer.code == 2
    assert "needs labels and folder:photos has none" in answer.err
