"""A run to log to, and a store that is made once and copied for each test that needs one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from components.shared.context import RunContext
from components.shared.tracking import sqlite_uri


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "MLFLOW_TRACKING_URI",
        "MLFLOW_RUN_ID",
        "GAN_PIPELINE_RUN",
        "GAN_PIPELINE_EVENTS",
        "GAN_PIPELINE_PARENT",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    """A run that journals for a store that nothing is sent to."""
    return RunContext(state_dir=str(tmp_path / "work"), tracking_uri="http://127.0.0.1:9", relay="external")


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from components.shared.mlflow_client import connect

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    connect(sqlite_uri(path))
    return path


@pytest.fixture
def tracked(tmp_path: Path, empty_database: Path) -> RunContext:
    """A run with a SQLite store of its own."""
    path = tmp_path / "store" / "mlflow.db"
    path.parent.mkdir()
    shutil.copy(empty_database, path)
    return RunContext(
        state_dir=str(tmp_path / "work"),
        tracking_uri=sqlite_uri(path),
        relay="external",
        name="digits",
        experiment="test",
    )


@pytest.fixture
def png(tmp_path: Path) -> Path:
    path = tmp_path / "grid.png"
    Image.new("L", (64, 32), 128).save(path)
    return path
