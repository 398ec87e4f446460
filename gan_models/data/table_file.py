"""The image table on disk: what `images.parquet` holds and how it is written. Needs no PyTorch.

One row is one image, already square and uint8. Columns: `pixels` (fixed-size binary, H*W*C bytes in HWC order),
`label` (int64, null when unlabelled), `caption`, `domain` (strings, may be null), `path` (where the image came from)
and `split` (train, validation or test); where the data has them also `attributes` (A bytes, 0 or 1 each), `partner`
(the other image of a pair, as `pixels`) and `embedding` (n * E numbers of float32, little-endian). `TableMetadata` is
JSON in the schema metadata, under `gan_pipeline`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from gan_models.data.captions import choose_words, split_words
from gan_models.data.shape import DataShape
from gan_models.errors import RequestError

IMAGES_FILE = "images.parquet"
METADATA_KEY = b"gan_pipeline"
SPLITS = ("train", "validation", "test")
ROW_GROUP_BYTES = 8 << 20
_EMBEDDED = np.dtype("<f4")


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

    @property
    def num_classes(self) -> int:
        """Number of classes, 0 when unlabelled."""
        return len(self.class_names)

    @property
    def classes_in_use(self) -> int:
        """Number of classes that training images are of."""
        return sum(self.counts.get("train", {}).get(name, 0) > 0 for name in self.class_names)

    @property
    def embedding(self) -> int:
        """Width of the embeddings that each image carries, 0 where it carries none."""
        return self.embeddings[1]

    @property
    def further(self) -> dict[str, int]:
        """Bytes of a row in each of the columns that few tables have."""
        partner = self.height * self.width * self.channels if self.paired else 0
        return further_widths(self.attribute_names, partner, self.embeddings)

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


def open_parquet(folder: Path) -> tuple[pq.ParquetFile, TableMetadata]:
    """The open table of a dataset folder; no pixel is read. RequestError where there is none, or a damaged one."""
    path = Path(folder) / IMAGES_FILE
    if not path.is_file():
        raise RequestError(f"{folder} is not a prepared data set: it has no {IMAGES_FILE}; run prepare_data first")
    try:
        file = pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)
        document = (file.metadata.metadata or {})[METADATA_KEY]
        metadata = TableMetadata.model_validate_json(document)
        width = file.schema_arrow.field("pixels").type.byte_width
    except (pa.ArrowException, OSError, KeyError, ValidationError, AttributeError) as error:
        raise damaged(path, error) from error
    if width != metadata.height * metadata.width * metadata.channels:
        raise damaged(path, ValueError(f"{width} bytes a row do not make {metadata.image_shape}"))
    return file, metadata


def read_metadata(folder: Path) -> TableMetadata:
    """Of a dataset folder, without its images and PyTorch; RequestError where there is no table, or a damaged one."""
    file, metadata = open_parquet(folder)
    file.close()
    return metadata


def damaged(path: Path, error: Exception) -> RequestError:
    reason = (str(error).splitlines() or [""])[0] or type(error).__name__
    return RequestError(f"{path} is damaged ({reason}): delete its folder and prepare the data again")


def pixel_rows(column: pa.ChunkedArray) -> np.ndarray:
    """The `pixels` column of a table as uint8 [rows, H*W*C], without copying when it is one chunk."""
    width = column.type.byte_width
    chunks = []
    for chunk in column.chunks:
        values = np.frombuffer(chunk.buffers()[1], np.uint8)
        chunks.append(values[chunk.offset * width : (chunk.offset + len(chunk)) * width])
    joined = chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
    return joined.reshape(-1, width)


def embedding_rows(rows: np.ndarray, embeddings: tuple[int, int]) -> np.ndarray:
    """The `embedding` column of a table, uint8 [rows, n * E * 4], as float32 [rows, n, E]."""
    return rows.view(_EMBEDDED).reshape(-1, *embeddings)


def further_widths(attribute_names: Sequence[str], partner: int, embeddings: tuple[int, int]) -> dict[str, int]:
    """Bytes of a row in each of the columns that few tables have; `partner`: of a partner, 0 where there is none."""
    several, width = embeddings
    widths = {"attributes": len(attribute_names), "partner": partner, "embedding": several * width * _EMBEDDED.itemsize}
    return {name: width for name, width in widths.items() if width}


def _fixed(rows: np.ndarray) -> pa.FixedSizeBinaryArray:
    """A column of uint8 [N, width]."""
    width = rows.shape[1]
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(rows), [None, pa.py_buffer(rows)])


class _Fingerprint:
    """SHA-256 over the content of a table, the same however its rows were cut into batches."""

    def __init__(self) -> None:
        self._columns = [hashlib.sha256() for _ in range(5)]
        self._further: dict[str, Any] = {}  # of columns that few tables have: without them all is as it ever was

    def add(self, *columns: memoryview | bytes) -> None:
        for column, content in zip(self._columns, columns, strict=True):
            column.update(content)

    def add_further(self, name: str, content: memoryview) -> None:
        self._further.setdefault(name, hashlib.sha256()).update(content)

    def hexdigest(self, shape: tuple[int, int, int], class_names: Sequence[str]) -> str:
        whole = hashlib.sha256(json.dumps([shape, list(class_names)]).encode())
        for column in self._columns:
            whole.update(column.digest())
        for name, column in sorted(self._further.items()):
            whole.update(name.encode() + column.digest())
        return whole.hexdigest()


def _joined(texts: Sequence[str | None]) -> bytes:
    """Texts as bytes that no other texts have: null is a zero, a text a one, its length and its content."""
    encoded = (None if text is None else text.encode() for text in texts)
    return b"".join(b"\0" if text is None else b"\1%d:%b" % (len(text), text) for text in encoded)


class TableWriter:
    """Writes an image table row group by row group, keeping count and fingerprint; memory does not grow with rows.

    The file is complete (footer written, flushed to disk) only after `close`; whoever calls renames it into place.

    Args:
        attribute_names: of what is said of each image, 0 or 1; none where nothing is.
        paired: whether each image has a partner.
        embeddings: (n, E), how many each image carries, and their width; zeros where it carries none.
    """

    def __init__(
        self,
        path: Path,
        height: int,
        width: int,
        channels: int,
        *,
        attribute_names: Sequence[str] = (),
        paired: bool = False,
        embeddings: tuple[int, int] = (0, 0),
    ) -> None:
        self._path = path
        self._embeddings = embeddings
        self.shape = (height, width, channels)
        self._row_bytes = height * width * channels
        self._attribute_names = tuple(attribute_names)
        self._widths = further_widths(self._attribute_names, self._row_bytes if paired else 0, embeddings)
        self._schema = pa.schema(
            [
                ("pixels", pa.binary(self._row_bytes)),
                ("label", pa.int64()),
                *((name, pa.string()) for name in ("caption", "domain", "path", "split")),
                *((name, pa.binary(width)) for name, width in self._widths.items()),
            ]
        )
        # Pixels are read once, whole: compression and dictionaries would only slow that down.
        self._writer = pq.ParquetWriter(
            path,
            self._schema,
            compression={**dict.fromkeys(self._schema.names, "zstd"), "pixels": "NONE"}
            | ({"partner": "NONE"} if paired else {}),
            use_dictionary=["split", "domain"],
            write_statistics=False,
            write_page_checksum=True,
        )
        self._fingerprint = _Fingerprint()
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = 0
        self._counts: Counter[tuple[str, int | None]] = Counter()
        self._domains: Counter[str | None] = Counter()
        self._words: Counter[str] = Counter()

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
    ) -> None:
        """Add rows: `pixels` uint8 [N, H*W*C] (or [N, H, W, C]), the rest one entry a row.

        Either every row of a table has a domain, or none.

        Args:
            attributes: uint8 [N, A], 0 or 1; where the table has names for them.
            partners: as `pixels`; where the table is one of pairs.
            embeddings: float32 [N, n, E]; where the table has such.
        """
        rows = np.ascontiguousarray(pixels, dtype=np.uint8).reshape(-1, self._row_bytes)
        self._counts.update(zip(splits, labels, strict=True))
        captions, domains = captions or [None] * len(rows), domains or [None] * len(rows)
        self._domains.update(domains)
        for caption, split in zip(captions, splits, strict=True):
            if caption is not None and split == "train":
                self._words.update(split_words(caption))
        numbers = np.array([-1 if label is None else label for label in labels], "<i8")
        numbered_splits = bytes(map(SPLITS.index, splits))
        self._fingerprint.add(rows.data, numbers.data, numbered_splits, _joined(captions), _joined(domains))
        columns = [
            _fixed(rows),
            pa.array(labels, pa.int64()),
            *(pa.array(texts, pa.string()) for texts in (captions, domains, paths, splits)),
        ]
        given = {"attributes": attributes, "partner": partners}
        if embeddings is not None:
            given["embedding"] = np.ascontiguousarray(embeddings, _EMBEDDED).reshape(len(rows), -1).view(np.uint8)
        for name, width in self._widths.items():
            values = given[name]
            assert values is not None
            values = np.ascontiguousarray(values, dtype=np.uint8).reshape(len(rows), width)
            self._fingerprint.add_further(name, values.data)
            columns.append(_fixed(values))
        self._pending.append(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        self._pending_rows += len(rows)
        if self._pending_rows * self._row_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._pending_rows:
            table = pa.Table.from_batches(self._pending, self._schema)
            self._writer.write_table(table, row_group_size=max(1, self._pending_rows))
        self._pending, self._pending_rows = [], 0

    def close(self, class_names: Sequence[str], source: str, options: dict[str, Any]) -> TableMetadata:
        """Writes the footer, flushes the file to disk; ValueError where some rows have a domain and some none."""
        self._flush()
        domain_names = sorted(name for name in self._domains if name is not None)
        if domain_names and self._domains[None]:
            raise ValueError(f"{self._domains[None]} of {self._domains.total()} rows have no domain")
        known: list[tuple[int | None, str]] = [*enumerate(class_names)]
        if not class_names or any(label is None for _, label in self._counts):
            known.append((None, ""))
        present = [split for split in SPLITS if any(key[0] == split for key in self._counts)]
        height, width, channels = self.shape
        metadata = TableMetadata(
            height=height,
            width=width,
            channels=channels,
            class_names=tuple(class_names),
            counts={split: {name: self._counts[split, label] for label, name in known} for split in present},
            fingerprint=self._fingerprint.hexdigest(self.shape, class_names),
            source=source,
            options=options,
            domain_names=tuple(domain_names),
            attribute_names=self._attribute_names,
            paired="partner" in self._widths,
            words=choose_words(self._words),
            embeddings=self._embeddings,
        )
        self._writer.add_key_value_metadata({METADATA_KEY: metadata.model_dump_json().encode()})
        self._writer.close()
        with self._path.open("rb+") as written:
            os.fsync(written.fileno())
        return metadata

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, *_: object) -> None:
        # On an error the half-written file is the caller's to delete; only the handle is given back here.
        if self._writer.is_open:
            with contextlib.suppress(OSError):
                self._writer.close()
