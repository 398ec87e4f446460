"""The write-ahead journal of a stage: everything bound for MLflow goes to disk first, as JSON lines, in order.

A stage appends and never waits for a server; a `Relay` (components.shared.relay) reads and sends. One journal belongs
to one stage of one run and survives the stage's process: a resumed stage appends to the same file, and what it repeats
(a metric at the same step, an image, a parameter) is not written twice.

Folder of a run, `<state_dir>/tracking/<run_id>/`:

    run.json            what the run is called (no address of the tracking server: it may hold a password)
    <stage>.jsonl       the journal: one entry a line, {"t": ms since 1970, "kind": ..., ...}
    <stage>.ack.json    how many bytes of it the tracking server holds; written by the relay
    <stage>.spool/      copies of the files to be uploaded, deleted once they are

A line is written by one `write`, so a process that dies leaves at most one torn line, at the end; it is cut off when
the journal is opened again and ignored by readers.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from gan_models.errors import RunError

Entry = dict[str, Any]

FSYNC_SECONDS = 2.0  # a killed process loses nothing in any case; a power cut loses at most this much
LOCK_SECONDS = 30.0  # a predecessor that was told to stop has this long to go


def tracking_folder(state_dir: Path | str, run_id: str) -> Path:
    """Where the journals of a run lie."""
    return Path(state_dir) / "tracking" / run_id


@dataclass(frozen=True)
class Line:
    """One entry of a journal and the offset, in bytes, just behind it."""

    entry: Entry
    end: int


def read_lines(path: Path, offset: int = 0, max_bytes: int = 1 << 20) -> list[Line]:
    """The complete entries behind `offset`, about `max_bytes` of them; a torn last line is left for later.

    A complete line that is no JSON object (a disk that lied before a power cut) is stepped over.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            block = file.read(max_bytes)
            if block and b"\n" not in block:
                block += file.readline()
    except FileNotFoundError:
        return []
    lines = []
    for raw in block.splitlines(keepends=True):
        if not raw.endswith(b"\n"):
            break
        offset += len(raw)
        lines.append(Line(_decode(raw), offset))
    return lines


def _decode(raw: bytes) -> Entry:
    try:
        entry = json.loads(raw)
    except ValueError:
        return {"kind": "damaged"}
    return entry if isinstance(entry, dict) else {"kind": "damaged"}


def read_all(path: Path) -> Iterator[Entry]:
    """Every complete entry of a journal, first to last."""
    offset = 0
    while lines := read_lines(path, offset):
        for line in lines:
            yield line.entry
        offset = lines[-1].end


class Journal:
    """Appends to the journal of one stage; open it once a process, close it at the end.

    Raises:
        RunError: another process has the journal open and does not let go of it.
    """

    def __init__(self, folder: Path, name: str, lock_seconds: float = LOCK_SECONDS) -> None:
        self.path = folder / f"{name}.jsonl"
        self.spool = folder / f"{name}.spool"
        self.spool.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(folder / f"{name}.lock", timeout=lock_seconds)
        try:
            self._lock.acquire()
        except Timeout:
            raise RunError(
                f"the stage {name} of this run is being written by another process ({self.path} is locked): "
                "wait for it to end, or stop it"
            ) from None
        self._steps: dict[str, set[int]] = {}
        self._images: set[tuple[str, int]] = set()
        self._params: dict[str, str] = {}
        self._others: set[str] = set()
        self._synced = time.monotonic()
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._cut_torn_line()
        for entry in read_all(self.path):
            self._remember(entry)

    def _cut_torn_line(self) -> None:
        size = os.fstat(self._file).st_size
        end = size
        while end > 0:
            start = max(0, end - 65536)
            newline = os.pread(self._file, end - start, start).rfind(b"\n")
            end = start if newline < 0 else start + newline + 1
            if newline >= 0:
                break
        if end < size:
            os.ftruncate(self._file, end)

    def _remember(self, entry: Entry) -> None:
        kind = entry.get("kind")
        if kind in ("metrics", "headline"):
            for key in entry.get("values", {}):
                self._steps.setdefault(self._scoped(entry, key), set()).add(int(entry.get("step", 0)))
        elif kind == "image":
            self._images.add((entry["key"], int(entry["step"])))
        elif kind == "params":
            self._params.update({self._scoped(entry, key): value for key, value in entry["values"].items()})
        elif kind in ("dataset", "checkpoint", "generator"):
            self._others.add(self._identity(entry))

    @staticmethod
    def _scoped(entry: Mapping[str, Any], key: str) -> str:
        return f"parent:{key}" if entry.get("kind") == "headline" else key

    @staticmethod
    def _identity(entry: Mapping[str, Any]) -> str:
        return f"{entry['kind']}:{entry['name']}:{entry.get('step', '')}:{entry.get('fingerprint', '')}"

    def append(self, entry: Mapping[str, Any]) -> bool:
        """Write what is new in `entry`; False when all of it was there already."""
        fresh = self._only_new(dict(entry))
        if fresh is None:
            return False
        fresh.setdefault("t", int(time.time() * 1000))
        line = json.dumps(fresh, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        written = os.write(self._file, line)
        while written < len(line):  # a nearly full disk takes a part; the rest raises or follows
            written += os.write(self._file, line[written:])
        self._remember(fresh)
        if time.monotonic() - self._synced > FSYNC_SECONDS:
            self.sync()
        return True

    def _only_new(self, entry: Entry) -> Entry | None:
        kind = entry["kind"]
        if kind in ("metrics", "headline"):
            step = int(entry.get("step", 0))
            seen = self._steps
            entry["values"] = {
                k: v for k, v in entry["values"].items() if step not in seen.get(self._scoped(entry, k), ())
            }
            return entry if entry["values"] or kind == "headline" else None
        if kind == "image":
            return None if (entry["key"], int(entry["step"])) in self._images else entry
        if kind == "params":
            entry["values"] = {k: v for k, v in entry["values"].items() if self._params.get(k) != v}
            return entry if entry["values"] else None
        if kind in ("dataset", "checkpoint", "generator"):
            return None if self._identity(entry) in self._others else entry
        return entry

    def has_image(self, key: str, step: int) -> bool:
        """Whether the image is in the journal already, so that no copy of it need be made."""
        return (key, step) in self._images

    def keep_copy(self, source: Path) -> str:
        """Put a file or folder into the spool (hard links where the disk allows) and return its name there."""
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
        if self._file >= 0:
            self.sync()
            os.close(self._file)
            self._file = -1
            self._lock.release()


def link_or_copy(source: Path | str, target: Path | str) -> None:
    """A hard link where both lie on one file system, else a copy. Files here are replaced, never changed in place."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
