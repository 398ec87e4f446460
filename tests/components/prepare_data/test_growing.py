"""A data set that is prepared again after images came and went."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gan_models.data import table_writer
from gan_models.data.preparing import decode_pool, table_building
from gan_models.data.preparing.preparation import Preparation, account
from gan_models.data.table import ImageTable
from gan_models.data.table_file import TableFile
from gan_models.errors import RequestError, RunError
from gan_models.recipes.schema import Data
from tests.object_store import Bucket, object_store

Folder = Callable[[str, range], Path]


@pytest.fixture(scope="module")
def store() -> Iterator[Bucket]:
    with object_store() as bucket:
        yield bucket


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_writer, "SHARD_ROWS", 16)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each batch that was decoded held."""
    counts: list[int] = []

    def counting(self: decode_pool.DecodePool, batch: Any, seat: int) -> Any:
        counts.append(len(batch))
        return original(self, batch, seat)

    original = decode_pool.DecodePool._decode
    monkeypatch.setattr(decode_pool.DecodePool, "_decode", counting)
    return counts


def prepared(source: str, output: Path, earlier: Path | None = None, **options: Any) -> tuple[ImageTable, list[str]]:
    given = {"size": 8, "test": 0.2, "validation": 0.1, **options}
    built = Preparation.of(Data(source=source, **given)).write(output, lambda done, bad: None, earlier)
    return ImageTable.open(output), list(account(built))


def images(table: ImageTable) -> dict[str, tuple[str, int | None, list[int]]]:
    """Of each path: split, label and pixels."""
    found = {}
    for name in table.metadata.splits:
        split = table.split(name)
        labels = [None] * len(split) if split.labels is None else split.labels.tolist()
        found |= {
            path: (name, label, image.flatten().tolist())
            for path, label, image in zip(split.paths, labels, split.images, strict=True)
        }
    return found


def inodes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_ino for file in (folder / "shards").iterdir()}


def test_only_what_is_new_is_decoded_and_the_rest_are_the_same_files(
    folder: Folder, tmp_path: Path, decoded: list[int]
) -> None:
    folder("cat", range(60))
    root = folder("dog", range(60, 120))
    old, _ = prepared(f"folder:{root}", tmp_path / "old")
    before, places = images(old), dict(inodes(tmp_path / "old").items())
    assert sum(decoded) == 120
    decoded.clear()
    folder("cat", range(120, 123))  # sorted between the others
    grown, said = prepared(f"folder:{root}", tmp_path / "new", tmp_path / "old")
    assert sum(decoded) == 3
    assert "120 rows are those of the table before, 0 of it are gone, 3 are new" in said
    now = images(grown)
    assert {path: now[path] for path in before} == before
    assert {file: place for file, place in inodes(tmp_path / "new").items() if file in places} == places
    assert len(inodes(tmp_path / "new")) == len(places) + 1
    # The same images as of a table that is made anew; those that were there come first.
    anew, _ = prepared(f"folder:{root}", tmp_path / "anew")
    assert images(anew) == now
    assert anew.metadata.counts == grown.metadata.counts
    assert anew.metadata.fingerprint != grown.metadata.fingerprint
    assert images(ImageTable.open(tmp_path / "old")) == before


def test_nothing_new_is_the_same_table(folder: Folder, tmp_path: Path, decoded: list[int]) -> None:
    root = folder("", range(50))
    old, _ = prepared(f"folder:{root}", tmp_path / "old")
    decoded.clear()
    again, _ = prepared(f"folder:{root}", tmp_path / "new", tmp_path / "old")
    assert sum(decoded) == 0
    assert again.metadata == old.metadata
    assert inodes(tmp_path / "new") == inodes(tmp_path / "old")


def test_what_is_gone_goes_and_what_changed_is_read_again(folder: Folder, tmp_path: Path, decoded: list[int]) -> None:
    root = folder("", range(64))
    prepared(f"folder:{root}", tmp_path / "old")
    places = inodes(tmp_path / "old")
    (root / "0003.png").unlink()
    shutil.copyfile(folder("elsewhere", range(500, 501)) / "elsewhere/0500.png", root / "0020.png")
    shutil.rmtree(root / "elsewhere")
    decoded.clear()
    grown, said = prepared(f"folder:{root}", tmp_path / "new", tmp_path / "old")
    assert sum(decoded) == 1
    assert "62 rows are those of the table before, 2 of it are gone, 1 are new" in said
    anew, _ = prepared(f"folder:{root}", tmp_path / "anew")
    assert images(grown) == images(anew)
    now = inodes(tmp_path / "new")
    assert sorted(file for file, place in now.items() if places.get(file) == place) == ["00002.arrow", "00003.arrow"]
    assert len(ImageTable.open(tmp_path / "old").split("train")) > 40  # is as it was
    TableFile(tmp_path / "old")


