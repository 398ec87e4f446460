"""The image table on disk: a manifest, and shards that are mapped into memory. Needs no PyTorch.

table.json      metadata (`TableMetadata`), and of each shard its file, its rows by split and a digest
shards/*.arrow  the rows: Arrow IPC files of one record batch each, those to train on first, then validation, then test

One row is one image, of one size. Columns: `pixels` (fixed-size binary, uint8 or little-endian uint16 in HWC order; or,
where storage is `encoded`, a lossless WebP file), `label`
(int64, -1 for none), `caption`, `domain` (strings, may be null), `path` (where the image came from); where the data has
them also `attributes` (A bytes, 0 or 1 each), `partner` (the other image of a pair, as `pixels`) and `embedding` (n * E
numbers of float32, little-endian). Each of the large ones has a column of 8-byte hashes beside it (`pixels_digest`).
`stamp` is a hash of the image as it came and of what was said of it, by which it is known again (`preparing.growing`).

The fingerprint is a tree: of a table over its shards' digests, of a shard over its small columns and those hashes, so
that what is read can be checked row by row, and a table that grows is known by what was added.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, ValidationError

from gan_models.data.decoding import Decoded, Item, Target, decode_batch
from gan_models.data.kept_shards import SHARDS_FOLDER, cached, fetched, small_columns
from gan_models.data.ranges import Ranges
from gan_models.data.shape import DataShape, Size
from gan_models.data.sources.places import Place, Remote
from gan_models.errors import RequestError

TABLE_FILE = "table.json"
FORMAT = 1
SPLITS = ("train", "validation", "test")
DIGEST_TYPE = np.dtype("<u8")
EMBEDDED = np.dtype("<f4")
IMAGES = frozenset({"pixels", "partner"})
SMALL = ("label", "caption", "domain", "attributes")
"""Columns that a shard's digest is taken of as they are; of the others it is taken of their hashes."""
_EARLIER_FILE = "images.parquet"


