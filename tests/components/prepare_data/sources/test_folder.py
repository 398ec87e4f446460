"""Folders: sub-folders are classes, train/val/test at the top are splits."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gan_models.data.sources.paths import FolderSource
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


@pytest.mark.parametrize("validation", ["val", "valid", "Validation", "dev"])
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


@pytest.mark.parametrize("above", ["", "train/"])
def test_a_folder_of_what_is_unlabelled_is_no_class(folder: Folder, above: str) -> None:
    folder(f"{above}cat", range(2))
    folder(f"{above}Unlabeled", range(4, 6))
    source = FolderSource(folder(f"{above}dog", range(2, 4)))
    assert source.class_names == ("cat", "dog")
    assert [label for _, label, _ in rows(source)] == [None, None, 0, 0, 1, 1]
    assert source.notes == ["2 of 6 images have no label"]
    assert source.doubts == []


def test_what_is_unlabelled_beside_the_splits_is_trained_on(folder: Folder) -> None:
    folder("train/cat", range(2))
    folder("train/dog", range(2, 4))
    folder("unlabeled", range(6, 8))
    source = FolderSource(folder("test/cat", range(4, 6)))
    assert source.class_names == ("cat", "dog")
    assert source.split_counts == {"train": 6, "test": 2}
    assert [label for _, label, split in rows(source) if split == "train"] == [0, 0, 1, 1, None, None]


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


def test_a_folder_beside_the_splits_is_left_out_and_named(folder: Folder) -> None:
    """It turned the splits into classes: what was held out was trained on."""
    folder("train/cat", range(2))
    folder("train/dog", range(2, 4))
    folder("masks", range(6, 9))
    source = FolderSource(folder("test/cat", range(4, 6)))
    assert source.class_names == ("cat", "dog")
    assert source.split_counts == {"train": 4, "test": 2}
    assert source.notes == ["test and train are splits; masks beside them is left out"]
    assert ("masks/0006.png", "beside the folders of the splits") in source.ignored
    assert source.total == 6


def test_a_class_of_trains_is_a_class_and_that_is_said(folder: Folder) -> None:
    folder("train", range(2))
    source = FolderSource(folder("plane", range(2, 4)))
    assert source.class_names == ("plane", "train")
    assert ["the folder train beside others becomes a class" in doubt for doubt in source.doubts] == [True]


def test_half_of_two_domains_is_told_of(folder: Folder) -> None:
    folder("trainA", range(2))
    source = FolderSource(folder("testA", range(2, 4)))
    assert source.class_names == ("testA", "trainA")
    assert source.doubts == [
        "the folders testA, trainA become classes: two domains with splits are trainA and trainB, testA and testB"
    ]


def test_the_labels_of_stylegan_s_tools_are_read_and_its_folders_are_no_classes(folder: Folder) -> None:
    for number in range(3):
        root = folder(f"{number:05d}", range(2))
    labels = [[f"{number:05d}/{image:04d}.png", image] for number in range(3) for image in range(2)]
    (root / "dataset.json").write_text(json.dumps({"labels": labels}))
    source = FolderSource(root)
    assert source.class_names == ("0", "1")
    assert [label for _, label, _ in rows(source)] == [0, 1] * 3
    (root / "dataset.json").write_text(json.dumps({"labels": None}))
    assert FolderSource(root).class_names == ("00000", "00001", "00002")
    for wrong in ("[", "{}", '{"labels": [["a.png", "cat"]]}', "[" * 100_000):
        (root / "dataset.json").write_text(wrong)
        with pytest.raises(RequestError, match="is not what StyleGAN's tools write"):
            FolderSource(root)
