"""The digits inside packages are those that the packages themselves load."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from gan_models.data.sources import parse_source


def pixels(kind: str) -> tuple[np.ndarray, list[int | None]]:
    batches = list(parse_source(kind).open().batches(None, 1000))
    items = [np.asarray(item) for batch in batches for item in batch.items]
    return np.stack(items), [label for batch in batches for label in batch.labels]


def test_digits_are_scikit_learns() -> None:
    images, labels = pixels("digits")
    data = load_digits()
    assert np.array_equal(images, np.rint(data.images * 255 / 16))
    assert labels == data.target.tolist()


def test_mnist_5k_has_500_of_each_digit() -> None:
    images, labels = pixels("mnist-5k")
    assert images.shape == (5000, 28, 28)
    assert images.dtype == np.uint8
    assert images.max() == 255
    assert np.bincount(np.array(labels, int)).tolist() == [500] * 10
    assert parse_source("mnist-5k").open().class_names == tuple("0123456789")


def test_slow_way_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = pixels("digits")
    monkeypatch.setattr("pathlib.Path.is_file", lambda _: False)
    slow = pixels("digits")
    assert np.array_equal(fast[0], slow[0])
    assert fast[1] == slow[1]


def test_some_rows() -> None:
    (batch,) = parse_source("digits").open().batches([3, 5, 1796], 10)
    assert batch.paths == ["digits/3", "digits/5", "digits/1796"]
    assert batch.labels == load_digits().target[[3, 5, 1796]].tolist()
