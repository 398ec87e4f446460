"""A small real data set, prepared once by the project's own stage; a run to log to, and a store of its own."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from components.context import RunContext
from components.prepare_data import step
from components.stage.stage import open_stage
from components.tracking.sqlite_address import sqlite_uri
from gan_models.recipes.schema import Data


def _prepared(folder: Path, size: int) -> Path:
    with open_stage("prepare_data", RunContext(state_dir=str(folder / "state"))) as stage:
        step.run(step.Request(data=Data(source="digits", size=size), output=folder / "dataset"), stage)
    return folder / "dataset"


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """scikit-learn's digits at their own size, 8x8."""
    return _prepared(tmp_path_factory.mktemp("digits"), 8)


@pytest.fixture(scope="session")
def dataset_9(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same digits at 9x9, a size that no doubling reaches."""
    return _prepared(tmp_path_factory.mktemp("digits-9"), 9)


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
    from components.tracking.mlflow.client import connect

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
        titles={"prepare_data": "1 prepare data", "train_gan": "2 train", "select_checkpoint": "3 select checkpoint"},
        experiment="test",
    )


@pytest.fixture
def png(tmp_path: Path) -> Path:
    path = tmp_path / "grid.png"
    Image.new("L", (64, 32), 128).save(path)
    return path
