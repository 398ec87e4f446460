"""Writing an image table shard by shard, and a table again without some of its rows. Needs no PyTorch."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from gan_models.data.captions import choose_words, split_words
from gan_models.data.kept_shards import SHARDS_FOLDER
from gan_models.data.ranges import Ranges
from gan_models.data.table_file import (
    DIGEST_TYPE,
    EMBEDDED,
    FORMAT,
    IMAGES,
    SPLITS,
    TABLE_FILE,
    Manifest,
    Shard,
    ShardEntry,
    TableMetadata,
    content_digest,
    fingerprint_of,
    kind_of_depth,
    large_widths,
    row_digests,
)

SHARD_BYTES = 64 << 20
SHARD_ROWS = 1 << 14


def rows_of_a_shard(row_bytes: int) -> int:
    """Places of a source that make a shard: what is written does not depend on who reads which of them."""
    return max(1, min(SHARD_ROWS, SHARD_BYTES // row_bytes))


class TableWriter:
    """Writes an image table shard by shard; memory does not grow with rows.

    The folder holds a table only after `close`, flushed to disk; whoever calls renames it into place.

    Args:
        folder: is there already.
        attribute_names: of what is said of each image, 0 or 1; none where nothing is.
        paired: whether each image has a partner.
        embeddings: (n, E), how many each image carries, and their width; zeros where it carries none.
        depth: bits of a value, 8 or 16.
        storage: how images are kept; where `encoded`, they are given as arrays of bytes (`decoding.encode`).
        first: number of the first shard.
        ranges: which values of the files became black and white, where that is known.
    """

    def __init__(
        self,
        folder: Path,
        height: int,
        width: int,
        channels: int,
        *,
        attribute_names: Sequence[str] = (),
        paired: bool = False,
        embeddings: tuple[int, int] = (0, 0),
        depth: int = 8,
        storage: Literal["pixels", "encoded"] = "pixels",
        first: int = 0,
        ranges: Ranges | None = None,
    ) -> None:
        self.folder = folder
        self.shape = (height, width, channels)
        self.attribute_names = tuple(attribute_names)
        self.paired = paired
        self.embeddings = embeddings
        self.storage = storage
        self.depth = depth
        self._ranges = ranges
        self._row_bytes = height * width * channels * depth // 8
        self._large = large_widths(self._row_bytes, paired, embeddings)
        self._shard_rows = rows_of_a_shard(sum(self._large.values()))
        self._schema = pa.schema(
            [
                *(
                    (name, pa.binary() if self._is_encoded(name) else pa.binary(size))
                    for name, size in self._large.items()
                ),
                *((f"{name}_digest", pa.uint64()) for name in self._large),
                ("label", pa.int64()),
                ("stamp", pa.uint64()),
                *((name, pa.string()) for name in ("caption", "domain", "path")),
                *([("attributes", pa.binary(len(self.attribute_names)))] if attribute_names else []),
            ]
        )
        self._entries: list[ShardEntry] = []
        self._pending: list[tuple[list[str], dict[str, Any]]] = []  # splits and columns of rows of the shard at hand
        self._first = first
        self._number = 0  # of that shard, counted from the first
        self._rows = 0
        (folder / SHARDS_FOLDER).mkdir(exist_ok=True)

    def _is_encoded(self, column: str) -> bool:
        return self.storage == "encoded" and column in IMAGES

    @property
    def kind(self) -> np.dtype[Any]:
        """Of a value."""
        return kind_of_depth(self.depth)

    def append(
        self,
        pixels: np.ndarray,
        labels: Sequence[int | None],
        splits: Sequence[str],
        paths: Sequence[str],
        captions: Sequence[str | None] | None = None,
        domains: Sequence[str | None] | None = None,
        *,
        attributes: np.ndarray | None = None,
        partners: np.ndarray | None = None,
        embeddings: np.ndarray | None = None,
        digests: dict[str, np.ndarray] | None = None,
        places: Sequence[int] | None = None,
        stamps: np.ndarray | None = None,
    ) -> None:
        """Add rows: `pixels` [N, H*W*C] (or [N, H, W, C]), uint8 or little-endian uint16, the rest one entry a row.

        Either every row of a table has a domain, or none.

        Args:
            attributes: uint8 [N, A], 0 or 1; where the table has names for them.
            partners: as `pixels`; where the table is one of pairs.
            embeddings: float32 [N, n, E]; where the table has such.
            digests: uint64 [N], the hashes of the rows of a large column, where they are known.
            places: of the rows in their source, ascending, which decide the shard; the numbers of the rows if None.
            stamps: uint64 [N], what the rows are known by; zeros if None.
        """
        count = len(labels)
        given: dict[str, np.ndarray | None] = {"pixels": pixels, "partner": partners}
        if embeddings is not None:
            given["embedding"] = np.ascontiguousarray(embeddings, EMBEDDED).reshape(count, -1).view(np.uint8)
        columns: dict[str, Any] = {}
        for name, width in self._large.items():
            rows = given[name]
            assert rows is not None
            known = (digests or {}).get(name)
            columns[name] = (
                rows
                if self._is_encoded(name)
                else np.ascontiguousarray(rows).reshape(count, -1).view(np.uint8).reshape(count, width)
            )
            if self._is_encoded(name) and known is None:
                raise ValueError("hashes of encoded images are those of their pixels: give them")
            columns[f"{name}_digest"] = row_digests(columns[name]) if known is None else known
        columns["label"] = np.array([-1 if label is None else label for label in labels], np.int64)
        columns["stamp"] = np.zeros(count, DIGEST_TYPE) if stamps is None else stamps.astype(DIGEST_TYPE, copy=False)
        columns |= {"caption": captions or [None] * count, "domain": domains or [None] * count, "path": paths}
        if self.attribute_names:
            assert attributes is not None
            columns["attributes"] = np.ascontiguousarray(attributes, np.uint8).reshape(count, -1)
        numbers = [place // self._shard_rows for place in (places or range(self._rows, self._rows + count))]
        self._rows += count
        for number, group in groupby(range(count), numbers.__getitem__):
            rows_of_it = list(group)
            part = slice(rows_of_it[0], rows_of_it[-1] + 1)
            if number != self._number:
                self._flush()
                self._number = number
            self._pending.append(([*splits[part]], {name: values[part] for name, values in columns.items()}))

    def _flush(self) -> None:
        """Writes the shard at hand, if it has any rows."""
        pending, self._pending = self._pending, []
        splits = [split for part, _ in pending for split in part]
        if not splits:
            return
        numbers = np.array([*map(SPLITS.index, splits)], np.int8)
        order = np.argsort(numbers, kind="stable")
        target = np.empty_like(order)  # where each row goes
        target[order] = np.arange(len(order))
        columns = {field.name: _gathered(field, pending, target) for field in self._schema}
        batch = pa.RecordBatch.from_arrays([*columns.values()], schema=self._schema)
        rows = {split: count for split in SPLITS if (count := splits.count(split))}
        self._entries.append(write_shard(self.folder, self._first + self._number, batch, rows))

    def finish(self) -> list[ShardEntry]:
        """Writes what is left of the rows; what a manifest is to say of the shards."""
        self._flush()
        return self._entries

    def described(self, class_names: Sequence[str], source: str, options: dict[str, Any]) -> TableMetadata:
        """The table's metadata but for what follows from its rows (`write_manifest`)."""
        height, width, channels = self.shape
        return TableMetadata(
            height=height,
            width=width,
            channels=channels,
            class_names=tuple(class_names),
            counts={},
            fingerprint="",
            source=source,
            options=options,
            attribute_names=self.attribute_names,
            paired=self.paired,
            embeddings=self.embeddings,
            depth=self.depth,
            storage=self.storage,
            ranges=self._ranges,
        )

    def close(self, class_names: Sequence[str], source: str, options: dict[str, Any]) -> TableMetadata:
        """Writes the manifest, flushed to disk; ValueError where some rows have a domain and some none."""
        return write_manifest(self.folder, self.described(class_names, source, options), self.finish())