def test_a_new_image_that_equals_an_old_one_is_left_out(folder: Folder, tmp_path: Path) -> None:
    root = folder("", range(40))
    old, _ = prepared(f"folder:{root}", tmp_path / "old")
    shutil.copyfile(root / "0007.png", root / "0001a.png")
    grown, said = prepared(f"folder:{root}", tmp_path / "new", tmp_path / "old")
    assert images(grown) == images(old)
    assert any("1 images equal others pixel by pixel" in sentence for sentence in said)
    assert "0001a.png" in (tmp_path / "new/duplicates.csv").read_text()


@pytest.mark.parametrize(
    "change", [{"size": 16}, {"test": 0.3}, {"split_seed": 1}, {"fit": "pad"}, {"storage": "encoded"}]
)
def test_a_table_that_was_made_in_another_way_is_not_taken_over(
    folder: Folder, tmp_path: Path, decoded: list[int], change: dict[str, Any]
) -> None:
    root = folder("", range(40))
    prepared(f"folder:{root}", tmp_path / "old")
    decoded.clear()
    grown, _ = prepared(f"folder:{root}", tmp_path / "new", tmp_path / "old", **change)
    anew, _ = prepared(f"folder:{root}", tmp_path / "anew", **change)
    assert sum(decoded) == 80
    assert grown.metadata == anew.metadata


def test_a_damaged_table_is_not_taken_over(folder: Folder, tmp_path: Path) -> None:
    root = folder("", range(40))
    prepared(f"folder:{root}", tmp_path / "old")
    (tmp_path / "old/table.json").write_text("{")
    grown, _ = prepared(f"folder:{root}", tmp_path / "new", tmp_path / "old")
    assert grown.metadata == prepared(f"folder:{root}", tmp_path / "anew")[0].metadata


