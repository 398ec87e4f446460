"""Splits of `datasets` as tables of images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from gan_models.data.decoding import BadImageError, Item
from gan_models.data.sources.base import BATCH_BYTES, NONE, SPLIT_NAMES, Fields, some
from gan_models.data.sources.parquet import CAPTION_COLUMNS, Table, TableSource
from gan_models.errors import RequestError

GROUP_ROWS = 1000
ROWS_AT_ONCE = 16


class HubTable(Table):
    """One split; its rows are mapped from the disk."""

    def __init__(self, name: str, split: Any) -> None:
        self.name = name or "data"
        self.schema = split.features.arrow_schema
        self.rows = len(split)
        self.groups = -(-self.rows // GROUP_ROWS)
        self._split = split.with_format("arrow")

    def __str__(self) -> str:
        return f"the split {self.name}"

    def column(self, name: str, items: int) -> Iterator[pa.Array]:
        chosen = self._split.select_columns([name])
        for start in range(0, self.rows, items):
            yield chosen[start : start + items].column(0).combine_chunks()

    def read(self, groups: Iterable[int], columns: list[str], items: int) -> Iterator[pa.RecordBatch]:
        chosen = self._split.select_columns(columns)
        for group in groups:
            waiting: list[pa.RecordBatch] = []
            end = min(self.rows, (group + 1) * GROUP_ROWS)
            for start in range(group * GROUP_ROWS, end, step := min(items, ROWS_AT_ONCE)):
                waiting += chosen[start : min(end, start + step)].to_batches()
                rows, size = sum(map(len, waiting)), sum(each.nbytes for each in waiting)
                if rows + step > items or size >= BATCH_BYTES:
                    yield pa.concat_batches(waiting)
                    waiting = []
            if waiting:
                yield pa.concat_batches(waiting)


class HubSource(TableSource):
    """A data set of `datasets`.

    Args:
        splits: by its own names.

    Raises:
        RequestError: as `TableSource`.
    """

    def __init__(self, place: str, splits: Mapping[str, Any], fields: Fields) -> None:
        names = {name: SPLIT_NAMES.get(name.lower()) for name in splits}
        others = [name for name, split in names.items() if split is None]
        if len(others) < len(names):  # what is called train and test says that the rest is neither
            names = {name: split for name, split in names.items() if split is not None}
        if not names:
            raise RequestError(f"{place} holds no images: it has no splits")
        tables = [HubTable(name, splits[name]) for name in names]
        super().__init__(place, tables, list(names.values()), fields)
        if left := [name for name in others if name not in names]:
            self.doubts = [
                *self.doubts,
                f"the splits {some(left)} are left out: they are called neither train nor test",
            ]

    def _beside(self, path: str | None) -> Item:
        if path and Path(path).is_file():  # unpacked by `datasets` in its cache
            return path
        return BadImageError("the row holds no image bytes")


def columns_of(features: Mapping[str, Any], fields: Fields) -> tuple[str, str, str]:
    """The columns of labels, captions and domains, by what is known of them; "" where there are none."""

    def chosen(option: str | None, usual: str) -> str:
        return usual if option is None else "" if option in (NONE, "classes") else option

    classes = [name for name, kind in features.items() if type(kind).__name__ == "ClassLabel"]
    label = "label" if "label" in features else classes[0] if len(classes) == 1 else ""
    texts = [name for name in CAPTION_COLUMNS if getattr(features.get(name), "dtype", "") in ("string", "large_string")]
    return (
        chosen(fields.label, label),
        chosen(fields.caption, texts[0] if texts else ""),
        chosen(fields.domain, "domain" if "domain" in features else ""),
    )