class TableMetadata(BaseModel):
    """Shape, classes, counts and identity of an image table."""

    model_config = ConfigDict(frozen=True)

    height: int
    width: int
    channels: int
    class_names: tuple[str, ...]
    """Index is the label; empty when the images carry no labels."""
    counts: dict[str, dict[str, int]]
    """Images by split and class name; the class is "" of images without a label, where there are any."""
    fingerprint: str
    """SHA-256 (hex) over shape, class names and the content of every row, in order. Paths do not enter; domain names
    and words follow from the rows."""
    source: str
    options: dict[str, Any]
    domain_names: tuple[str, ...] = ()
    """Sorted; index is the domain. Empty where the images belong to none."""
    attribute_names: tuple[str, ...] = ()
    """Of what each image has or has not; empty where nothing is said of that."""
    paired: bool = False
    """Whether each image has a partner that it is to be made from."""
    words: tuple[str, ...] = ()
    """Vocabulary of the training captions (`gan_models.data.captions`): word number i + 1 is `words[i]`; or empty."""
    embeddings: tuple[int, int] = (0, 0)
    """(n, E): how many embeddings each image carries, and their width; zeros where it carries none."""
    depth: int = 8
    """Bits of a value: pixels are uint8, or little-endian uint16."""
    storage: Literal["pixels", "encoded"] = "pixels"
    """How images are kept: as they are, or compressed without loss. The fingerprint is the same."""
    ranges: Ranges | None = None
    """Which values of the files became black and white; None of tables of before this was kept."""

    @property
    def num_classes(self) -> int:
        """Number of classes, 0 when unlabelled."""
        return len(self.class_names)

    @property
    def classes_in_use(self) -> int:
        """Number of classes that training images are of."""
        train = self.counts.get("train", {})
        return sum(train.get(name, 0) > 0 for name in self.class_names)

    @property
    def embedding(self) -> int:
        """Width of the embeddings that each image carries, 0 where it carries none."""
        return self.embeddings[1]

    @property
    def kind(self) -> np.dtype[Any]:
        """Of a value."""
        return kind_of_depth(self.depth)

    @property
    def row_bytes(self) -> int:
        """Of one image."""
        return self.height * self.width * self.channels * self.depth // 8

    @property
    def large(self) -> dict[str, int]:
        """Bytes of a row in each of the columns that have hashes."""
        return large_widths(self.row_bytes, self.paired, self.embeddings)

    @property
    def encoded(self) -> frozenset[str]:
        """The columns whose rows are compressed images."""
        return frozenset(IMAGES & self.large.keys()) if self.storage == "encoded" else frozenset()

    @property
    def shape(self) -> DataShape:
        """What networks need to know."""
        return DataShape(
            self.image_shape,
            self.num_classes,
            len(self.domain_names),
            len(self.words),
            self.words,
            attributes=len(self.attribute_names),
            embedding=self.embedding,
        )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W), as networks see an image."""
        return self.channels, self.height, self.width

    @property
    def splits(self) -> dict[str, int]:
        """Images by split, of the splits that have any."""
        return {split: self.count(split) for split in self.counts}

    @property
    def images(self) -> int:
        """Images in all splits."""
        return sum(self.splits.values())

    def count(self, split: str) -> int:
        """Images in a split; 0 for a split that is not there."""
        return sum(self.counts.get(split, {}).values())


class ShardEntry(BaseModel):
    """What the manifest says of a shard."""

    model_config = ConfigDict(frozen=True)

    file: str
    """Below the dataset folder, or"""
    kept_at: str = ""
    """where it is given, below this address (`gan_models.data.kept_shards`)."""
    rows: dict[str, int]
    """By split, in the order in which they lie in the file."""
    digest: str
    """SHA-256 (hex) of its content, paths left out."""

    @property
    def count(self) -> int:
        return sum(self.rows.values())

    @property
    def number(self) -> int:
        """Of the file's name."""
        return int(self.file.rpartition("/")[2].partition(".")[0])

    def place(self, split: str) -> slice:
        """Where the rows of a split lie."""
        start = 0
        for name, count in self.rows.items():
            if name == split:
                return slice(start, start + count)
            start += count
        return slice(0, 0)

    def lies_at(self, folder: Place) -> Place:
        """The file, of a table in `folder`."""
        return Remote(self.kept_at) / self.file if self.kept_at else folder / self.file


class Manifest(BaseModel):
    """Content of table.json."""

    format: int
    metadata: TableMetadata
    shards: tuple[ShardEntry, ...]
    made: str = ""
    """A digest of all that rows depend on besides their image: only tables that agree in it can share rows."""


