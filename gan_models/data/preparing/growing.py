"""A data set that is prepared again after images came or went: what is there already is taken over row by row.

A row is known again by its stamp: of the image's path, of its bytes (of a file: its size and time of change), and of
all that the source says of it. Its shard, and with it its pixels and split, are those of the earlier table; shards of
which nothing has gone are the same files (hard links). What is new makes shards of its own, after the others.

Where the table is kept at an address, it is taken up from there by whatever machine, and only new shards are put there.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image

from gan_models.atomic import share_file, write_json, write_text
from gan_models.data import decoding, formats, ranges
from gan_models.data.decoding import Item, Target
from gan_models.data.formats import WINDOW
from gan_models.data.halves import Half
from gan_models.data.kept_shards import SHARDS_FOLDER, fetch, put, small_columns
from gan_models.data.sources import parse_source
from gan_models.data.sources.base import Batch, Source
from gan_models.data.sources.places import AT_ONCE, Place, Remote, reaching
from gan_models.data.table_file import DIGEST_TYPE, TABLE_FILE, ShardEntry, TableFile, read_manifest
from gan_models.data.table_writer import drop_rows
from gan_models.errors import RequestError
from gan_models.metrics.locations import default_cache
from gan_models.recipes.schema import Data

OPTIONS_FILE = "options.json"
_FREE = {"source", "grow", "workers", "max_bad_share"}
"""Options that rows do not depend on: where images lie is part of their stamps."""


def made_by(source: Source, target: Target, options: Data) -> str:
    """Changes when the same image, of which the same is said, would become another row."""
    whole = hashlib.sha256()
    for module in (decoding, formats, ranges):
        whole.update(Path(str(module.__file__)).read_bytes())
    said = [
        PIL.__version__,
        repr(target),
        options.model_dump(mode="json", exclude=_FREE),
        *(source.class_names, source.attribute_names, source.embeddings, source.paired, sorted(source.given_splits)),
        bool(source.domain_names),
    ]
    whole.update(json.dumps(said, sort_keys=True).encode())
    return whole.hexdigest()


class Earlier:
    """An earlier table, and which of its rows are there again."""

    def __init__(self, table: TableFile) -> None:
        self.table = table
        fetch(
            (entry.lies_at(table.folder) for entry in table.entries),
            partial(small_columns, large=table.metadata.large),
        )
        stamps = np.concatenate([np.empty(0, DIGEST_TYPE), *(shard.stamps for shard in table.shards())])
        self._order = np.argsort(stamps, kind="stable")
        self._stamps = stamps[self._order]
        self.there = np.zeros(len(stamps), bool)
        self.first_shard = max((entry.number + 1 for entry in table.entries), default=0)

    def known(self, stamps: np.ndarray) -> np.ndarray:
        """bool [N], which images have a row here that no other one has taken."""
        if not len(self._stamps):
            return np.zeros(len(stamps), bool)
        found = np.minimum(np.searchsorted(self._stamps, stamps), len(self._stamps) - 1)
        rows = self._order[found]
        known = (self._stamps[found] == stamps) & ~self.there[rows]
        known &= np.isin(np.arange(len(stamps)), np.unique(stamps, return_index=True)[1])
        self.there[rows[known]] = True
        return known

    def digests(self) -> np.ndarray:
        """uint64, the hashes of its images."""
        return np.concatenate([np.empty(0, DIGEST_TYPE), *(shard.digests for shard in self.table.shards())])

    def taken_over(self, folder: Path) -> list[ShardEntry]:
        """Its shards in another dataset folder, without the rows that are not there again."""
        (folder / SHARDS_FOLDER).mkdir(exist_ok=True)
        for entry in self.table.entries:
            if isinstance(file := entry.lies_at(self.table.folder), Path):
                share_file(file, folder / entry.file)
        return drop_rows(folder, np.flatnonzero(~self.there), self.table.metadata, self.table.entries)


def fresh(batches: Iterable[Batch], source: Source, earlier: Earlier | None, start: int) -> Iterator[Batch]:
    """Batches with places, counted from `start`, and stamps; where there is an earlier table, of what is new alone."""
    for batch in batches:
        batch.places = range(start, start + len(batch))
        batch.until = start = start + len(batch)
        if batch.versions:  # what is known again need not be fetched
            batch.stamps = _stamps(batch, source)
            yield batch if earlier is None else batch.part(np.flatnonzero(~earlier.known(batch.stamps)).tolist())
            continue
        if earlier is None and batch.fill is not None:
            batch.fill = partial(_fill_and_stamp, batch.fill, source)
            yield batch
            continue
        if batch.fill is not None:
            batch.fill(batch)
            batch.fill = None
        batch.stamps = _stamps(batch, source)
        yield batch if earlier is None else batch.part(np.flatnonzero(~earlier.known(batch.stamps)).tolist())


def _fill_and_stamp(fill: Callable[[Batch], None], source: Source, batch: Batch) -> None:
    fill(batch)
    batch.stamps = _stamps(batch, source)


def _stamps(batch: Batch, source: Source) -> np.ndarray:
    """uint64 [N] of a batch that is filled in, or whose versions are known."""
    columns: list[Sequence[Any]] = [batch.splits, batch.captions, batch.domains, batch.attributes]
    names: dict[int | None, str] = dict(enumerate(source.class_names))
    labels = [names.get(label) for label in batch.labels]
    found = bytearray()
    for at, path in enumerate(batch.paths):
        said = [path, labels[at] if labels else None, *(column[at] if column else None for column in columns)]
        stamp = hashlib.blake2b(repr(said).encode(errors="surrogatepass"), digest_size=DIGEST_TYPE.itemsize)
        if batch.versions:
            stamp.update(batch.versions[at].encode())
        else:
            for item in (batch.items[at], *batch.partners[at : at + 1]):
                stamp.update(_content(item))
        vectors = batch.embeddings[at] if batch.embeddings else None
        stamp.update(b"" if vectors is None else np.ascontiguousarray(vectors).tobytes())
        found += stamp.digest()
    return np.frombuffer(found, DIGEST_TYPE)


def _content(item: Item) -> bytes:
    """What changes when an image does, without decoding it."""
    if isinstance(item, bytes):
        return hashlib.blake2b(item, digest_size=16).digest()
    if isinstance(item, str):
        try:
            status = Path(item).stat()
        except OSError:
            return b"absent"
        return b"%d %d" % (status.st_size, status.st_mtime_ns)
    if isinstance(item, Half):
        return item.side.encode() + _content(item.item)
    if isinstance(item, Image.Image):
        return hashlib.blake2b(
            repr((item.mode, item.size, item.info.get(WINDOW))).encode() + item.tobytes(), digest_size=16
        ).digest()
    return str(item).encode()


def last_table(options: Data) -> Path | None:
    """The dataset folder that was last made of the same source with the same options on this machine, if it is left."""
    try:
        folder = Path(json.loads(_note(options).read_text(encoding="utf-8"))["folder"])
        TableFile(folder)
    except (OSError, ValueError, KeyError, TypeError, RequestError):
        return None
    return folder


def remember(options: Data, folder: Path) -> None:
    """For `last_table`."""
    note = _note(options)
    note.parent.mkdir(parents=True, exist_ok=True)
    write_json(note, {"folder": str(folder.absolute()), "source": options.source})


def _note(options: Data) -> Path:
    return default_cache() / "tables" / f"{_key(options)}.json"


def _key(options: Data) -> str:
    """Of tables that may share rows."""
    decides = [parse_source(options.source).absolute, options.model_dump(mode="json", exclude=_FREE)]
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:32]


class KeptTable:
    """The place below an address (`data.grow`) where the tables of one source and options are kept."""

    def __init__(self, address: str, options: Data) -> None:
        self.address = Remote(address) / _key(options)
        self._options = options

    def check(self) -> None:
        """Writes what lies there; RunError where nothing can be written, before any work is done."""
        about = self._options.model_dump(mode="json", exclude={"grow"})
        place = self.address / OPTIONS_FILE
        with reaching(str(place), "written"):
            place.write_bytes(json.dumps(about, indent=1, ensure_ascii=False).encode())

    def take(self, folder: Path, tick: Callable[[], None]) -> str:
        """Puts those of a table's shards there that are not, and makes it the last table; the folder needs none then.

        Args:
            tick: called after each shard; what it raises ends this.

        Returns:
            What was done, as a sentence.
        """
        manifest = read_manifest(folder)
        put_there = partial(self._put, folder)
        entries, new = [], []
        threads = ThreadPoolExecutor(AT_ONCE)
        try:
            for entry, is_new in threads.map(put_there, manifest.shards):
                entries.append(entry)
                new += [entry] * is_new
                tick()
        finally:
            threads.shutdown(cancel_futures=True)
        text = manifest.model_copy(update={"shards": tuple(entries)}).model_dump_json(indent=1)
        place = self.address / TABLE_FILE
        with reaching(str(place), "written"):
            place.write_bytes(text.encode())
        write_text(folder / TABLE_FILE, text)
        shutil.rmtree(folder / SHARDS_FOLDER)
        return f"{len(new)} of its {len(entries)} shards were put at {self.address}, the others are there already"

    def _put(self, folder: Path, entry: ShardEntry) -> tuple[ShardEntry, bool]:
        if entry.kept_at:
            return entry, False
        file, new = put(folder / entry.file, entry.number, str(self.address))
        return entry.model_copy(update={"file": file, "kept_at": str(self.address)}), new


def same_made(folder: Place | None, made: str) -> Earlier | None:
    """The table of a folder, where its rows can be taken over."""
    if folder is None:
        return None
    try:
        with reaching(str(folder)):
            table = TableFile(folder)
        return Earlier(table) if table.made == made else None
    except RequestError:  # damaged, or of another version: it is made anew
        return None


def growth(earlier: Earlier, entries: Sequence[ShardEntry]) -> str:
    """How a table grew, in a sentence."""
    old = int(earlier.there.sum())
    gone, new = len(earlier.there) - old, sum(entry.count for entry in entries)
    return f"{old} rows are those of the table before, {gone} of it are gone, {new} are new"
