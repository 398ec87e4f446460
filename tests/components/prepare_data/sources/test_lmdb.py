"""LMDB as LSUN comes in: read in the order of the keys, never written to."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import lmdb
import numpy as np
import pytest

from gan_models.data.decoding import BadImageError, whole_image
from gan_models.data.sources import parse_source
from gan_models.data.sources.base import Batch, Source, reading
from gan_models.errors import RequestError, RunError
from tests.components.prepare_data.conftest import Picture, Prepare


def environment(place: Path, values: Mapping[bytes, bytes], *, subdir: bool = True) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    with lmdb.open(str(place), map_size=1 << 24, subdir=subdir) as written, written.begin(write=True) as transaction:
        for key, value in values.items():
            transaction.put(key, value)
    return place


def whole(source: Source, rows: list[int] | None = None) -> Batch:
    batches = list(source.batches(rows, 3))
    fields = ("items", "paths", "labels", "splits")
    return Batch(**{name: [each for batch in batches for each in getattr(batch, name)] for name in fields})


def test_images_come_in_the_order_of_their_keys(picture: Picture, tmp_path: Path) -> None:
    names = [f"{seed * 7919 % 101:040x}".encode() for seed in range(10)]
    stored = {name: picture(seed, mode="RGB", format="WEBP") for seed, name in enumerate(names)}
    place = environment(tmp_path / "bedroom_train_lmdb", stored)
    before = parse_source(str(place)).digest()
    source = parse_source(str(place)).open()  # by what it looks like
    assert (source.total, source.class_names, source.given_splits) == (10, (), frozenset())
    found = whole(source)
    assert found.items == [stored[name] for name in sorted(names)]
    assert found.paths == [f"bedroom_train_lmdb/{name.decode()}" for name in sorted(names)]
    assert whole(source, [0, 4, 9]).items == [found.items[row] for row in (0, 4, 9)]
    (place / "lock.mdb").touch()
    assert parse_source(f"lmdb:{place}").digest() == before
    assert parse_source(f"lmdb:{place}").short == "bedroom_train_lmdb"


def test_pixels_are_those_that_were_stored(prepare: Prepare, picture: Picture, tmp_path: Path) -> None:
    stored = {f"{seed:05}".encode(): picture(seed, mode="RGB") for seed in range(20)}
    _, table = prepare(f"lmdb:{environment(tmp_path / 'a.lmdb', stored, subdir=False)}")
    pixels = np.stack([np.asarray(whole_image(content)) for content in stored.values()])
    assert np.array_equal(table.split("train").images.numpy(), pixels)


def test_folders_of_lsun_are_classes_and_splits(picture: Picture, tmp_path: Path) -> None:
    for number, name in enumerate(("bedroom_train", "church_outdoor_train", "bedroom_val")):
        environment(tmp_path / f"lsun/{name}_lmdb", {b"%d" % n: picture(10 * number + n) for n in range(number + 2)})
    source = parse_source(f"lmdb:{tmp_path}/lsun").open()
    assert source.class_names == ("bedroom", "church_outdoor")
    assert dict(source.split_counts) == {"train": 5, "validation": 4}
    found = whole(source)
    assert found.labels == [0] * 2 + [0] * 4 + [1] * 3
    assert found.splits == ["train"] * 2 + ["validation"] * 4 + ["train"] * 3
    assert parse_source(f"lmdb:{tmp_path}/lsun").carried() == {"labels"}


def test_what_is_no_image_is_said_or_quarantined(picture: Picture, tmp_path: Path) -> None:
    stored = {b"0": picture(0), b"1": pickle.dumps({"an": "object"}), b"length": b"2"}
    source = parse_source(f"lmdb:{environment(tmp_path / 'a', stored)}").open()
    assert source.total == 2
    assert source.ignored == [(f"{tmp_path}/a/data.mdb: length", "says how many there are, by its name")]
    bad = whole(source).items[1]
    assert isinstance(bad, BadImageError)
    assert str(bad) == "a pickled Python object, which is never loaded"


def test_what_cannot_be_read_is_a_sentence(picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.lmdb").write_text("no LMDB " * 4000)
    place = environment(tmp_path / "cut", {b"%d" % n: picture(n, side=64) for n in range(50)}) / "data.mdb"
    content = place.read_bytes()
    place.write_bytes(content[: len(content) // 2])
    for path, said in {
        "folder": r"folder holds no data\.mdb: give the folder that does",
        "text.lmdb": r"cannot read .*text\.lmdb as LMDB: .*not an LMDB file",
        "cut": r"data\.mdb is cut short: it has \d+ of \d+ bytes; copy it again",
    }.items():
        with pytest.raises(RequestError, match=said):
            parse_source(f"lmdb:{tmp_path}/{path}").open()
    with pytest.raises(RequestError, match="LMDB is mapped from a disk: copy it to one"):
        parse_source("lmdb:s3://bucket/lsun")
    monkeypatch.setattr("gan_models.data.sources.lmdb.find_spec", lambda package: None)
    with pytest.raises(RequestError, match=r"package lmdb, which is not installed: pip install gan-pipeline\[lmdb\]"):
        parse_source(f"lmdb:{tmp_path}/cut").digest()


def test_a_file_that_ends_its_reader_is_a_sentence(picture: Picture, tmp_path: Path) -> None:
    place = environment(tmp_path / "a", {b"%04d" % n: picture(n, side=32) for n in range(300)}) / "data.mdb"
    whole_file = place.read_bytes()
    source = parse_source(f"lmdb:{tmp_path}/a").open()
    size = place.stat().st_size
    with place.open("r+b") as file:  # cut off after it was looked at: what is mapped is no more there
        file.truncate(4096 * 3)
    with pytest.raises(RunError, match=r"could not be read: .*(damaged|ended|MDB)"), reading(f"lmdb:{tmp_path}/a"):
        whole(source)
    place.write_bytes(whole_file)
    assert place.stat().st_size == size
    assert len(whole(source).items) == 300