class Shard:
    """A shard mapped into memory, its small columns checked against its digest; of the large ones nothing is read.

    Of one that lies at an address nothing else is fetched, until a large column is asked for.

    RequestError where it is damaged; errors of `kept_shards` where it lies at an address.
    """

    def __init__(self, folder: Place, entry: ShardEntry, metadata: TableMetadata) -> None:
        self.entry = entry
        self.path = entry.lies_at(folder)
        self._metadata = metadata
        self._seen: dict[str, np.ndarray] = {}
        self._mapped_rows: dict[str, np.ndarray] = {}
        self._hashes: dict[str, np.ndarray] = {}
        if isinstance(self.path, Path):
            self.batch = self.whole = self._mapped(self.path, metadata.large)
        else:
            self.batch = self._mapped(small_columns(self.path, metadata.large), {})
        try:
            if content_digest(self.batch, entry.rows) != entry.digest:
                raise ValueError("its content does not have its digest")
        except (pa.ArrowException, LookupError, ValueError) as error:
            raise damaged(self.path, error) from error

    def _mapped(self, file: Path, large: Mapping[str, int]) -> pa.RecordBatch:
        try:
            with pa.memory_map(str(file)) as opened:  # its pages stay as long as the columns do
                batch: pa.RecordBatch = pa.ipc.open_file(opened).get_batch(0)
            batch.validate(full=True)
            if len(batch) != self.entry.count:
                raise ValueError(f"{self.entry.count} rows expected, {len(batch)} found")
            for column, width in large.items():
                kind = pa.binary() if column in self._metadata.encoded else pa.binary(width)
                if batch.schema.field(column).type != kind:
                    raise ValueError(f"its column {column!r} is not of {kind}")
        except (pa.ArrowException, OSError, LookupError, ValueError) as error:
            raise damaged(self.path, error) from error
        return batch

    @cached_property
    def whole(self) -> pa.RecordBatch:
        """All columns."""
        assert isinstance(self.path, Remote)
        return self._mapped(fetched(self.path), self._metadata.large)

    def __len__(self) -> int:
        return len(self.batch)

    @cached_property
    def labels(self) -> np.ndarray:
        """int64 [N], -1 for none."""
        return numbers_of(self.batch.column("label"), np.dtype("<i8"))

    @cached_property
    def digests(self) -> np.ndarray:
        """uint64 [N]: equal where images are, and their partners where there are such."""
        own = self.hashes("pixels")
        return digests_of_pairs(own, self.hashes("partner")) if "partner" in self.batch.schema.names else own

    @property
    def stamps(self) -> np.ndarray:
        """uint64 [N]: what each image and all that is said of it was known by when it was imported."""
        return numbers_of(self.batch.column("stamp"), DIGEST_TYPE)

    def texts(self, column: str) -> pa.StringArray:
        return self.batch.column(column)

    def hashes(self, column: str) -> np.ndarray:
        """uint64 [N], of a large column's rows."""
        if column not in self._hashes:
            self._hashes[column] = numbers_of(self.batch.column(f"{column}_digest"), DIGEST_TYPE)
        return self._hashes[column]

    def fixed(self, column: str) -> np.ndarray:
        """uint8 [N, width], as mapped: nothing is checked."""
        if column not in self._mapped_rows:
            self._mapped_rows[column] = fixed_rows(self.whole.column(column))
        return self._mapped_rows[column]

    def read(self, column: str, rows: np.ndarray | slice, out: np.ndarray) -> None:
        """Copies rows of a large column to `out`, uint8 [n, width]; checked when they are first read."""
        if column in self._metadata.encoded:
            decode_rows(self.compressed(column, rows), self._metadata, out)
            return
        out[:] = self.fixed(column)[rows]
        seen = self._seen.setdefault(column, np.zeros(len(self), bool))
        new = np.flatnonzero(~seen[rows])
        if len(new):
            self.check(column, np.arange(len(self))[rows][new], row_digests(out, new))
            seen[rows] = True

    def check(self, column: str, rows: np.ndarray, hashes: np.ndarray) -> None:
        """That rows of a large column have these hashes, uint64 [n]."""
        if not np.array_equal(self.hashes(column)[rows], hashes):
            raise damaged(self.path, ValueError(f"its column {column!r} does not have its digests"))

    def compressed(self, column: str, rows: np.ndarray | slice) -> Compressed:
        """Rows of a column of compressed images, with their hashes."""
        values: pa.BinaryArray = self.whole.column(column)
        numbers = np.arange(len(self))[rows]
        found = [values[row].as_py() for row in numbers.tolist()]
        return Compressed(found, self.hashes(column)[numbers], [self.path] * len(found))


class Compressed(NamedTuple):
    """Compressed images, the hashes of their pixels, and where they lie."""

    items: list[bytes]
    hashes: np.ndarray
    files: list[Place]


