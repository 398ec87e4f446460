"""The write-ahead journal of a stage: everything bound for MLflow goes to disk first, as JSON lines, in order.

A stage appends and never waits for a server; a `Relay` (components.tracking.relay) reads and sends. One journal belongs
to one stage of one run and survives the stage's process: a resumed stage appends to the same file, and what it repeats
(a metric at the same step, an image, a parameter) is not written twice.

Folder of a run, `<state_dir>/tracking/<run_id>/`:

    run.json            what the run is called (no address of the tracking server: it may hold a password)
    <stage>.lease/      which process may write the journal (components.lease)
    <stage>.relay/      which process sends it, likewise
    <stage>.jsonl       the journal: one entry a line, {"t": ms since 1970, "kind": ..., ...}
    <stage>.ack.json    how many bytes of it the tracking server holds; written by the relay
    <stage>.spool/      copies of the files to be uploaded, deleted once they are
    <stage>.rejected    entries that the tracking store would not take, with its reasons; absent as a rule

A line is written by one `write`, so a process that dies leaves at most one torn line, at the end; it is cut off when
the journal is opened again and ignored by readers.
"""

import contextlib
import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.clock import now
from components.lease import PATIENCE_SECONDS, Lease
from gan_models.errors import RunError

Entry = dict[str, Any]
DAMAGED = "damaged"
BATCHED = ("metrics", "params", "tags")
"""Kinds that may share one request: their `values` stand for themselves, one by one."""

_ONCE = ("image", "dataset", "checkpoint", "generator")  # kinds that are not said twice

FSYNC_SECONDS = 2.0  # a killed process loses nothing in any case; a power cut loses at most this much


@dataclass(frozen=True)
class Line:
    """One entry of a journal and the offset, in bytes, just behind it."""

    entry: Entry
    end: int


def read_lines(path: Path, offset: int = 0) -> Iterator[Line]:
    """The complete entries behind `offset`, first to last; a torn last line is left for later.

    A complete line that is no entry (a disk that lied before a power cut) becomes one of the kind `DAMAGED`.
    """
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        file.seek(offset)
        for raw in file:
            if not raw.endswith(b"\n"):
                return  # the rest of it may arrive meanwhile
            offset += len(raw)
            yield Line(_decode(raw), offset)


def _decode(raw: bytes) -> Entry:
    try:
        entry = json.loads(raw)
    except ValueError:
        entry = None
    return entry if isinstance(entry, dict) and "kind" in entry else {"kind": DAMAGED}


def read_acknowledged(path: Path) -> tuple[int, bool]:
    """How many bytes of the journal at `path` the tracking store holds, and whether more of it might have been sent.

    The doubt comes with a power cut, which may take the end of a journal or its acknowledgement away.
    """
    file = path.with_suffix(".ack.json")
    if not file.exists():
        return 0, False
    try:
        known = json.loads(file.read_text())
        offset, doubtful = int(known["bytes"]), bool(known.get("doubtful", False))
    except (ValueError, KeyError, TypeError):
        return 0, True
    size = path.stat().st_size if path.exists() else 0
    return min(offset, size), doubtful or offset > size


def sending_folder(spool: Path) -> Path:
    """Where the relay puts a file of `spool` under the name that it is uploaded as; made when it is missing."""
    folder = spool.with_suffix(".sending")
    folder.mkdir(exist_ok=True)
    return folder


def read_all(path: Path, offset: int = 0) -> Iterator[Entry]:
    """The entries of `read_lines`."""
    return (line.entry for line in read_lines(path, offset))


def last_kind(path: Path) -> str:
    """The kind of a journal's last entry, "" for an empty journal."""
    kind = ""
    for entry in read_all(path):
        kind = str(entry["kind"])
    return kind


