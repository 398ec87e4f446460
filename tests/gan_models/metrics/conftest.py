"""A prepared data set of real digits, and a cache that its classifier is trained into once."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from gan_models.data.table import ImageTable
from gan_models.data.table_writer import TableWriter

MakeTable = Callable[..., ImageTable]


def write_table(
    folder: Path, images: np.ndarray, labels: Sequence[int | None] | None, splits: list[str], classes: int = 10
) -> ImageTable:
    """An image table of uint8 [N, H, W, C] images."""
    folder.mkdir(parents=True, exist_ok=True)
    height, width, channels = images.shape[1:]
    writer = TableWriter(folder, height, width, channels)
    given = labels if labels is not None else [None] * len(images)
    writer.append(images, given, splits, [str(index) for index in range(len(images))])
    names = [str(name) for name in range(classes)] if labels is not None else []
    writer.close(names, "digits", {})
    return ImageTable.open(folder)


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> ImageTable:
    """scikit-learn's 8x8 digits, 1197 to train on and 300 each to validate and to test with."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.images))
    images = (data.images * (255 / 16)).round().astype("uint8")[order, ..., None]
    splits = ["train"] * 1197 + ["validation"] * 300 + ["test"] * 300
    return write_table(tmp_path_factory.mktemp("digits"), images, data.target[order].tolist(), splits)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")
