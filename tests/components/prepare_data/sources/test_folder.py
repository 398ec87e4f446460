"""Folders: sub-folders are classes, train/val/test at the top are splits."""

from collections.abc import Callable
from pathlib import Path

import pytest

from components.prepare_data.sources.paths import FolderSource
from gan_models.errors import RequestError

Folder = Callable[[str, range], Path]


def rows(source: FolderSource) -> list[tuple[str, int | None, str | None]]:
    batches = list(source.batches(None, 3))
    assert all(len(batch) <= 3 for batch in batches)
    return [row for batch in batches for row in zip(batch.paths, batch.labels, batch.splits, strict=True)]


def test_sub_folders_are_classes_in_alphabetical_order(folder: Folder) -> None:
    folder("dog", range(2))
    source = FolderSource(folder("cat/indoors", range(2)))
    assert source.class_names == ("cat", "dog")
    assert source.total == 4
    assert rows(source) == [
        ("cat/indoors/0000.png", 0, None),
        ("cat/indoors/0001.png", 0, None),
        ("dog/0000.png", 1, None),
        ("dog/0001.png", 1, None),
    ]


@pytest.mark.parametrize("place", ["", "all"])
def test_flat_folder_and_a_single_sub_folder_are_unlabelled(folder: Folder, place: str) -> None:
    source = FolderSource(folder(place, range(3)))
    assert source.class_names == ()
    assert source.given_splits == frozenset()
    assert {label for _, label, _ in rows(source)} == {None}


@pytest.mark.parametrize("validation", ["val", "valid", "Validation"])
def test_splits_at_the_top_are_honoured(folder: Folder, validation: str) -> None:
    folder("train/cat", range(2))
    folder("train/dog", range(2, 4))
    folder(f"{validation}/cat", range(4, 5))
    source = FolderSource(folder("test/dog", range(5, 6)))
    assert source.class_names == ("cat", "dog")
    assert source.given_splits == {"train", "validation", "test"}
    assert [(label, split) for _, label, split in sorted(rows(source))] == sorted(
        [(0, "train"), (0, "train"), (1, "train"), (1, "train"), (0, "validation"), (1, "test")],
        key=lambda row: {"train": "train", "test": "test", "validation": validation}[row[1]],
    )


def test_splits_without_classes(folder: Folder) -> None:
    folder("train", range(2))
    source = FolderSource(folder("test", range(2, 4)))
    assert source.class_names == ()
    assert [split for *_, split in rows(source)] == ["test", "test", "train", "train"]


def test_a_class_called_train_is_a_class(folder: Folder) -> None:
    folder("train", range(1))
    folder("car", range(1))
    source = FolderSource(folder("plane", range(1)))
    assert source.class_names == ("car", "plane", "train")
    assert source.given_splits == frozenset()


def test_split_folders_without_training_images(folder: Folder) -> None:
    with pytest.raises(RequestError, match="holds test images but none in a train folder"):
        FolderSource(folder("test", range(1)))


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"holds no images \(no files\)"):
        FolderSource(tmp_path)
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(RequestError, match=r"holds no images \(1 other files\)"):
        FolderSource(tmp_path)


def test_what_is_no_image_by_its_name_is_set_aside(folder: Folder) -> None:
    root = folder("cat", range(2))
    folder("dog", range(2))
    (root / "labels.csv").write_text("a,b")
    (root / "cat/.DS_Store").write_bytes(b"x")
    source = FolderSource(root)
    assert source.ignored == [("labels.csv", "not an image, by its name")]
    assert source.total == 4


def test_some_rows_only(folder: Folder) -> None:
    source = FolderSource(folder("", range(6)))
    (batch,) = source.batches([1, 4], 10)
    assert batch.paths == ["0001.png", "0004.png"]