class Journal:
    """Appends to the journal of one stage; open it once a process, close it at the end.

    It holds a lease while it is open, and says LeaseLostError instead of writing when another process has taken over.

    Args:
        patience, waiting: for another process that has it open, as `Lease.acquire` takes them; 0: not at all. RunError
            where that does not let go of it.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        patience: float = PATIENCE_SECONDS,
        waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self.path = folder / f"{name}.jsonl"
        self.spool = folder / f"{name}.spool"
        self.spool.mkdir(parents=True, exist_ok=True)
        self._lease = Lease(folder / f"{name}.lease", f"the stage {name} of this run")
        if not (self._lease.acquire(patience, waiting) if patience else self._lease.take()):
            raise RunError(
                f"the stage {name} of this run is being written by another process ({self.path}): "
                "wait for it to end, or stop it"
            )
        self._guard = threading.Lock()
        self._latest = 0  # what an attempt before wrote last: its clock may have been another one
        self._times: dict[str, int] = {}  # when that was logged which is logged once
        self._params: dict[str, str] = {}
        self._synced = time.monotonic()
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        written = self.path.read_bytes()
        os.ftruncate(self._file, written.rfind(b"\n") + 1)  # a torn last line is cut off
        for entry in read_all(self.path):
            self._remember(entry)
        self._clear_spool()

    def _clear_spool(self) -> None:
        """Delete copies that no entry waits for: their process died before it could journal or delete them."""
        offset, _ = read_acknowledged(self.path)
        waiting = {entry.get("file") for entry in read_all(self.path, offset)}
        for path in self.spool.iterdir():
            if path.name not in waiting:
                remove(path)

    def _remember(self, entry: Entry) -> None:
        self._latest = max(self._latest, int(entry.get("t", 0)))
        if entry["kind"] == "params":
            self._params.update(entry["values"])
        for mark in _marks(entry):
            self._times.setdefault(mark, int(entry["t"]))

    def append(self, entry: Mapping[str, Any]) -> bool:
        """Write what is new in `entry`; False when all was there already. OSError leaves the journal as it was."""
        with self._guard:
            fresh = self._only_new({"t": max(self._latest, int(now() * 1000)), **entry})
            if fresh is None:
                return False
            self._lease.check()
            self._write(json.dumps(fresh, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
            self._remember(fresh)
            if time.monotonic() - self._synced > FSYNC_SECONDS:
                self.sync()
            return True

    def _write(self, line: bytes) -> None:
        size = os.fstat(self._file).st_size
        try:
            written = os.write(self._file, line)
            while written < len(line):  # a nearly full disk takes a part; the rest raises or follows
                written += os.write(self._file, line[written:])
        except OSError:
            self._lease.check()  # an error of a volume that is back: the next holder may have written behind `size`
            os.ftruncate(self._file, size)
            raise

    def _only_new(self, entry: Entry) -> Entry | None:
        kind = entry["kind"]
        if kind in ("metrics", "headline"):
            new = {k: v for k, v in entry["values"].items() if _figure(entry, k) not in self._times}
            says = kind == "headline" and (entry["markdown"] or entry["tags"])
            return {**entry, "values": new} if new or says else None
        if kind == "params":
            new = {k: v for k, v in entry["values"].items() if self._params.get(k) != v}
            return {**entry, "values": new} if new else None
        if kind in _ONCE and _identity(entry) in self._times:
            return None
        if kind == "checkpoint":  # figures that were logged as metrics, too, keep one time, so that they stay one
            marks = {k: _figure(entry, k) for k in entry["values"]}
            logged = {k: self._times[mark] for k, mark in marks.items() if mark in self._times}
            return {**entry, "times": logged} if logged else entry
        return entry

    def has(self, kind: str, name: str, step: int | str = "") -> bool:
        """Whether an image or a generator is in the journal already, so that no copy of it need be made."""
        return _identity({"kind": kind, "name": name, "key": name, "step": step}) in self._times

    @contextmanager
    def new_copy(self, name: str) -> Iterator[Path]:
        """A new folder in the spool to write into; it is removed when that fails."""
        self._lease.check()
        target = self.spool / f"{uuid.uuid4().hex[:12]}-{name}"
        target.mkdir()
        try:
            yield target
        except BaseException:
            remove(target)
            raise

    def keep_copy(self, source: Path) -> str:
        """Put a file or folder into the spool (hard links where the disk allows) and return its name there."""
        self._lease.check()
        name = f"{uuid.uuid4().hex[:12]}-{source.name}"
        target = self.spool / name
        if source.is_dir():
            shutil.copytree(source, target, copy_function=link_or_copy)
        else:
            link_or_copy(source, target)
        return name

    def sync(self) -> None:
        """Make everything written so far survive a power cut."""
        os.fsync(self._file)
        self._synced = time.monotonic()

    def close(self) -> None:
        self.sync()
        os.close(self._file)
        self._lease.release()


def link_or_copy(source: Path | str, target: Path | str) -> None:
    """A hard link where both lie on one file system, else a copy. Files here are replaced, never changed in place."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def remove(path: Path) -> None:
    """Delete a file or a folder; one that is gone or cannot be deleted is left."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _marks(entry: Entry) -> list[str]:
    """What must not be journalled a second time of an entry."""
    figures = entry.get("values", {}) if entry["kind"] in ("metrics", "headline", "checkpoint") else {}
    whole = [_identity(entry)] if entry["kind"] in _ONCE else []
    return [*whole, *(_figure(entry, key) for key in figures)]


def _figure(entry: Entry, key: str) -> str:
    """A figure at a step; those of the pipeline's run live beside those of the stage's own."""
    return f"{'headline' if entry['kind'] == 'headline' else 'metrics'}:{key}:{int(entry.get('step', 0))}"


def _identity(entry: Entry) -> str:
    name = entry["key"] if entry["kind"] == "image" else entry["name"]
    return f"{entry['kind']}:{name}:{entry.get('step', '')}:{entry.get('fingerprint', '')}"
