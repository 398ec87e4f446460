"""A data set that is prepared again after images came and went."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gan_models.data import table_writer
from gan_models.data.preparing import decode_pool, table_building
from gan_models.data.preparing.preparation import Preparation, account
from gan_models.data.table import ImageTable
from gan_models.data.table_file import TableFile
from gan_models.recipes.schema import Data

Folder = Callable[[str, range], Path]


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
