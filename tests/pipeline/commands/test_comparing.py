"""`gan-pipeline compare` and `leaderboard`: figures beside each other where they compare, a sentence where not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.context import PIPELINE, RunContext
from components.evaluate_gan.findings import Findings, Reading, Row
from components.stage.stage import open_stage
from components.tracking.backend import TrackedRun
from components.tracking.mlflow.tracker import MLFLOW
from components.tracking.relay import Relay
from components.tracking.sqlite_address import sqlite_uri
from gan_models.errors import RunError
from gan_models.metrics.protocol import Protocol, Reference

HOSTILE = "<script>alert(1)</script>"


def findings(fd: float, recall: float, samples: int) -> Findings:
    protocol = Protocol(
        extractor={"name": "classifier", "weights_sha256": "a" * 64},
        reference=Reference(data="d" * 64, source="digits", split="test", images=100),
        samples=samples,
        parameters={"neighbours": 5},
    )

    def row(metric: str, better: str, value: float) -> Row:
        generated, real = (
            Reading(name=f"{before}{metric}-classifier", value=each, std=None, images=samples)
            for before, each in (("", value), ("real-", 0.1))
        )
        return Row(metric=metric, better=better, generated=generated, real=real, generated_at_real=None)

    return Findings(
        metrics={"FD-classifier": fd, "recall-classifier": recall},
        headline=["FD-classifier", "recall-classifier"],
        protocol=protocol,
        comparison_metrics={},
        rows=[row("FD", "lower", fd), row("recall", "higher", recall)],
        memorisation=None,
        classes=None,
        extractor_choice="classifier",
        generated={"step": 100},
        reference={},
        real_sample={},
        seed=0,
        data={},
        environment={},
        notes=[],
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Four runs: two that compare, one of fewer samples, one that was not evaluated."""
    folder = tmp_path_factory.mktemp("compared")
    uri = sqlite_uri(folder / "mlflow.db")
    grid = folder / "grid.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(grid)
    for name, lr, found in (
        ("first", 0.1, findings(3.0, 0.5, 1000)),
        (HOSTILE, 0.2, findings(2.0, 0.4, 1000)),
        ("fewer", 0.2, findings(1.0, 0.9, 50)),
        ("broken", 0.2, None),
    ):
        state = folder / str(len(name))
        context = RunContext(name=name, tracking_uri=uri, state_dir=str(state), relay="external")
        with open_stage(PIPELINE, context) as stage:
            stage.log_params({"optimizers": {"generator": {"lr": lr}}, "networks": {"latent": 64}, "seed": 0})
            if found is not None:
                found.write(state)
                stage.log_artifact(state / Findings.FILE, of_pipeline=True)
                stage.log_artifact(grid, of_pipeline=True)
        with Relay(context) as relay:
            assert not relay.drain(60)
    return uri


@pytest.fixture
def asked(ask: Callable[..., Any], store: str) -> Callable[..., Any]:
    return lambda *words: ask(*words, "--tracking-uri", store)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.replace("┃", "│").split("│")[1:-1]]


def test_what_compares_stands_side_by_side_with_the_best_marked(asked: Callable[..., Any]) -> None:
    answer = asked("compare", "first", HOSTILE)
    assert answer.code == 0, answer.sentence
    lines = [cells(line) for line in answer.out.splitlines()]
    assert ["FD-classifier", "lower", "3", "2 *"] in lines
    assert ["recall-classifier", "higher", "0.5 *", "0.4"] in lines
    assert ["optimizers.generator.lr", "", "0.1", "0.2"] in lines
    assert not any("networks.latent" in line for line in answer.out.splitlines())
    assert "1000 images against 100 of the test split" in answer.out


def test_what_does_not_compare_is_said(asked: Callable[..., Any]) -> None:
    answer = asked("compare", "first", "fewer")
    assert answer.code == 0, answer.sentence
    assert "*" not in answer.out
    assert "figures of fewer do not compare with those of first: samples 50 and 1000" in answer.out


def test_json_has_everything(asked: Callable[..., Any]) -> None:
    said = json.loads(asked("compare", "first", "fewer", "--json").out.splitlines()[-1])
    assert [run["name"] for run in said["runs"]] == ["first", "fewer"]
    assert said["runs"][0]["metrics"]["FD-classifier"] == {"value": 3.0, "real": 0.1}
    assert said["runs"][0]["protocol"]["digest"] != said["runs"][1]["protocol"]["digest"]
    assert said["notes"] == ["figures of fewer do not compare with those of first: samples 50 and 1000"]


def test_the_page_holds_the_pictures_and_asks_nobody(asked: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "compared.html"
    assert asked("compare", "first", HOSTILE, "--out", str(out)).code == 0
    page = out.read_text()
    assert page.count("data:image/png;base64,") == 2
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page
    assert '<td class="best">2</td>' in page


def test_the_leaderboard_ranks_within_a_protocol(asked: Callable[..., Any]) -> None:
    answer = asked("leaderboard", "--experiment", "gan-pipeline")
    assert answer.code == 0, answer.sentence
    places = [row[2] for line in answer.out.splitlines() if len(row := cells(line)) > 2 and row[0].isdigit()]
    assert places == ["2", "3", "1"]
    assert "does not compare with" in answer.out
    assert "samples 50 and 1000" in answer.out
    assert "without figures: broken (finished)" in answer.out
    said = json.loads(asked("leaderboard", "--json").out.splitlines()[-1])
    assert [run["name"] for run in said["runs"]] == [HOSTILE, "first", "fewer"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("compare", "first"), "two runs are compared at least"),
        (("compare", "first", "frist"), "unknown run 'frist': did you mean 'first'?"),
        (("compare", "first", "broken"), "run broken has no figures on its page (finished)"),
        (("compare", "first", "fewer", "--out", "page.png"), "the page is written as HTML"),
        (("leaderboard", "--experiment", "gan-pipelin"), "did you mean 'gan-pipeline'?"),
    ],
)
def test_what_cannot_be_compared_is_a_sentence(
    asked: Callable[..., Any], words: tuple[str, ...], sentence: str
) -> None:
    answer = asked(*words)
    assert answer.code == 2
    assert sentence in answer.sentence


def test_figures_that_cannot_be_read_are_named_and_a_store_that_fails_is_not_taken_for_none(
    asked: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_version(uri: str, run: TrackedRun, file: str, folder: Path) -> Path:
        (folder / file).write_text("{}")
        return folder / file

    monkeypatch.setattr(MLFLOW, "fetch", other_version)
    assert "are those of another version" in asked("compare", "first", HOSTILE).sentence
    said = json.loads(asked("leaderboard", "--json").out.splitlines()[-1])
    assert said["runs"] == []
    assert "first (finished)" in said["notes"][0]

    def fails(*_: object) -> None:
        raise RunError("metrics.json cannot be fetched")

    monkeypatch.setattr(MLFLOW, "fetch", fails)
    answer = asked("leaderboard")
    assert (answer.code, "cannot be fetched" in answer.sentence) == (1, True)
