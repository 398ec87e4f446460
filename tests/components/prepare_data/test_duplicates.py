"""Duplicates and leaks in a table."""

import numpy as np
import pyarrow as pa

from gan_models.data.preparing.splits import Duplicate, find_duplicates
from gan_models.data.table_file import SPLITS


def find(
    digests: list[int],
    splits: list[str],
    labels: list[int | None],
    captions: list[str | None] | None = None,
) -> tuple[list[Duplicate], int]:
    columns = [
        pa.array(labels, pa.int64()),
        pa.array(captions or [None] * len(digests), pa.string()),
        pa.nulls(len(digests), pa.string()),
    ]
    places = np.array([SPLITS.index(split) for split in splits], np.int8)
    return find_duplicates(
        np.array(digests, np.uint64), places, lambda rows: [column.take(pa.array(rows)) for column in columns]
    )


def test_duplicates_point_to_the_first_of_the_earliest_split() -> None:
    digests = [7, 1, 7, 2, 7, 7]
    splits = ["test", "train", "validation", "train", "train", "train"]
    found, conflicts = find(digests, splits, [0, 0, 0, 0, 0, 0])
    assert found == [
        Duplicate(0, 4, leak=True, copy=False),
        Duplicate(2, 4, leak=True, copy=False),
        Duplicate(5, 4, leak=False, copy=True),
    ]
    assert conflicts == 0


def test_equal_images_with_different_labels_are_counted_and_no_copies() -> None:
    found, conflicts = find([1, 1, 2, 2, 3, 1], ["train"] * 6, [0, 1, 0, 0, None, 1])
    assert [(each.row, each.first, each.copy) for each in found] == [(1, 0, False), (3, 2, True), (5, 0, True)]
    assert conflicts == 1


def test_an_image_with_another_caption_is_no_copy() -> None:
    found, _ = find([5, 5, 5, 5], ["train"] * 4, [0] * 4, ["a cat", "a tabby", "a cat", None])
    assert [each.copy for each in found] == [False, True, False]


def test_no_images_no_duplicates() -> None:
    assert find([], [], []) == ([], 0)
