"""Duplicates and leaks in a table."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.prepare_data.splits import Duplicate, find_duplicates


def find(folder: Path, digests: list[int], splits: list[str], labels: list[int | None]) -> tuple[list[Duplicate], int]:
    columns = {"label": pa.array(labels, pa.int64()), "split": pa.array(splits, pa.string())}
    pq.write_table(pa.table(columns), folder / "table.parquet", row_group_size=2)
    return find_duplicates(folder / "table.parquet", np.array(digests, np.uint64))


def test_duplicates_point_to_the_first_of_the_earliest_split(tmp_path: Path) -> None:
    digests = [7, 1, 7, 2, 7, 7]
    splits = ["test", "train", "validation", "train", "train", "train"]
    found, conflicts = find(tmp_path, digests, splits, [0, 0, 0, 0, 0, 0])
    assert found == [Duplicate(0, 4, True), Duplicate(2, 4, True), Duplicate(5, 4, False)]
    assert conflicts == 0


def test_equal_images_with_different_labels_are_counted(tmp_path: Path) -> None:
    assert find(tmp_path, [1, 1, 2, 2, 3], ["train"] * 5, [0, 1, 0, 0, None])[1] == 1


def test_no_images_no_duplicates(tmp_path: Path) -> None:
    assert find(tmp_path, [], [], []) == ([], 0)
