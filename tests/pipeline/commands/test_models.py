"""`gan-pipeline models`: what is shown of the registry's champions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from components.tracking.champions import Lineage, Verdict
from components.tracking.mlflow.champions import MlflowChampions
from components.tracking.mlflow.client import connect
from components.tracking.sqlite_address import sqlite_uri


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A champion whose verdict has a figure that is no number."""
    client = connect(uri := sqlite_uri(tmp_path / "mlflow.db"))
    client.create_registered_model("faces")
    client.create_model_version("faces", tmp_path.as_uri(), await_creation_for=0)
    registry = MlflowChampions(uri)
    (version,) = registry.versions("faces")
    figures = {"FD-classifier": float("nan"), "IS-classifier": 2.0}
    lineage = Lineage(recipe="dcgan", recipe_digest="r", data_fingerprint="d" * 16, seed=0)
    registry.judge(version, Verdict(decision="promoted", reason="by hand", figures=figures), lineage)
    return uri


def test_a_figure_that_is_no_number_is_a_dash(ask: Callable, store: str) -> None:
    listed = ask("models", "list", "--tracking-uri", store)
    assert listed.code == 0, listed.sentence
    assert "FD-classifier - " in listed.out
    shown = ask("models", "show", "faces", "--tracking-uri", store)
    assert shown.code == 0, shown.sentence
    assert "           FD-classifier -\n           IS-classifier 2\n" in shown.out
    answer = ask("models", "show", "faces", "--tracking-uri", store, "--json")
    assert '"FD-classifier": null' in answer.out
