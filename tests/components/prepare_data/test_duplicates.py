"""Duplicates and leaks in a table."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gan_models.data.preparing.splits import Duplicate, find_duplicates


def find(
    folder: Path,
    digests: list[int],
    splits: list[str],
    labels: list[int | None],
    captions: list[str | None] | None = None,
) -> tuple[list[Duplicate], int]:
    columns = {
        "label": pa.array(labels, pa.int64()),
        "caption": pa.array(captions or [None] * len(digests), pa.string()),
        "domain": pa.nulls(len(digests), pa.string()),
        "split": pa.array(splits, pa.string()),
    }
    pq.write_table(pa.table(columns), folder / "table.parquet", row_group_size=2)
    return find_duplicates(folder / "table.parquet", np.array(digests, np.uint64))


def test_duplicates_point_to_the_first_of_the_earliest_split(tmp_path: Path) -> None:
    digests = [7, 1, 7, 2, 7, 7]
    splits = ["test", "train", "validation", "train", "train", "train"]
    found, conflicts = find(tmp_path, digests, splits, [0, 0, 0, 0, 0, 0])
    assert found == [
        Duplicate(0, 4, leak=True, copy=False),
        Duplicate(2, 4, leak=True, copy=False),
        Duplicate(5, 4, leak=False, copy=True),
    ]
    assert conflicts == 0


def test_equal_images_with_different_labels_are_counted_and_no_copies(tmp_path: Path) -> None:
    found, conflicts = find(tmp_path, [1, 1, 2, 2, 3, 1], ["train"] * 6, [0, 1, 0, 0, None, 1])
    assert [(each.row, each.first, each.copy) for each in found] == [(1, 0, False), (3, 2, True), (5, 0, True)]
    assert conflicts == 1


def test_an_image_with_another_caption_is_no_copy(tmp_path: Path) -> None:
    found, _ = find(tmp_path, [5, 5, 5, 5], ["train"] * 4, [0] * 4, ["a cat", "a tabby", "a cat", None])
    assert [each.copy for each in found] == [False, True, False]


def test_no_images_no_duplicates(tmp_path: Path) -> None:
    assert find(tmp_path, [], [], []) == ([], 0)
