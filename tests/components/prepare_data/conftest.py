"""A stage that tracks nothing, and pictures that are all different."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.prepare_data.step import Request, Result, run
from components.stage.stage import RunContext, Stage, open_stage
from gan_models.data.table import ImageTable
from gan_models.recipes.schema import Data

Prepare = Callable[..., tuple[Result, ImageTable]]
Picture = Callable[..., bytes]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with open_stage("prepare_data", RunContext(state_dir=str(tmp_path / "state"))) as stage:
        yield stage


@pytest.fixture
def prepare(tmp_path: Path, stage: Stage) -> Prepare:
    """Run the stage into tmp_path/"dataset"; all images go to training unless told otherwise."""

    def call(source: str, **options: Any) -> tuple[Result, ImageTable]:
        options = {"size": 8, "validation": 0.0, "test": 0.0, **options}
        output = tmp_path / "dataset"
        result = run(Request(data=Data(source=source, **options), output=output), stage)
        return result, ImageTable.open(output)

    return call


@pytest.fixture(scope="session")
def picture() -> Picture:
    """An encoded image of noise: `picture(seed)`; no two seeds give the same."""

    def call(seed: int, side: int = 8, mode: str = "L", format: str = "PNG") -> bytes:
        shape = (side, side) if mode == "L" else (side, side, 3)
        pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format)
        return buffer.getvalue()

    return call


@pytest.fixture
def folder(tmp_path: Path, picture: Picture) -> Callable[[str, range], Path]:
    """Write pictures into a sub-folder of tmp_path/"images": `folder("cat", range(3))`; returns tmp_path/"images"."""

    def call(name: str, seeds: range) -> Path:
        place = tmp_path / "images" / name
        place.mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            (place / f"{seed:04}.png").write_bytes(picture(seed))
        return tmp_path / "images"

    return call
