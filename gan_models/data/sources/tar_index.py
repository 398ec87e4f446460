"""What lies where in a tar: read once, front to back, and kept for the next time.

A tar has no list of its members. Its index is an Arrow file in the cache, a row for each file in it, with the texts of
small ones, so that a shard of a hundred thousand pictures is gone through once and its pictures are then read by their
places. Memory holds a few rows at a time, however long a tar is.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from gan_models.atomic import new_file
from gan_models.data.sources.base import LEFTOVERS, printable, version_of
from gan_models.data.sources.places import Place
from gan_models.metrics.locations import default_cache

FORMAT = "1"
"""Goes up when indexes of another kind are written."""
GZIPPED = (".gz", ".tgz")
TEXTS = ("cls", "txt", "json", "caption", "text", "label")
"""Fields of samples whose content is kept in the index."""
TEXT_BYTES = 64 << 10
ROWS = 4096
BLOCK = 512
SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("key", pa.string()),
        ("field", pa.string()),
        ("sample", pa.int32()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("text", pa.binary()),
    ]
)
"""`key` and `field` are a path up to and from the first dot of its file's name; files of one key that stand together
are one `sample`, counted from 0. `offset` is of the content, in the tar as it is unpacked."""


@contextmanager
def opened(shard: Place) -> Iterator[IO[bytes]]:
    """A tar as it is unpacked, to be read from any place in it (backwards, where it is packed, by starting anew)."""
    with shard.open("rb") as file:
        if shard.suffix not in GZIPPED:
            yield file
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield cast("IO[bytes]", unpacked)


def index_of(shard: Place) -> tuple[pa.Table, str]:
    """Its files (`SCHEMA`), mapped from the disk, and what is damaged about it: "" where nothing is."""
    name = hashlib.sha256(f"{FORMAT} {shard.absolute()} {version_of([shard])}".encode()).hexdigest()[:32]
    kept = default_cache() / "tar" / f"{name}.arrow"
    if kept.is_file():
        return _read(kept)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        _write(shard, kept)
        return _read(kept)
    except PermissionError:  # a cache that this process may not write
        with tempfile.TemporaryDirectory() as folder:
            _write(shard, Path(folder) / kept.name)
            return _read(Path(folder) / kept.name)  # what is mapped stays when its name goes


def _read(kept: Path) -> tuple[pa.Table, str]:
    table = pa.ipc.open_file(pa.memory_map(str(kept))).read_all()
    if len(table) and table.column("sample")[-1].as_py() < 0:
        return table.slice(0, len(table) - 1), table.column("text")[-1].as_py().decode()
    return table, ""


def _write(shard: Place, path: Path) -> None:
    """Goes through a tar; the file appears whole, or not at all."""
    with new_file(path) as rows, pa.OSFile(str(rows), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        waiting: list[dict[str, Any]] = []
        for row in _rows(shard):
            waiting.append(row)
            if len(waiting) == ROWS:
                writer.write(pa.RecordBatch.from_pylist(waiting, SCHEMA))
                waiting = []
        writer.write(pa.RecordBatch.from_pylist(waiting, SCHEMA))


def _rows(shard: Place) -> Iterator[dict[str, Any]]:
    """A row for each file; a last one of sample -1 says what is damaged, and then the sample before it is left out."""
    sample: list[dict[str, Any]] = []
    count = 0
    try:
        for row in _members(shard):
            if sample and (row["key"] != sample[0]["key"] or any(row["field"] == each["field"] for each in sample)):
                yield from sample
                sample, count = [], count + 1
            sample.append(row | {"sample": count})
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        damage = " ".join(str(error).split())[:200] or type(error).__name__
        yield {"sample": -1, "text": f"damaged after {count} samples: {damage}".encode()}
        return
    yield from sample


def _members(shard: Place) -> Iterator[dict[str, Any]]:
    """Files in the order of the tar, but hidden ones and leftovers; tarfile's errors where it is damaged."""
    with opened(shard) as file, tarfile.open(fileobj=file, mode="r:") as tar:
        for member in tar:
            tar.members = []  # type: ignore[attr-defined]  # else it keeps them all
            path = printable(member.name.removeprefix("./"))
            parts = path.split("/")
            if not member.isreg() or member.issparse() or any(part.startswith(".") for part in parts):
                continue
            if LEFTOVERS.intersection(parts):
                continue
            stem, _, field = parts[-1].partition(".")
            key, field = "/".join([*parts[:-1], stem]), field.lower()
            text = None
            if member.size <= TEXT_BYTES and field in TEXTS:
                file.seek(member.offset_data)
                text = file.read(member.size)
            place = {"offset": member.offset_data, "size": member.size}
            yield {"path": path, "key": key, "field": field, "text": text, **place}
        # Where a header is damaged, tarfile ends as if that were the end.
        file.seek(tar.offset)
        if (end := file.read(BLOCK)) != bytes(BLOCK):
            raise tarfile.ReadError("what follows is no tar" if end else "its end is missing")