def _gathered(field: pa.Field, pending: Sequence[tuple[list[str], dict[str, Any]]], target: np.ndarray) -> pa.Array:
    """A column of all parts, its rows where they belong; takes it out of the parts, so that it is there once."""
    parts = [columns.pop(field.name) for _, columns in pending]
    if pa.types.is_string(field.type) or pa.types.is_binary(field.type):
        values: list[Any] = [None] * len(target)
        for place, value in zip(target.tolist(), (value for part in parts for value in part), strict=True):
            values[place] = value
        return pa.array(values, field.type)
    rows = np.empty((len(target), *parts[0].shape[1:]), parts[0].dtype)
    start = 0
    while parts:
        part = parts.pop(0)
        rows[target[start : start + len(part)]] = part
        start += len(part)
    return _array(rows, field.type)


def _array(rows: np.ndarray, kind: pa.DataType) -> pa.Array:
    return pa.Array.from_buffers(kind, len(rows), [None, pa.py_buffer(rows)])


def write_shard(folder: Path, number: int, batch: pa.RecordBatch, rows: dict[str, int]) -> ShardEntry:
    """Writes one shard, flushed to disk, and says what the manifest is to say of it."""
    entry = ShardEntry(file=f"{SHARDS_FOLDER}/{number:05d}.arrow", rows=rows, digest=content_digest(batch, rows))
    with (folder / entry.file).open("wb") as file:
        with pa.ipc.new_file(file, batch.schema) as writer:
            writer.write_batch(batch)
        file.flush()
        os.fsync(file.fileno())
    return entry


