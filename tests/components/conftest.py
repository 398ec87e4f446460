"""A small real data set, prepared once by the project's own stage."""

from pathlib import Path

import pytest

from components.prepare_data import step
from components.shared.stage import RunContext, open_stage
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
