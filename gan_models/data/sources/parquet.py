"""Parquet files in the convention of public data hubs: an image column of encoded bytes, labels, captions, splits.

Columns: `image` (or `img`, or the only one that holds bytes), a struct of `bytes` and `path`, or plain binary; optional
`label` (or the only one of which the hub's metadata names classes), integers or strings; optional `caption` (or
`text`) and `domain`, strings; optional `embedding` (or `embeddings`), lists of numbers, or lists of such lists of equal
lengths; optional `split`. Attributes, 0 or 1 (or -1 and 1, or true and false), are a list in `attributes`, their names
comma-separated in the schema metadata under `attribute_names`, or a column `attr.NAME` each. `Fields` names other
columns. `partner`, as `image`, is what an image is to be made from, for pairs. Class names come from the schema
metadata: `classes` (comma-separated) or the hub's own JSON under `huggingface`; else they are the labels themselves.
Without a `split` column, files named `train...`, `validation...` or `test...` in a folder are those splits.
"""

import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gan_models.data.decoding import BadImageError, Item
from gan_models.data.sources.base import (
    AS_IT_IS,
    BATCH_BYTES,
    BATCH_ITEMS,
    NONE,
    SPLIT_NAMES,
    Batch,
    Fields,
    Source,
    files_below,
    rows_within,
)
from gan_models.data.sources.places import Place, Remote, source_bytes
from gan_models.errors import RequestError, nearest

IMAGE_COLUMNS = ("image", "img")
CAPTION_COLUMNS = ("caption", "text")
ATTRIBUTES, ATTRIBUTE_COLUMN, PARTNER = "attributes", "attr.", "partner"
ATTRIBUTE_NAMES = b"attribute_names"
EMBEDDING_COLUMNS = ("embedding", "embeddings")
SPLIT_FILE = re.compile(rf"({'|'.join(sorted(SPLIT_NAMES, key=len, reverse=True))})([-_.].*)?", re.IGNORECASE)
SAMPLED_GROUPS = 16
UNPACKED_BYTES = 32 << 20
"""Of the values that one read may put side by side, where each may be as large as all that its column keeps."""
BOMB_BYTES, BOMB_RATIO = 1 << 30, 200
PATH_CHARACTERS = 1000


class Table(ABC):
    """A part of a data set whose rows are images, such as one Parquet file; `str` of it is its place, for sentences."""

    name: str
    schema: pa.Schema
    """With all metadata that there is."""
    rows: int
    groups: int
    """In which the rows lie, and of which each is read from its start."""

    @abstractmethod
    def column(self, name: str, items: int) -> Iterator[pa.Array]:
        """All values of a column, at most `items` at a time."""

    @abstractmethod
    def read(self, groups: Iterable[int], columns: list[str], items: int) -> Iterator[pa.RecordBatch]:
        """Groups in batches of at most `items` rows and, but for the last row of each, `BATCH_BYTES`."""


class ParquetTable(Table):
    """A Parquet file; RequestError: damaged, or made to fill the memory."""

    def __init__(self, place: Any) -> None:
        self._place, self.name = place, place.name
        with _open(place) as parquet:
            self.schema = parquet.schema_arrow.with_metadata(_metadata(parquet))
            self.rows, self.groups = parquet.metadata.num_rows, parquet.num_row_groups
            _check_size(place, parquet.metadata)

    def __str__(self) -> str:
        return str(self._place)

    def column(self, name: str, items: int) -> Iterator[pa.Array]:
        values = _value_type(self.schema.field(name).type)
        with _open(self._place, name if _is_string(values) else "") as parquet:
            for records in parquet.iter_batches(batch_size=items, columns=[name]):
                yield records.column(0)

    def read(self, groups: Iterable[int], columns: list[str], items: int) -> Iterator[pa.RecordBatch]:
        with _open(self._place) as parquet:
            for group in groups:
                yield from _read(parquet, group, columns, items)