def decode_rows(
    rows: Compressed,
    metadata: TableMetadata,
    out: np.ndarray,
    decode: Callable[[Sequence[Item], Target], Decoded] = decode_batch,
) -> None:
    """Decodes rows into `out`, uint8 [n, H*W*C]; RequestError where one does not have its hash."""
    target = Target(Size(metadata.height, metadata.width), metadata.channels)
    decoded = decode(rows.items, target)
    for position, reason in decoded.reasons:
        raise damaged(rows.files[position], ValueError(reason))
    wrong = np.flatnonzero(np.frombuffer(decoded.digests, DIGEST_TYPE) != rows.hashes)
    if len(wrong):
        raise damaged(rows.files[wrong[0]], ValueError("an image does not have its digest"))
    out[:] = np.frombuffer(decoded.pixels, np.uint8).reshape(out.shape)


class TableFile:
    """A dataset folder as it lies on the disk; shards are mapped when they are asked for.

    RequestError where there is no table, or a damaged one.
    """

    def __init__(self, folder: Place) -> None:
        self.folder = folder if isinstance(folder, Remote) else Path(folder)
        manifest = read_manifest(self.folder)
        self.metadata, self.entries, self.made = manifest.metadata, manifest.shards, manifest.made
        self._shards: dict[int, Shard] = {}

    def shard(self, number: int) -> Shard:
        if number not in self._shards:
            self._shards[number] = Shard(self.folder, self.entries[number], self.metadata)
        return self._shards[number]

    def shards(self) -> Iterator[Shard]:
        """All of them, each let go before the next."""
        for entry in self.entries:
            yield Shard(self.folder, entry, self.metadata)


def read_manifest(folder: Place) -> Manifest:
    """Of a dataset folder; RequestError where there is none, or a damaged one."""
    folder = folder if isinstance(folder, Remote) else Path(folder)
    path = folder / TABLE_FILE
    if not path.is_file():
        if (folder / _EARLIER_FILE).is_file():
            raise RequestError(
                f"{folder} was prepared by an earlier version, which kept {_EARLIER_FILE}: prepare the data again"
            )
        raise RequestError(f"{folder} is not a prepared data set: it has no {TABLE_FILE}; run prepare_data first")
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise damaged(path, error) from error
    if manifest.format != FORMAT:
        raise RequestError(
            f"{path} is of format {manifest.format} and this version reads {FORMAT}: prepare the data again"
        )
    metadata, shards = manifest.metadata, manifest.shards
    found = {split: sum(shard.rows.get(split, 0) for shard in shards) for split in metadata.splits}
    if found != metadata.splits or fingerprint_of(metadata, shards) != metadata.fingerprint:
        raise damaged(path, ValueError("its shards do not make its fingerprint"))
    return manifest


def read_metadata(folder: Path) -> TableMetadata:
    """Of a dataset folder, without its images and PyTorch; RequestError where there is no table, or a damaged one."""
    return read_manifest(folder).metadata


def is_table(folder: Path) -> bool:
    """Whether a folder holds a prepared data set, damaged or not."""
    path = Path(folder) / TABLE_FILE
    if not path.is_file():
        return False
    try:
        return {"metadata", "shards"} <= json.loads(path.read_bytes()).keys()
    except (OSError, ValueError, AttributeError):
        return (path.with_name(SHARDS_FOLDER)).is_dir()


def damaged(path: Place, error: Exception) -> RequestError:
    reason = (str(error).splitlines() or [""])[0] or type(error).__name__
    if isinstance(path, Path):
        return RequestError(f"{path} is damaged ({reason}): delete its folder and prepare the data again")
    copies = cached(path.name).with_suffix(".*")  # whole, and its small columns
    return RequestError(f"the copy of {path} is damaged ({reason}): delete {copies}, and it is fetched anew")


def fingerprint_of(metadata: TableMetadata, shards: Sequence[ShardEntry]) -> str:
    """SHA-256 (hex) of a table, from what its shards' digests say of the rows."""
    shape: list[Any] = [metadata.height, metadata.width, metadata.channels]
    if metadata.depth > 8:
        shape.append(f"{metadata.depth} bits")
    whole = hashlib.sha256(json.dumps([shape, list(metadata.class_names)]).encode())
    for shard in shards:
        whole.update(bytes.fromhex(shard.digest))
    return whole.hexdigest()


