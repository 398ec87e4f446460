"""HDF5 as BigGAN's tools and others write it."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from gan_models.data.sources import parse_source
from gan_models.data.sources.base import Source, reading
from gan_models.errors import RequestError, RunError
from tests.components.prepare_data.conftest import Picture, Prepare
from tests.object_store import web_site

PIXELS = np.random.default_rng(5).integers(0, 256, (50, 3, 8, 8), np.uint8)


def biggan(path: Path, **more: object) -> Path:
    """In the manner of BigGAN's make_hdf5.py: chunks of 500 images, compressed by LZF, grown batch by batch."""
    with h5py.File(path, "w") as file:
        images = file.create_dataset(
            "imgs", (0, 3, 8, 8), np.uint8, maxshape=(None, 3, 8, 8), chunks=(20, 3, 8, 8), compression="lzf"
        )
        labels = file.create_dataset("labels", (0,), np.int64, maxshape=(None,), chunks=(20,))
        for start in range(0, len(PIXELS), 16):
            some = PIXELS[start : start + 16]
            images.resize(start + len(some), axis=0)
            labels.resize(start + len(some), axis=0)
            images[start:], labels[start:] = some, np.arange(start, start + len(some)) % 7
        for name, values in more.items():
            file[name] = values
    return path


def whole(source: Source, rows: list[int] | None = None) -> tuple[np.ndarray, list[int | None]]:
    batches = list(source.batches(rows, 9))
    assert all(len(batch) <= 9 for batch in batches)
    images = [np.asarray(item) for batch in batches for item in batch.items]
    return np.stack(images), [label for batch in batches for label in batch.labels]


def test_biggan_s_file_is_read_pixel_for_pixel(
    tmp_path: Path, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gan_models.data.sources.npz.BATCH_BYTES", 6 * PIXELS[0].nbytes)
    path = biggan(tmp_path / "ILSVRC8.hdf5")
    source = parse_source(str(path)).open()  # by its name
    assert (source.total, source.class_names) == (50, tuple("0123456"))
    images, labels = whole(source)
    assert np.array_equal(images, PIXELS.transpose(0, 2, 3, 1))
    assert labels == [n % 7 for n in range(50)]
    some, _ = whole(source, [0, 19, 20, 49])
    assert np.array_equal(some, images[[0, 19, 20, 49]])
    _, table = prepare(f"hdf5:{path}")
    assert np.array_equal(table.split("train").images.numpy(), images)
    assert parse_source(f"hdf5:{path}").carried() == {"labels"}
    assert parse_source(f"hdf5:{path}").short == "ILSVRC8"


def test_a_chunk_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gan_models.data.sources.hdf5_arrays import Hdf5Arrays

    read: list[int] = []
    ask = h5py.Dataset.__getitem__

    def counted(self: h5py.Dataset, key: object) -> object:
        block = ask(self, key)
        read.append(len(block))
        return block

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counted)
    pieces = list(Hdf5Arrays(biggan(tmp_path / "a.h5")).pieces("imgs", 5))
    assert [len(piece) for piece in pieces] == [5] * 10
    assert read == [20, 20, 10]


def test_other_arrays_are_chosen_and_groups_are_splits(tmp_path: Path, picture: Picture) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["volume"] = PIXELS.transpose(0, 2, 3, 1)
        file["kind"] = ["cat" if n % 2 else "dog" for n in range(50)]
    from gan_models.data.sources.base import Fields

    source = parse_source(f"hdf5:{tmp_path}/a.h5", Fields(image="volume", label="kind")).open()
    assert source.class_names == ("cat", "dog")
    images, labels = whole(source)
    assert np.array_equal(images, PIXELS.transpose(0, 2, 3, 1))
    assert labels[:4] == [1, 0, 1, 0]
    with pytest.raises(
        RequestError, match=r"has no array 'images', 'imgs', .*its arrays are kind, volume; data\.image="
    ):
        parse_source(f"hdf5:{tmp_path}/a.h5").open()
    with h5py.File(tmp_path / "b.h5", "w") as file:
        for split, count in {"train": 30, "test": 20}.items():
            file[f"{split}/images"], file[f"{split}/labels"] = PIXELS[:count], np.zeros(count, np.int32)
    assert parse_source(f"hdf5:{tmp_path}/b.h5").open().split_counts == {"train": 30, "test": 20}


def test_arrays_of_encoded_images(tmp_path: Path, picture: Picture) -> None:
    stored = [picture(seed, mode="RGB", format="JPEG") for seed in range(40)]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        array = file.create_dataset("images", (40,), h5py.vlen_dtype(np.uint8))
        for row, content in enumerate(stored):
            array[row] = np.frombuffer(content, np.uint8)
        file["labels"] = np.arange(40) % 3
    source = parse_source(f"hdf5:{tmp_path}/a.h5").open()
    assert [item for batch in source.batches(None, 9) for item in batch.items] == stored
    assert [item for batch in source.batches([3, 35], 9) for item in batch.items] == [stored[3], stored[35]]


def test_it_is_read_from_an_address(tmp_path: Path) -> None:
    with web_site() as site:
        site.files["/a.hdf5"] = biggan(tmp_path / "a.hdf5").read_bytes()
        images, _ = whole(parse_source(f"{site.address}/a.hdf5").open())
    assert np.array_equal(images, PIXELS.transpose(0, 2, 3, 1))


@pytest.fixture
def unknown_filter(tmp_path: Path) -> Path:
    """Packed by a filter that h5py has, whose number in the file is then one that nobody has."""
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("images", data=PIXELS, chunks=(50, 3, 8, 8), compression="lzf")
    content = path.read_bytes()
    assert content.count(b"lzf\0") == 1
    place = content.index(b"lzf\0")
    number = content.rindex((32000).to_bytes(2, "little"), 0, place)
    path.write_bytes(content[:number] + (31999).to_bytes(2, "little") + content[number + 2 :])
    return path


def test_what_cannot_be_read_is_a_sentence(
    tmp_path: Path, unknown_filter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RequestError, match=r"array 'images' is packed by the filter lzf, which is not here"):
        parse_source(f"hdf5:{unknown_filter}").open()
    (tmp_path / "text.h5").write_text("no HDF5" * 100)
    whole_file = biggan(tmp_path / "b.h5").read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole_file[: len(whole_file) // 2])
    for name in ("text.h5", "cut.h5"):
        with pytest.raises(RequestError, match=rf"cannot read .*{name} as an HDF5 file: .*(truncated|signature)"):
            parse_source(f"hdf5:{tmp_path}/{name}").open()
    monkeypatch.setattr("gan_models.data.sources.hdf5.find_spec", lambda package: None)
    with pytest.raises(RequestError, match=r"package h5py, which is not installed: pip install gan-pipeline\[hdf5\]"):
        parse_source(f"hdf5:{tmp_path}/b.h5").open()


def test_whatever_is_damaged_ends_in_a_sentence(tmp_path: Path) -> None:
    whole_file = biggan(tmp_path / "a.h5").read_bytes()
    said = 0
    for seed in range(60):
        chosen, content = np.random.default_rng(seed), bytearray(whole_file)
        for place in chosen.integers(0, min(3000, len(content)), 16):
            content[place] = chosen.integers(0, 256)
        (tmp_path / "b.h5").write_bytes(content)
        try:
            source = parse_source(f"hdf5:{tmp_path}/b.h5").open()
            with reading("hdf5:b.h5"):
                list(source.batches(None, 9))
        except (RequestError, RunError):
            said += 1
    assert said > 10