class TableSource(Source):
    """Images in rows of tables of one form.

    Args:
        place: where they lie, for sentences.
        splits: of each table, by its name; or None.
        fields: what of them is read, and as what.

    Raises:
        RequestError: no rows, or columns that cannot be.
    """

    def __init__(self, place: str, tables: Sequence[Table], splits: Sequence[str | None], fields: Fields) -> None:
        self._place, self._tables, self._table_splits, self._fields = place, tables, splits, fields
        self.notes, self.doubts = [], []
        self._read_schema(tables[0])
        for table in tables:
            self._check_schema(table)
        self._named = [_class_names(_metadata(table.schema), self._label) for table in tables]  # by table
        self.total = sum(table.rows for table in tables)
        if self.total == 0:
            raise RequestError(f"{place} holds no images: it has no rows")
        self.doubts = [*self.doubts, *self._doubts()]
        self._read_classes()
        self._table_labels = [self._labels_in(index) for index in range(len(tables))]
        self._read_splits()
        self.domain_names = tuple(sorted(self._values(self._domain))) if self._domain else ()
        self.has_captions = bool(self._caption)
        self.paired = bool(self._partner)
        self.embeddings = self._embedding_shape()

    def _read_schema(self, table: Table) -> None:
        """Which columns there are, by the first table."""
        schema, fields = table.schema, self._fields
        self._check_named(schema)
        self._image = fields.image or self._find_images(schema)
        captions, domains = CAPTION_COLUMNS if fields.caption is None else (fields.caption,), ("domain",)
        if "domain" in fields.chosen() or fields.domain == NONE:
            domains = (str(fields.domain),)
        self._caption = next((name for name in captions if _has_strings(schema, name)), "")
        self._domain = next((name for name in domains if _has_strings(schema, name)), "")
        self._label = self._find_labels(schema) if fields.label is None else _but_none(fields.label)
        self._split = "split" if _has_strings(schema, "split") else ""
        self._partner = PARTNER if PARTNER in schema.names else ""
        self._embedding = next((name for name in EMBEDDING_COLUMNS if _has_vectors(schema, name)), "")
        self._attributes = self._read_attributes(table)
        further = (self._partner, self._embedding, *self._attributes)
        known = (self._image, self._label, self._caption, self._domain, self._split, *further)
        self._columns = [name for name in known if name]
        self._names = _class_names(_metadata(schema), self._label)
        refused = {"label": fields.label == NONE, "domain": fields.domain == NONE}
        refused |= dict.fromkeys(CAPTION_COLUMNS, fields.caption == NONE)
        self._others = [name for name in schema.names if name not in known and not refused.get(name)]

    def _check_named(self, schema: pa.Schema) -> None:
        """That the columns that somebody named are there, and can be what they are named for."""
        for option, value in self._fields.chosen().items():
            if option == "attributes":
                continue
            if value not in schema.names:
                near = nearest(str(value), schema.names)
                hint = f"did you mean {near!r}? " if near else ""
                raise RequestError(
                    f"data.{option}={value!r}: {self._tables[0]} has no such column: {hint}Its columns are "
                    f"{', '.join(schema.names)}"
                )
            if option in ("caption", "domain") and not _has_strings(schema, str(value)):
                raise RequestError(
                    f"data.{option}={value!r}: that column of {self._tables[0]} is {schema.field(value).type}, not text"
                )

    def _find_images(self, schema: pa.Schema) -> str:
        """The column of images where nobody names it: by its name, else the only one that can hold some."""
        usual = [name for name in IMAGE_COLUMNS if name in schema.names]
        able = [name for name in schema.names if name != PARTNER and _stores_bytes(schema.field(name).type)]
        if not usual and len(able) != 1:
            raise RequestError(
                f"{self._tables[0]} has no column 'image' with encoded image bytes: its columns are "
                f"{', '.join(schema.names)}; data.image=NAME says which holds them"
            )
        if not usual:
            self.notes = [*self.notes, f"images are those of column {able[0]!r}, the only one that holds bytes"]
        return (usual or able)[0]

    def _find_labels(self, schema: pa.Schema) -> str:
        """The column of labels where nobody names it: `label`, else the only one that the hub says has classes."""
        if "label" in schema.names:
            return "label"
        named = [name for name in schema.names if _class_names(_metadata(schema, only_hub=True), name)]
        if len(named) > 1:
            choices = " or ".join(f"data.label={name}" for name in named)
            self.doubts = [*self.doubts, f"{' and '.join(named)} hold labels, and none are read: {choices} says which"]
        if len(named) == 1:
            self.notes = [*self.notes, f"labels are those of column {named[0]!r}, the only one with names of classes"]
        return named[0] if len(named) == 1 else ""

    def _read_attributes(self, table: Table) -> tuple[str, ...]:
        """The columns that hold attributes; sets their names. RequestError for values that they do not have."""
        schema = table.schema
        columns = tuple(name for name in schema.names if name.startswith(ATTRIBUTE_COLUMN))
        asked = self._fields.attributes
        self._chosen_attributes: list[int] | None = None  # of those in lists
        if asked == "none":
            return ()
        if asked is not None and ATTRIBUTES not in schema.names:
            absent = [name for name in asked if not {name, ATTRIBUTE_COLUMN + name}.intersection(schema.names)]
            if absent:
                raise RequestError(
                    f"data.attributes: {self._tables[0]} has no column {absent[0]!r}: its columns are "
                    f"{', '.join(schema.names)}"
                )
            columns = tuple(name if name in schema.names else ATTRIBUTE_COLUMN + name for name in asked)
        if columns:
            self.attribute_names = tuple(name.removeprefix(ATTRIBUTE_COLUMN) for name in columns)
        elif ATTRIBUTES in schema.names:
            columns = (ATTRIBUTES,)
            self.attribute_names = self._names_of_attributes(table)
            if asked is not None:
                if absent := [name for name in asked if name not in self.attribute_names]:
                    raise RequestError(
                        f"data.attributes: {self._tables[0]} has no attribute {absent[0]!r}: there are "
                        f"{', '.join(self.attribute_names)}"
                    )
                self._chosen_attributes = [self.attribute_names.index(name) for name in asked]
                self.attribute_names = tuple(asked)
        for name in columns:
            kind = _value_type(schema.field(name).type)
            kind = kind.value_type if name == ATTRIBUTES and _is_list(kind) else kind
            if (name == ATTRIBUTES) != _is_list(schema.field(name).type) or not (
                pa.types.is_boolean(kind) or pa.types.is_integer(kind)
            ):
                expected = "lists of booleans or integers" if name == ATTRIBUTES else "booleans or integers"
                raise RequestError(f"{self._tables[0]}: column {name!r} is {schema.field(name).type}, not {expected}")
        return columns

    def _names_of_attributes(self, table: Table) -> tuple[str, ...]:
        """Those of the metadata, else numbers, as many as the first row has."""
        metadata = _metadata(table.schema)
        if ATTRIBUTE_NAMES in metadata:
            return tuple(name.strip() for name in metadata[ATTRIBUTE_NAMES].decode().split(","))
        first = next(table.column(ATTRIBUTES, 1), None)
        values = first.to_pylist()[0] if first is not None and len(first) else None
        return tuple(map(str, range(len(values or ()))))

    def _check_schema(self, file: Table) -> None:
        """That a table has the columns of the first one, in types that can be used."""
        schema = file.schema
        for name in self._columns:
            if name not in schema.names:
                raise RequestError(f"{file} has no column {name!r}, other files have: {', '.join(schema.names)}")
        for column in filter(None, (self._image, self._partner)):
            kind = schema.field(column).type
            if not _stores_bytes(kind):
                raise RequestError(
                    f"{file}: column {column!r} is {kind}, not encoded images: store struct<bytes, path> or binary"
                )
        if self._label:
            label = _value_type(schema.field(self._label).type)
            if not (pa.types.is_integer(label) or _is_string(label) or pa.types.is_null(label)):
                raise RequestError(f"{file}: column {self._label!r} is {label}; labels are integers or strings")

    def _embedding_shape(self) -> tuple[int, int]:
        """(n, E) of the first row that has any; the others' are looked at when they are read."""
        if not self._embedding:
            return 0, 0
        for table in self._tables:
            for column in table.column(self._embedding, 64):
                for vectors in _vectors(column):
                    if vectors is not None:
                        return vectors.shape[0], vectors.shape[1]
        return 0, 0

    def _read_classes(self) -> None:
        """Class names, and the label of each value in the label column; scans that column only."""
        counts = self._counts(self._label) if self._label else Counter()
        values: set[Any] = set(counts)
        self._labels: dict[Any, int] = {}
        if all(isinstance(value, int) for value in values):
            values = {value for value in values if value >= 0}  # -1 is the hubs' way to say "unlabelled"
            if values and self._names:
                self._labels = {number: number for number in range(len(self._names))}
        if not values:
            self.class_names = ()
        elif self._labels:
            self.class_names = self._names
        else:
            names = self._names if values <= set(self._names) else tuple(sorted(values))
            self.class_names = tuple(str(name) for name in names)
            self._labels = {name: label for label, name in enumerate(names)}
        absent = self.total - sum(counts[value] for value in self._labels)
        if self.class_names and absent:
            self.notes = [*self.notes, f"{absent} of {self.total} images have no label"]

    def _labels_in(self, index: int) -> dict[Any, int]:
        """The label of each value in a file: files may have their classes in another order than the first."""
        names = self._named[index]
        by_number = self._labels and all(isinstance(value, int) for value in self._labels)
        if not by_number or not names or names == self._names or not self._names:
            return self._labels
        if set(names) != set(self._names):
            raise RequestError(
                f"{self._tables[index]} has the classes {', '.join(names)}, {self._tables[0].name} has "
                f"{', '.join(self._names)}: numbers would stand for other classes; import them apart, or rename"
            )
        self.notes = [*self.notes, f"{self._tables[index].name} has its classes in another order: labels go by name"]
        return {number: self._names.index(name) for number, name in enumerate(names)}

    def _doubts(self) -> Iterator[str]:
        if self._others:
            yield (
                f"the columns {', '.join(self._others)} are left out: data.label, data.caption, data.domain and "
                "data.attributes choose columns"
            )
        without = [table.name for table, split in zip(self._tables, self._table_splits, strict=True) if split is None]
        if not self._split and 0 < len(without) < len(self._tables):
            yield f"{', '.join(without[:3])} belong to no split by their names: their images are divided among all"

    def _read_splits(self) -> None:
        counts = self._counts(self._split) if self._split else Counter()
        values = set(counts)
        unknown = sorted(value for value in values if value.lower() not in SPLIT_NAMES)
        if unknown:
            raise RequestError(
                f"{self._place}: column 'split' holds {', '.join(map(repr, unknown[:5]))}; "
                f"known are {', '.join(SPLIT_NAMES)}"
            )
        splits = {SPLIT_NAMES[value.lower()] for value in values} or set(filter(None, self._table_splits))
        if splits and "train" not in splits and (self._split or all(self._table_splits)):
            raise RequestError(f"{self._place} holds {' and '.join(sorted(splits))} images but none for training")
        self.given_splits = frozenset(splits)
        by_split: Counter[str] = Counter()
        for value, count in counts.items():
            by_split[SPLIT_NAMES[value.lower()]] += count
        for split, table in zip(self._table_splits, self._tables, strict=True):
            if split and not counts:
                by_split[split] += table.rows
        self.split_counts = by_split

    def _values(self, column: str) -> set[Any]:
        """The distinct values of one column, without nulls, over all tables."""
        return set(self._counts(column))

    def _counts(self, column: str) -> Counter[Any]:
        """How often each value stands in one column, without nulls, over all tables."""
        found: Counter[Any] = Counter()
        for table in self._tables:
            for values in table.column(column, 1 << 16):
                for each in pc.value_counts(values).to_pylist():
                    found[each["values"]] += each["counts"]
        del found[None]
        return found

    def batches(self, rows: Sequence[int] | None, items: int) -> Iterator[Batch]:
        wanted = np.arange(self.total) if rows is None else np.asarray(rows, np.int64)
        start = 0
        for index, table in enumerate(self._tables):
            inside = rows_within(wanted, start, table.rows)
            if len(inside):
                yield from self._table_batches(index, inside, items)
            start += table.rows

    def _table_batches(self, index: int, wanted: np.ndarray, items: int) -> Iterator[Batch]:
        """Batches of the rows `wanted` (ascending positions in the table)."""
        start = 0
        for records in self._tables[index].read(range(self._tables[index].groups), self._columns, items):
            chosen = rows_within(wanted, start, len(records))
            if len(chosen) == len(records):
                yield self._batch(index, records, chosen + start)
            elif len(chosen):
                yield self._batch(index, records.take(pa.array(chosen)), chosen + start)
            start += len(records)

    def sample(self, count: int) -> Iterator[Item]:
        """The first images of groups spread over all tables: reading every row would take as long as importing."""
        groups = [(table, group) for table in self._tables for group in range(table.groups)]
        groups = groups[:: max(1, len(groups) // SAMPLED_GROUPS)]
        for table, group in groups:
            wanted = -(-count // len(groups))
            for records in table.read([group], [*filter(None, (self._image, self._partner))], wanted):
                for column in records.columns:
                    yield from self._images(column.slice(0, wanted))[0]
                wanted -= len(records)
                if wanted <= 0:
                    break

    def _batch(self, index: int, records: pa.RecordBatch, rows: np.ndarray) -> Batch:
        items, paths = self._images(records.column(self._image))
        name = self._tables[index].name
        labels: list[int | None] = [None] * len(records)
        splits = [self._table_splits[index]] * len(records)
        if self._label:
            known = self._table_labels[index]
            labels = [known.get(value) for value in records.column(self._label).to_pylist()]
        if self._split:
            splits = [SPLIT_NAMES.get((value or "").lower()) for value in records.column(self._split).to_pylist()]
        captions = records.column(self._caption).to_pylist() if self._caption else []
        domains = records.column(self._domain).to_pylist() if self.domain_names else []
        vectors = _vectors(records.column(self._embedding)) if self.embeddings[1] else []
        shown = [
            path[:PATH_CHARACTERS] if path else f"{name}#{row}" for path, row in zip(paths, rows.tolist(), strict=True)
        ]
        attributes = self._attributes_in(records) if self.attribute_names else []
        partners = self._images(records.column(self._partner))[0] if self._partner else []
        return Batch(items, shown, labels, splits, captions, domains, attributes, partners, embeddings=vectors)

    def _attributes_in(self, records: pa.RecordBatch) -> list[Sequence[int] | None]:
        """0 or 1 for each name; None for a row where one is null."""
        rows: Iterator[Sequence[Any] | None]
        if self._attributes == (ATTRIBUTES,):
            rows = iter(records.column(ATTRIBUTES).to_pylist())
            if (chosen := self._chosen_attributes) is not None:
                rows = (_picked(row, chosen) for row in rows)
        else:
            rows = zip(*(records.column(name).to_pylist() for name in self._attributes), strict=True)
        # -1 is how CelebA says that an image has not got it.
        return [None if row is None or None in row else [int(value > 0) for value in row] for row in rows]

    def _images(self, column: pa.Array) -> tuple[list[Item], list[str | None]]:
        """Encoded images and the paths they once had."""
        if not pa.types.is_struct(column.type):
            paths: list[str | None] = [None] * len(column)
            stored = column.to_pylist()
        else:
            stored = pc.struct_field(column, "bytes").to_pylist()
            has_path = column.type.get_field_index("path") >= 0
            paths = pc.struct_field(column, "path").to_pylist() if has_path else [None] * len(column)
        return [
            item if item is not None else self._beside(path) for item, path in zip(stored, paths, strict=True)
        ], paths

    @abstractmethod
    def _beside(self, path: str | None) -> Item:
        """The image that a row without bytes points to."""


class ParquetSource(TableSource):
    """One Parquet file, or all below a folder by name; RequestError: none, damaged, or columns that cannot be."""

    def __init__(self, root: Place, fields: Fields = AS_IT_IS) -> None:
        self._root = root if root.is_dir() else root.parent
        files: list[Any] = [root]
        if root.is_dir():
            files = [root / file for file in files_below(root) if file.endswith((".parquet", ".pq"))]
        if not files:
            raise RequestError(f"folder {root} holds no .parquet files")
        # A single file was picked by the user, whatever its name: all of it is wanted.
        splits = [_split_of_file(file, root) if root.is_dir() else None for file in files]
        super().__init__(str(root), [ParquetTable(file) for file in files], splits, fields)

    def _beside(self, path: str | None) -> Item:
        """The image that a row without bytes points to, if it lies in the folder of the Parquet files."""
        if isinstance(self._root, Remote):
            return BadImageError("the row holds no image bytes; what its path names beside it is read on a disk alone")
        file = (self._root / path).resolve() if path else None
        if file is not None and file.is_file() and file.is_relative_to(self._root.resolve()):
            return str(file)
        return BadImageError("the row holds no image bytes")


def _but_none(name: str) -> str:
    return "" if name == NONE else name


def _picked(row: Sequence[Any] | None, places: Sequence[int]) -> list[Any] | None:
    return None if row is None or len(row) <= max(places, default=0) else [row[place] for place in places]


def version_beside(file: Path, fields: Fields = AS_IT_IS) -> str:
    """Changes when a file does that a row without bytes points to; "" where no row does. No image is opened."""
    digest, found = hashlib.sha256(), False
    with _open(file) as parquet:
        schema = parquet.schema_arrow
        image = next((name for name in (fields.image or "", *IMAGE_COLUMNS) if name in schema.names), "")
        kind = schema.field(image).type if image else None
        if kind is None or not pa.types.is_struct(kind) or kind.get_field_index("path") < 0:
            return ""
        for group in _groups_without_bytes(parquet, image):
            for records in _read(parquet, group, [f"{image}.path"], BATCH_ITEMS):
                for path in pc.struct_field(records.column(0), "path").to_pylist():
                    found = True
                    digest.update(f"{path}\0{_status(file.parent, path)}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16] if found else ""


def _groups_without_bytes(parquet: pq.ParquetFile, image: str) -> Iterator[int]:
    """Row groups in which the bytes of some images are null, as far as the file's own statistics tell."""
    for group in range(parquet.num_row_groups):
        known = parquet.metadata.row_group(group)
        for place in range(known.num_columns):
            column = known.column(place)
            if column.path_in_schema == f"{image}.bytes":
                statistics = column.statistics
                if statistics is None or not statistics.has_null_count or statistics.null_count:
                    yield group


def _status(folder: Path, path: str | None) -> str:
    try:
        status = (folder / (path or "")).stat()
        return f"{status.st_size} {status.st_mtime_ns}"
    except (OSError, ValueError):
        return "absent"


def _read(parquet: pq.ParquetFile, group: int, columns: list[str], items: int) -> Iterator[pa.RecordBatch]:
    """A row group in batches of at most `items` rows and, but for the last row of each, `BATCH_BYTES`.

    A column that keeps equal values once (a dictionary) says nothing about how large its rows are: a few megabytes of
    file may be terabytes of images. So few rows are read at a time, and put together until there is enough.
    """
    known = parquet.metadata.row_group(group)
    chunks = [known.column(place) for place in range(known.num_columns)]
    repeated = sum(each.total_uncompressed_size for each in chunks if _is_of(each, columns) and _repeats(each))
    at_a_time = min(items, BATCH_BYTES * known.num_rows // max(1, known.total_byte_size))
    at_a_time = max(1, min(at_a_time, UNPACKED_BYTES // max(1, repeated)))
    waiting: list[pa.RecordBatch] = []
    rows = size = 0
    for records in parquet.iter_batches(at_a_time, row_groups=[group], columns=columns, use_threads=False):
        waiting.append(records)
        rows, size = rows + len(records), size + records.nbytes
        if rows + at_a_time > items or size >= BATCH_BYTES:
            yield pa.concat_batches(waiting)
            waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.concat_batches(waiting)


def _is_of(chunk: pq.ColumnChunkMetaData, columns: list[str]) -> bool:
    path = chunk.path_in_schema
    return any(path == column or path.startswith(f"{column}.") for column in columns)


def _repeats(chunk: pq.ColumnChunkMetaData) -> bool:
    return chunk.has_dictionary_page or any("DICTIONARY" in encoding for encoding in chunk.encodings)


def _check_size(file: Place, metadata: pq.FileMetaData) -> None:
    """Refuses what unpacks to very much more than it is: a page is unpacked whole, before anything of it is seen."""
    for group in range(metadata.num_row_groups):
        known = metadata.row_group(group)
        for chunk in map(known.column, range(known.num_columns)):
            unpacked, packed = chunk.total_uncompressed_size, max(1, chunk.total_compressed_size)
            if unpacked > BOMB_BYTES and unpacked > BOMB_RATIO * packed:
                raise RequestError(
                    f"{file}: column {chunk.path_in_schema!r} of row group {group} unpacks from {packed} bytes to "
                    f"{unpacked}, which no images do: write the file anew with smaller row groups"
                )


def _open(file: Place, repeating: str = "") -> pq.ParquetFile:
    """`repeating`: a column of strings whose equal values are to be kept once in memory, too."""
    try:
        # Buffered, not memory-mapped or pre-read: what is in memory is a few pages, however large the file.
        return pq.ParquetFile(
            source_bytes(file), buffer_size=1 << 20, pre_buffer=False, read_dictionary=[repeating] if repeating else []
        )
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise RequestError(f"cannot read {file} as Parquet: {reason}") from error


def _split_of_file(file: Any, root: Place) -> str | None:
    """The split that a file's name, or that of a folder it lies in, stands for."""
    parts = file.relative_to(root).parts
    for part in (file.stem, *reversed(parts[:-1])):
        match = SPLIT_FILE.fullmatch(part)
        if match:
            return SPLIT_NAMES[match[1].lower()]
    return None


def _metadata(known: pq.ParquetFile | pa.Schema, *, only_hub: bool = False) -> dict[bytes, bytes]:
    """Of a schema; of a file, its own, too."""
    if isinstance(known, pq.ParquetFile):
        return {**(known.metadata.metadata or {}), **(known.schema_arrow.metadata or {})}
    return {key: value for key, value in (known.metadata or {}).items() if not only_hub or key == b"huggingface"}


def _class_names(metadata: dict[bytes, bytes], label: str) -> tuple[str, ...]:
    """Names of the classes in a column, from the metadata: `classes`, comma-separated, or the hub's JSON; or none."""
    if b"classes" in metadata:
        return tuple(name.strip() for name in metadata[b"classes"].decode().split(","))
    try:
        names = json.loads(metadata[b"huggingface"])["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError):
        return ()
    return tuple(map(str, names))


def _stores_bytes(kind: pa.DataType) -> bool:
    """Whether a column may hold encoded images: binary, or a struct with `bytes`."""
    has_bytes = pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0
    stored = kind.field("bytes").type if has_bytes else kind
    return bool(pa.types.is_binary(stored) or pa.types.is_large_binary(stored))


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _has_vectors(schema: pa.Schema, name: str) -> bool:
    """Whether a column holds lists of numbers, or lists of these."""
    kind = schema.field(name).type if name in schema.names else pa.null()
    depth = 0
    while pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kind, depth = kind.value_type, depth + 1
    return depth in (1, 2) and bool(pa.types.is_floating(kind))


def _vectors(column: pa.Array) -> list[np.ndarray | None]:
    """float32 [n, E] of each row's list of numbers (n is 1) or of lists of equal lengths; None where it is neither."""
    return [_vectors_of(row.values) if row.is_valid else None for row in column]


def _vectors_of(values: pa.Array) -> np.ndarray | None:
    lengths, flat = {len(values)}, values
    if not pa.types.is_floating(values.type):
        lengths, flat = set(pc.list_value_length(values).to_pylist()), values.flatten()
    width = lengths.pop() if len(lengths) == 1 else None
    if not width or flat.null_count:
        return None
    # By its buffer: Arrow's own conversion to NumPy imports pandas.
    numbers = np.frombuffer(flat.buffers()[1], np.dtype(f"f{flat.type.bit_width // 8}"))
    return numbers[flat.offset : flat.offset + len(flat)].astype(np.float32).reshape(-1, width)


def _has_strings(schema: pa.Schema, name: str) -> bool:
    return name in schema.names and _is_string(_value_type(schema.field(name).type))
