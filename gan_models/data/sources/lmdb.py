"""The kind `lmdb`: LMDB environments whose values are encoded images, as LSUN comes.

One environment (a folder with `data.mdb`, or that file itself) is unlabelled. A folder of several is LSUN's: in
`bedroom_train_lmdb` and `church_outdoor_val_lmdb` the names are classes and splits. Images come in the order of keys.
"""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_models.data.sources.base import (
    BATCH_BYTES,
    SPLIT_NAMES,
    Batch,
    PathKind,
    Source,
    SourceName,
    printable,
    version_of,
)
from gan_models.data.sources.places import Place, is_address
from gan_models.errors import RequestError

if TYPE_CHECKING:
    from gan_models.data.decoding import Item

DATA = "data.mdb"
LSUN = re.compile(rf"(.+?)_({'|'.join(SPLIT_NAMES)})(?:_lmdb)?", re.IGNORECASE)
COUNTERS = frozenset({b"length", b"num-samples", b"__len__", b"__keys__"})
"""Keys under which tools say how many images there are."""
PICKLED = re.compile(rb"\x80[\x02-\x05].*\.", re.DOTALL)
MEMBER_BYTES = 512 << 20


@dataclass(frozen=True)
class Environment:
    """One LMDB file, and what its name says."""

    path: Path
    count: int
    counters: tuple[bytes, ...] = ()
    """Of `COUNTERS`, those that it holds."""
    category: str = ""
    split: str | None = None


class LmdbSource(Source):
    """All images of these files; RequestError: no LMDB, cut short, or without images."""

    def __init__(self, root: Path, files: Sequence[Path]) -> None:
        several = files[0] not in (root, root / DATA)
        self._parts = [_look(file, named=several) for file in files]
        self.total = sum(part.count for part in self._parts)
        if not self.total:
            raise RequestError(f"{root} holds no images: its LMDB is empty")
        names = {part.category for part in self._parts} - {""}
        self.class_names = tuple(sorted(names)) if len(names) > 1 else ()
        splits: Counter[str] = Counter()
        for part in self._parts:
            if part.split:
                splits[part.split] += part.count
        if splits and "train" not in splits:
            raise RequestError(f"{root} holds {' and '.join(sorted(splits))} images but none for training")
        self.split_counts, self.given_splits = splits, frozenset(splits)
        self.ignored = [
            (f"{part.path}: {key.decode()}", "says how many there are, by its name")
            for part in self._parts
            for key in part.counters
        ]

    def batches(self, rows: Sequence[int] | None, items: int) -> Iterator[Batch]:
        start = 0
        for part in self._parts:
            wanted = None if rows is None else [row - start for row in rows if start <= row < start + part.count]
            entries: list[tuple[str, Item]] = []
            held = 0
            for key, value in _entries(part, wanted):
                if entries and (len(entries) == min(items, self.most_items) or held + len(value) > BATCH_BYTES):
                    yield self._batch(part, entries)
                    entries, held = [], 0
                entries.append((printable(key.decode(errors="backslashreplace")), _image(value)))
                held += len(value)
            if entries:
                yield self._batch(part, entries)
            start += part.count

    def _batch(self, part: Environment, entries: Sequence[tuple[str, Item]]) -> Batch:
        label = self.class_names.index(part.category) if self.class_names and part.category else None
        place = part.path.parent.name if part.path.name == DATA else part.path.name
        return Batch(
            items=[item for _, item in entries],
            paths=[f"{place}/{key}" for key, _ in entries],
            labels=[label] * len(entries),
            splits=[part.split] * len(entries),
        )


def _image(value: bytes) -> Item:
    from gan_models.data.decoding import BadImageError

    if len(value) > MEMBER_BYTES:
        return BadImageError(f"too large: more than {MEMBER_BYTES >> 20} MiB")
    if PICKLED.match(value):
        return BadImageError("a pickled Python object, which is never loaded")
    return value


def _entries(part: Environment, wanted: Sequence[int] | None) -> Iterator[tuple[bytes, bytes]]:
    """(key, value) in the order of the keys; `wanted`: of these ascending places only."""
    with closing(_asked("entries", part.path, wanted)) as entries:
        yield from entries


def _look(file: Path, *, named: bool) -> Environment:
    """What a file holds; by its folder's name, where it is one of several, also what class and split it is of."""
    try:
        ((count, size, needed, counters),) = _asked("measures", file)
    except OSError as error:
        raise RequestError(f"cannot read {file} as LMDB: {error}") from error
    if size < needed:
        raise RequestError(f"{file} is cut short: it has {size} of {needed} bytes; copy it again")
    if not named:
        return Environment(file, count, counters)
    name = file.parent.name if file.name == DATA else file.stem
    match = LSUN.fullmatch(name)
    category, split = (match[1], SPLIT_NAMES[match[2].lower()]) if match else (name.removesuffix("_lmdb"), None)
    return Environment(file, count, counters, category, split)


