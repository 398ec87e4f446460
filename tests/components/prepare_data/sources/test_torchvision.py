"""Data sets of torchvision, from files that the test writes: nothing is downloaded."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_models.data.decoding import BadImageError, Target
from gan_models.data.preparing.decode_pool import DecodePool
from gan_models.data.shape import Size
from gan_models.data.sources import parse_source
from gan_models.data.sources.torchvision import TorchvisionSource
from gan_models.errors import RunError
from gan_models.metrics.locations import default_cache

TRAIN = np.random.default_rng(0).integers(0, 256, (12, 28, 28), np.uint8)
TEST = np.random.default_rng(1).integers(0, 256, (4, 28, 28), np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GAN_PIPELINE_CACHE", str(tmp_path / "cache"))
    return default_cache() / "torchvision"


def write_mnist(folder: Path) -> None:
    """The four files of MNIST and its look-alikes, in Yann LeCun's format."""
    folder.mkdir(parents=True)
    for prefix, images in (("train", TRAIN), ("t10k", TEST)):
        content = struct.pack(">IIII", 2051, *images.shape) + images.tobytes()
        (folder / f"{prefix}-images-idx3-ubyte").write_bytes(content)
        labels = bytes(range(len(images)))[: len(images)]
        labels = bytes(label % 10 for label in labels)
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, len(images)) + labels)
        for name in ("images-idx3", "labels-idx1"):  # what a download would have left beside them
            file = folder / f"{prefix}-{name}-ubyte"
            file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST"])
def test_train_and_test_of_the_data_set(cache: Path, name: str) -> None:
    write_mnist(cache / name / "raw")
    source = TorchvisionSource(name)
    assert source.total == 16
    assert source.given_splits == {"train", "test"}
    assert len(source.class_names) == 10
    batches = list(source.batches(None, 7))
    for batch in batches:
        assert batch.fill is not None
        batch.fill(batch)
    images = [np.asarray(item) for batch in batches for item in batch.items]
    assert np.array_equal(np.stack(images), np.concatenate([TRAIN, TEST]))
    assert [label for batch in batches for label in batch.labels] == [*range(10), 0, 1, *range(4)]
    assert [split for batch in batches for split in batch.splits] == ["train"] * 12 + ["test"] * 4
    assert batches[0].paths[0] == f"{name}/train/0"


def test_class_names_are_the_data_sets(cache: Path) -> None:
    write_mnist(cache / "FashionMNIST" / "raw")
    assert TorchvisionSource("FashionMNIST").class_names[9] == "Ankle boot"


def test_fake_data_is_the_same_on_every_core() -> None:
    source = parse_source("torchvision:FakeData").open()
    assert source.total == 1000
    assert source.class_names == tuple("0123456789")
    assert source.given_splits == frozenset()
    rows = list(range(0, 1000, 40))
    outcomes = []
    for workers in (1, 3):
        with DecodePool(Target(Size.square(8), 3), workers) as pool:
            results = list(pool.decode(source.batches(rows, 5)))
        outcomes.append([(batch.labels, decoded.pixels) for batch, decoded in results])
    assert outcomes[0] == outcomes[1]
    assert all(label is not None for labels, _ in outcomes[0] for label in labels)


def test_image_folders_inside_a_data_set(cache: Path) -> None:
    """EuroSAT: undivided, classes from folders, one file damaged."""
    for label, name in enumerate(("Forest", "River")):
        folder = cache / "eurosat" / "2750" / name
        folder.mkdir(parents=True)
        for index in range(3):
            Image.new("RGB", (64, 64), (label * 100, index, 0)).save(folder / f"{name}_{index}.jpg")
    (cache / "eurosat/2750/River/River_1.jpg").write_bytes(b"damaged")
    source = TorchvisionSource("EuroSAT")
    assert source.class_names == ("Forest", "River")
    (batch,) = source.batches([1, 4, 5], 10)
    assert batch.fill is not None
    batch.fill(batch)
    assert batch.labels == [0, None, 1]
    assert isinstance(batch.items[1], BadImageError)
    assert str(batch.items[1]) == "not an image of a known format"


def test_failed_download_is_a_sentence(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from urllib.error import URLError

    from torchvision.datasets import cifar

    def unreachable(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(cifar, "download_and_extract_archive", unreachable)
    with pytest.raises(
        RunError, match=r"torchvision:CIFAR10 could not be downloaded .*no route to host.*put the files"
    ):
        TorchvisionSource("CIFAR10")


def test_data_sets_that_nobody_can_download(cache: Path) -> None:
    with pytest.raises(RunError, match="torchvision:FER2013 could not be downloaded or read"):
        TorchvisionSource("FER2013")