def content_digest(batch: pa.RecordBatch, rows: dict[str, int]) -> str:
    """SHA-256 (hex) of a shard: its small columns, and the hashes of its large ones."""
    whole = hashlib.sha256(json.dumps(list(rows.items())).encode())
    for name in sorted(batch.schema.names):
        if name in SMALL or name.endswith("_digest"):
            whole.update(name.encode())
            for part in _content(batch.column(name)):
                whole.update(hashlib.sha256(part.data).digest())
    return whole.hexdigest()


def _content(column: pa.Array) -> Iterator[np.ndarray]:
    """What a column holds, as bytes that no other column of its type has."""
    if not pa.types.is_string(column.type):
        yield fixed_rows(column) if pa.types.is_fixed_size_binary(column.type) else numbers_of(column, np.dtype("<i8"))
        return
    yield numbers_of(pc.fill_null(pc.binary_length(column), -1), np.dtype("<i4"))
    there = pc.drop_null(column)
    offsets = np.frombuffer(there.buffers()[1], np.int32)[there.offset : there.offset + len(there) + 1]
    if len(there) and offsets[-1] > offsets[0]:
        yield np.frombuffer(there.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]


def numbers_of(column: pa.Array, kind: np.dtype[Any]) -> np.ndarray:
    """A column of numbers without nulls as they lie in memory: Arrow's own conversion imports pandas, for 0.4 s."""
    values = np.frombuffer(column.buffers()[1] or b"", np.uint8)
    start = column.offset * kind.itemsize
    return values[start : start + len(column) * kind.itemsize].view(kind)


def fixed_rows(column: pa.FixedSizeBinaryArray) -> np.ndarray:
    """A column of fixed-size binary as uint8 [N, width], without copying."""
    width = column.type.byte_width
    values = np.frombuffer(column.buffers()[1] or b"", np.uint8)
    return values[column.offset * width : (column.offset + len(column)) * width].reshape(-1, width)


def kind_of_depth(depth: int) -> np.dtype[Any]:
    """Of a value of 8 or 16 bits, as it lies in a file."""
    return np.dtype("<u2") if depth > 8 else np.dtype(np.uint8)


def in_eight(values: np.ndarray) -> np.ndarray:
    """uint8 of what pixels are stored as, rounded."""
    return values if values.dtype == np.uint8 else np.rint(values / np.float32(257)).astype(np.uint8)


def row_digests(rows: np.ndarray, which: Sequence[int] | np.ndarray | None = None) -> np.ndarray:
    """uint64 [n], the hashes of rows of uint8 [N, width], of those at `which` or of all."""
    which = range(len(rows)) if which is None else which
    hashes = (hashlib.blake2b(rows[row].data, digest_size=DIGEST_TYPE.itemsize).digest() for row in which)
    return np.frombuffer(b"".join(hashes), DIGEST_TYPE)


def digests_of_pairs(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """uint64 [N], hashes of pairs from those of their sides: equal where both are."""
    return np.asarray(ours * np.uint64(_ODD) + theirs)


_ODD = 0x9E3779B97F4A7C15  # so that a pair and its mirror differ


def embedding_rows(rows: np.ndarray, embeddings: tuple[int, int]) -> np.ndarray:
    """The `embedding` column of a table, uint8 [rows, n * E * 4], as float32 [rows, n, E]."""
    return rows.view(EMBEDDED).reshape(-1, *embeddings)


def large_widths(row_bytes: int, paired: bool, embeddings: tuple[int, int]) -> dict[str, int]:
    """Bytes of a row in each of the columns that have hashes."""
    several, width = embeddings
    widths = {"pixels": row_bytes, "partner": row_bytes * paired, "embedding": several * width * EMBEDDED.itemsize}
    return {name: width for name, width in widths.items() if width}