def write_manifest(
    folder: Path, metadata: TableMetadata, entries: Sequence[ShardEntry], made: str = ""
) -> TableMetadata:
    """Writes table.json of these shards, flushed to disk.

    Returns:
        `metadata` with what follows from the rows: counts, fingerprint, domain names and words.

    Raises:
        ValueError: some rows have a domain and some none.
    """
    counts: Counter[tuple[str, int]] = Counter()
    domains: Counter[str | None] = Counter()
    words: Counter[str] = Counter()
    for entry in entries:
        shard = Shard(folder, entry, metadata)
        for split in entry.rows:
            place = entry.place(split)
            labels, numbers = np.unique(shard.labels[place], return_counts=True)
            counts.update(
                {(split, label): count for label, count in zip(labels.tolist(), numbers.tolist(), strict=True)}
            )
        found = shard.texts("domain").value_counts()
        domains.update(dict(zip(found.field(0).to_pylist(), found.field(1).to_pylist(), strict=True)))
        for caption in shard.texts("caption")[entry.place("train")].drop_null().to_pylist():
            words.update(split_words(caption))
    names = sorted(name for name in domains if name is not None)
    if names and domains[None]:
        raise ValueError(f"{domains[None]} of {domains.total()} rows have no domain")
    present = [split for split in SPLITS if any(split in entry.rows for entry in entries)]
    known = dict(enumerate(metadata.class_names))
    by_class = {split: {name: counts[split, label] for label, name in known.items()} for split in present}
    for (split, label), count in counts.items():
        if label not in known:
            by_class[split][""] = by_class[split].get("", 0) + count
    update = {"domain_names": tuple(names), "words": choose_words(words), "counts": by_class}
    metadata = metadata.model_copy(update=update | {"fingerprint": fingerprint_of(metadata, entries)})
    manifest = Manifest(format=FORMAT, metadata=metadata, shards=tuple(entries), made=made)
    with (folder / TABLE_FILE).open("w", encoding="utf-8") as file:
        file.write(manifest.model_dump_json(indent=1))
        file.flush()
        os.fsync(file.fileno())
    return metadata


def drop_rows(
    folder: Path, rows: Sequence[int] | np.ndarray, metadata: TableMetadata, entries: Sequence[ShardEntry]
) -> list[ShardEntry]:
    """Takes rows, by their numbers in ascending order, out of shards; only those that hold any are written anew."""
    left, start, out = [], 0, np.asarray(rows, np.int64)
    for entry in entries:
        inside = out[slice(*out.searchsorted([start, start + entry.count]))] - start
        start += entry.count
        if not len(inside):
            left.append(entry)
        elif kept := _without(folder, entry, inside, metadata):
            left.append(kept)
    return left


def _without(folder: Path, entry: ShardEntry, out: np.ndarray, metadata: TableMetadata) -> ShardEntry | None:
    """A shard without some of its rows, or None where none is left."""
    batch = Shard(folder, entry, metadata).whole
    keep = np.ones(len(batch), bool)
    keep[out] = False
    rows = {split: int(keep[entry.place(split)].sum()) for split in entry.rows}
    if isinstance(path := entry.lies_at(folder), Path):
        path.unlink()  # its pages stay until the batch goes, and in another table that shares the file
    if not keep.any():
        return None
    kept = batch.take(pa.array(np.flatnonzero(keep)))
    return write_shard(folder, entry.number, kept, {split: count for split, count in rows.items() if count})