def test_without_hard_links_shards_are_copied(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder("", range(40))
    old, _ = prepared(f"folder:{root}", tmp_path / "old")

    def refused(*_: object) -> None:
        raise OSError("across devices")

    monkeypatch.setattr(os, "link", refused)
    grown, _ = prepared(f"folder:{root}", tmp_path / "new", tmp_path / "old")
    assert grown.metadata == old.metadata
    assert not set(inodes(tmp_path / "new").values()) & set(inodes(tmp_path / "old").values())


def test_a_table_grows_in_its_own_place_or_stays_whole(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder("", range(40))
    place = tmp_path / "table"
    old, _ = prepared(f"folder:{root}", place)
    folder("", range(40, 60))

    def full(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(table_building, "write_manifest", full)
        with pytest.raises(KeyboardInterrupt):
            prepared(f"folder:{root}", place, place)
    assert images(ImageTable.open(place)) == images(old)
    grown, _ = prepared(f"folder:{root}", place, place)
    assert len(images(grown)) == 60
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".table")] == []


def test_the_last_table_of_this_machine_is_found(
    folder: Folder, tmp_path: Path, decoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_PIPELINE_CACHE", str(tmp_path / "cache"))
    root = folder("", range(40))
    prepared(f"folder:{root}", tmp_path / "a", grow=True)
    folder("", range(40, 45))
    decoded.clear()
    grown, _ = prepared(f"folder:{root}", tmp_path / "b", grow=True)
    assert (sum(decoded), len(images(grown))) == (5, 45)
    decoded.clear()
    prepared(f"folder:{root}", tmp_path / "c", grow=False)
    assert sum(decoded) == 45
    decoded.clear()
    shutil.rmtree(tmp_path / "b")
    assert len(images(prepared(f"folder:{root}", tmp_path / "d", grow=True)[0])) == 45
    assert sum(decoded) == 45


@pytest.mark.parametrize("repeats", ["once", "keep"])
def test_archives_and_repeats(folder: Folder, tmp_path: Path, decoded: list[int], repeats: str) -> None:
    root = folder("cat", range(40))
    folder("dog", range(20, 50))
    place = tmp_path / "images.zip"
    shutil.make_archive(str(place.with_suffix("")), "zip", root)
    old, _ = prepared(f"zip:{place}", tmp_path / "old", repeats=repeats)
    folder("dog", range(60, 70))
    shutil.make_archive(str(place.with_suffix("")), "zip", root)
    decoded.clear()
    grown, _ = prepared(f"zip:{place}", tmp_path / "new", tmp_path / "old", repeats=repeats)
    assert len(images(grown)) == len(images(old)) + 10
    assert sum(decoded) < 80 / 2
    for path, row in images(old).items():
        assert images(grown)[path] == row


class Kept:
    """A place of its own in the store, and machines that have nothing in their caches."""

    def __init__(self, store: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._store, self._tmp_path, self._monkeypatch = store, tmp_path, monkeypatch
        self.address = f"s3://{store.name}/{tmp_path.name}"
        self.another_machine()

    def another_machine(self) -> Path:
        cache = self._tmp_path / f"cache-{len(list(self._tmp_path.glob('cache-*')))}"
        self._monkeypatch.setenv("GAN_PIPELINE_CACHE", str(cache))
        return cache

    def objects(self) -> dict[str, str]:
        """Keys below the place, each with what changes when it is written again."""
        found = self._store.client.list_objects_v2(Bucket=self._store.name, Prefix=f"{self._tmp_path.name}/")
        keys = {each["Key"]: each["LastModified"].isoformat() + each["ETag"] for each in found.get("Contents", [])}
        return {key.split("/", 2)[2]: version for key, version in keys.items()}

    def shards(self) -> dict[str, str]:
        return {key: version for key, version in self.objects().items() if key.startswith("shards/")}

    def change(self, name: str, content: bytes | None) -> None:
        found = self._store.client.list_objects_v2(Bucket=self._store.name, Prefix=f"{self._tmp_path.name}/")
        (key,) = (each["Key"] for each in found["Contents"] if each["Key"].endswith(name))
        if content is None:
            self._store.client.delete_object(Bucket=self._store.name, Key=key)
        else:
            self._store.put(key, content)


@pytest.fixture
def kept(store: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    return Kept(store, tmp_path, monkeypatch)


@pytest.mark.parametrize("storage", ["pixels", "encoded"])
def test_a_table_at_an_address_grows_on_any_machine_and_new_shards_alone_are_sent(
    folder: Folder, tmp_path: Path, decoded: list[int], kept: Kept, storage: str
) -> None:
    folder("cat", range(60))
    root = folder("dog", range(60, 120))
    options = {"grow": kept.address, "storage": storage}
    old, said = prepared(f"folder:{root}", tmp_path / "old", **options)
    assert "8 of its 8 shards were put at" in "".join(said)
    assert not (tmp_path / "old/shards").exists()
    whole, _ = prepared(f"folder:{root}", tmp_path / "whole", storage=storage)
    assert images(old) == images(whole)
    assert old.metadata.fingerprint == whole.metadata.fingerprint
    sent = kept.shards()
    assert len(sent) == 8
    assert {*kept.objects()} - {*sent} == {"table.json", "options.json"}

    folder("cat", range(120, 123))
    decoded.clear()
    cache = kept.another_machine()
    grown, said = prepared(f"folder:{root}", tmp_path / "new", **options)
    assert sum(decoded) == 3
    assert "120 rows are those of the table before, 0 of it are gone, 3 are new" in said
    assert "1 of its 9 shards were put at" in "".join(said)
    assert {key: version for key, version in kept.shards().items() if key in sent} == sent
    # Of shards that were there no image was fetched but for the preview's.
    assert len([*cache.glob("shards/*.columns")]) == 8
    assert len([*cache.glob("shards/*.arrow")]) <= 1 + table_building.FETCHED_FOR_PREVIEW
    kept.another_machine()
    assert images(grown) == images(prepared(f"folder:{root}", tmp_path / "anew", storage=storage)[0])
    assert images(old) == images(whole)  # is as it was


def test_what_is_gone_goes_from_a_kept_table_and_its_shard_is_sent_anew(
    folder: Folder, tmp_path: Path, kept: Kept
) -> None:
    root = folder("", range(64))
    old, _ = prepared(f"folder:{root}", tmp_path / "old", grow=kept.address)
    before, sent = images(old), kept.shards()
    (root / "0003.png").unlink()
    kept.another_machine()
    now, said = prepared(f"folder:{root}", tmp_path / "new", grow=kept.address)
    assert "1 of its 4 shards were put at" in "".join(said)
    assert images(now) == images(prepared(f"folder:{root}", tmp_path / "anew")[0])
    assert {key: version for key, version in kept.shards().items() if key in sent} == sent
    assert images(old) == before


def test_a_preparation_that_ended_while_it_sent_shards_goes_on(
    folder: Folder, tmp_path: Path, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder("", range(64))
    preparation = Preparation.of(Data(source=f"folder:{root}", size=8, grow=kept.address))
    calls = []

    def stopped(done: int, bad: int) -> None:
        calls.append(done)
        if kept.shards():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        preparation.write(tmp_path / "table", stopped)
    assert not (tmp_path / "table").exists()
    assert "table.json" not in kept.objects()
    sent = kept.shards()
    assert sent
    table, _ = prepared(f"folder:{root}", tmp_path / "table", grow=kept.address, test=0.1)
    assert {key: version for key, version in kept.shards().items() if key in sent} == sent
    assert len(images(table)) == 64


@pytest.mark.parametrize("content", [None, b"something else"])
def test_a_shard_that_is_gone_or_another_is_a_sentence(
    folder: Folder, tmp_path: Path, kept: Kept, content: bytes | None
) -> None:
    root = folder("", range(64))
    table, _ = prepared(f"folder:{root}", tmp_path / "table", grow=kept.address)
    (name, *_) = kept.shards()
    kept.change(name, content)
    assert len(images(table)) == 64  # as long as there is a copy
    kept.another_machine()
    wanted = "is gone, which the data set is made of" if content is None else "is not what was put there"
    with pytest.raises(RequestError if content is None else RunError, match=f"{name} {wanted}"):
        images(table)
    if content is not None:
        with pytest.raises(RunError, match=f"{name} {wanted}: remove it, and prepare the data again"):
            prepared(f"folder:{root}", tmp_path / "anew", grow=kept.address)
        kept.change(name, None)
    anew, _ = prepared(f"folder:{root}", tmp_path / "anew", grow=kept.address)
    assert images(anew) == images(prepared(f"folder:{root}", tmp_path / "whole")[0])


def test_a_damaged_copy_is_named_and_can_be_deleted(folder: Folder, tmp_path: Path, kept: Kept) -> None:
    root = folder("", range(64))
    table, _ = prepared(f"folder:{root}", tmp_path / "table", grow=kept.address)
    cache = kept.another_machine()
    expected = images(table)
    (copy, *_) = sorted(cache.glob("shards/*.arrow"))
    content = bytearray(copy.read_bytes())
    content[len(content) // 4] ^= 1
    copy.write_bytes(content)
    with pytest.raises(RequestError, match=rf"delete {copy.with_suffix('')}\.\*, and it is fetched anew"):
        images(table)
    copy.unlink()
    assert images(table) == expected


def test_so_are_damaged_small_columns(folder: Folder, tmp_path: Path, kept: Kept) -> None:
    root = folder("", range(64))
    prepared(f"folder:{root}", tmp_path / "table", grow=kept.address)
    cache = kept.another_machine()
    prepared(f"folder:{root}", tmp_path / "again", grow=kept.address)
    for whole in cache.glob("shards/*.arrow"):  # the preview's
        whole.unlink()
    (copy, *_) = sorted(cache.glob("shards/*.columns"))
    copy.write_bytes(copy.read_bytes()[:-100])
    table = TableFile(tmp_path / "again")
    with pytest.raises(RequestError, match=rf"delete {copy.with_suffix('')}\.\*, and it is fetched anew"):
        list(table.shards())
    copy.unlink()
    assert len(list(table.shards())) == 4


def test_where_nothing_can_be_written_nothing_is_read_first(
    folder: Folder, tmp_path: Path, decoded: list[int], store: Bucket
) -> None:
    root = folder("", range(64))
    with pytest.raises(RunError, match=r"s3://no-such-bucket/tables/\w+/options.json could not be written: "):
        prepared(f"folder:{root}", tmp_path / "table", grow="s3://no-such-bucket/tables")
    assert not decoded
    assert not (tmp_path / "table").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("yes", "it is true, false, or an address"),
        ("/mnt/tables", "it is true, false, or an address"),
        ("https://host/tables", "it is true, false, or an address"),
        ("s3://key:secret@bucket/tables", "holds a login"),
        ("s3://", "names no bucket"),
    ],
)
def test_tables_are_kept_at_addresses_that_can_be_written(given: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        Data(grow=given)
    assert "secret@" not in str(caught.value.errors()[0]["msg"])  # type: ignore[attr-defined]
