"""Duplicates in a written table: listing them, and taking out those that leak from one split into another."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.prepare_data.sources.base import rows_within
from components.prepare_data.splits import Duplicate
from gan_models.data.table_file import IMAGES_FILE, TableMetadata, TableWriter, pixel_rows

DUPLICATES_FILE = "duplicates.csv"
HEADER = ("path", "split", "duplicate_of", "duplicate_of_split", "removed")


def write_duplicates(folder: Path, duplicates: Sequence[Duplicate]) -> None:
    """Write `duplicates.csv`: each image that equals another one pixel by pixel, and whether it was removed."""
    rows = np.array([(duplicate.row, duplicate.first) for duplicate in duplicates], np.int64)
    places = _places(folder / IMAGES_FILE, np.unique(rows)) if len(rows) else {}
    with (folder / DUPLICATES_FILE).open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(HEADER)
        for duplicate in duplicates:
            removed = "yes" if duplicate.removed else "no"
            lines.writerow([*places[duplicate.row], *places[duplicate.first], removed])


def _places(table: Path, rows: np.ndarray) -> dict[int, tuple[str, str]]:
    """Path and split of some rows (ascending) of a table."""
    found: dict[int, tuple[str, str]] = {}
    for start, group in _row_groups(table, ["path", "split"]):
        inside = rows_within(rows, start, len(group))
        paths, splits = (group.column(name).take(pa.array(inside)).to_pylist() for name in ("path", "split"))
        found |= dict(zip((inside + start).tolist(), zip(paths, splits, strict=True), strict=True))
    return found


def remove_rows(table: Path, rows: Sequence[int], metadata: TableMetadata) -> TableMetadata:
    """Write the table again without some rows; returns its new metadata."""
    out = np.asarray(rows, np.int64)
    smaller = table.with_name(f"smaller-{table.name}")
    with TableWriter(smaller, metadata.height, metadata.width, metadata.channels) as writer:
        for start, group in _row_groups(table, None):
            keep = ~np.isin(np.arange(start, start + len(group)), out)
            pixels = pixel_rows(group.column("pixels"))[keep]
            others = group.drop_columns(["pixels"]).filter(pa.array(keep)).to_pydict()
            writer.append(pixels, others["label"], others["split"], others["path"], others["caption"], others["domain"])
        metadata = writer.close(metadata.class_names, metadata.source, metadata.options)
    smaller.replace(table)
    return metadata


def _row_groups(table: Path, columns: list[str] | None) -> Iterator[tuple[int, pa.Table]]:
    """(position of its first row, rows) of each row group."""
    start = 0
    with pq.ParquetFile(table) as file:
        for group in range(file.num_row_groups):
            rows = file.read_row_group(group, columns=columns, use_threads=False)
            yield start, rows
            start += len(rows)