def _asked(what: str, *arguments: object) -> Generator[Any, None, None]:
    """What one of `_ASKED` yields, in a process of its own.

    LMDB maps its file, and where that is damaged, the system may end what reads it. OSError: it did, or LMDB says that
    the file cannot be read.
    """
    path = os.pathsep.join([str(Path(__file__).resolve().parents[3]), *filter(None, sys.path)])
    reader = subprocess.Popen(
        [sys.executable, "-P", "-c", "from gan_models.data.sources.lmdb import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert reader.stdin is not None
    assert reader.stdout is not None
    try:
        pickle.dump((what, arguments), reader.stdin)
        reader.stdin.flush()
        while True:
            try:
                # Not foreign data: the other end is our own process, and nobody else holds the pipe.
                kind, answer = pickle.load(reader.stdout)
            except (EOFError, pickle.UnpicklingError):
                raise OSError(f"it is damaged, and ended what read it (exit code {reader.wait()})") from None
            if kind == "error":
                raise OSError(answer)
            if kind == "end":
                return
            yield answer
    finally:
        reader.kill()
        reader.stdin.close()
        reader.stdout.close()
        reader.wait()


def serve() -> None:
    """What such a process does; it ends when its pipe does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    import lmdb

    what, arguments = pickle.load(sys.stdin.buffer)
    answers = sys.stdout.buffer
    with suppress(BrokenPipeError):
        try:
            for answer in _ASKED[what](*arguments):
                pickle.dump(("answer", answer), answers, pickle.HIGHEST_PROTOCOL)
            pickle.dump(("end", None), answers)
        except (lmdb.Error, OSError) as error:
            pickle.dump(("error", " ".join(str(error).split())), answers)
        answers.flush()


def _opened(file: Path) -> Any:
    import lmdb

    # Without locks: what is only read may lie where nothing can be written.
    return lmdb.open(str(file), subdir=False, readonly=True, lock=False, readahead=False, create=False)


def _measure(file: Path) -> Iterator[tuple[int, int, int, tuple[bytes, ...]]]:
    """How many images it has, its bytes and those that it should have, and which of `COUNTERS`."""
    with _opened(file) as environment:
        known, size = environment.stat(), file.stat().st_size
        needed = (environment.info()["last_pgno"] + 1) * known["psize"]
        if size < needed:
            yield 0, size, needed, ()
            return
        with environment.begin() as transaction:
            counters = tuple(sorted(key for key in COUNTERS if transaction.get(key) is not None))
        yield known["entries"] - len(counters), size, needed, counters


def _read(file: Path, wanted: Sequence[int] | None) -> Iterator[tuple[bytes, bytes]]:
    with _opened(file) as environment, environment.begin() as transaction, closing(transaction.cursor()) as cursor:
        keys = (key for key in cursor.iternext(keys=True, values=False) if key not in COUNTERS)
        if wanted is None:
            yield from ((key, cursor.value()) for key in keys)
            return
        waiting = iter(wanted)
        place = next(waiting, None)
        for number, key in enumerate(keys):
            if place is None:
                return
            if number == place:
                yield key, cursor.value()
                place = next(waiting, None)


_ASKED: Mapping[str, Callable[..., Iterator[Any]]] = {"entries": _read, "measures": _measure}


class _Lmdb(PathKind):
    suffix = ".lmdb"

    def recognises(self, path: Path) -> bool:
        return super().recognises(path) or (path.is_dir() and bool(_files(path)))

    def check(self, text: str, rest: str) -> None:
        super().check(text, rest)
        if is_address(rest):
            raise RequestError(f"data source {text!r}: LMDB is mapped from a disk: copy it to one")

    def refusal(self, path: Place) -> str:
        return (
            ""
            if isinstance(path, Path) and _files(path)
            else f"{path} holds no {DATA}: give the folder that does, or one of such folders"
        )

    def existing(self, name: SourceName) -> Path:
        place = super().existing(name)
        assert isinstance(place, Path)
        if find_spec("lmdb") is None:
            raise RequestError(
                f"data source {str(name)!r}: LMDB is read by the package lmdb, which is not installed: pip install "
                "gan-pipeline[lmdb]"
            )
        return place

    def version(self, name: SourceName) -> str:
        return version_of(_files(self.existing(name)))  # beside them lie files of locks, which change

    def open(self, name: SourceName) -> Source:
        path = self.existing(name)
        return LmdbSource(path, _files(path))


def _files(path: Path) -> list[Path]:
    """The LMDB files at a path: itself, the one of a folder, or those of its folders."""
    if path.is_file():
        return [path]
    if (path / DATA).is_file():
        return [path / DATA]
    return sorted(path.glob(f"*/{DATA}"))


LMDB = _Lmdb()
