"""Writing files and folders whole or not at all, whatever dies in between, and only while one may."""

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

_check: ContextVar[Callable[[], None]] = ContextVar("check", default=lambda: None)


@contextmanager
def guarded(check: Callable[[], None]) -> Iterator[None]:
    """While inside, this thread asks before anything that it wrote becomes visible, or is cleared away.

    Args:
        check: raises where this process must not write any more (another one has taken over); called by `new_file`,
            `new_folder`, `write_text`, `write_json` and `may_write`. What was there stays as it is then.

    Where the block fails while `check` raises, that is why: the other one may have cleared away what was being written.
    """
    token = _check.set(check)
    try:
        yield
    except Exception:
        with suppress(OSError):
            check()
        raise
    finally:
        _check.reset(token)


def may_write() -> None:
    """Raises what `check` of `guarded` raises. For what is done to files by other means."""
    _check.get()()


@contextmanager
def new_file(path: Path, *, flush: bool = True) -> Iterator[Path]:
    """A temporary path in the same folder; what is written there becomes `path` when the block ends well.

    Flushed to disk before it is moved, so that neither a kill nor a power cut leaves half a file. Without `flush` a
    power cut may leave an empty one: for many small files that can be made again.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        yield temporary
        if flush:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        may_write()
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`; it replaces `path` when the block ends well and vanishes when it does not.

    One writer at a time: what an earlier one of the same path left behind when it was killed is removed.
    """
    may_write()
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in path.parent.glob(f".{path.name}.{'[0-9a-f]' * 8}*"):  # of a process that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    temporary.mkdir()
    try:
        yield temporary
        may_write()
        if path.exists():
            old = path.with_name(f"{temporary.name}.old")
            path.replace(old)
            temporary.replace(path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, whole or not at all."""
    with new_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, whole or not at all; keys keep their order."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def share_file(old: Path, new: Path) -> None:
    """The same file in another place: a hard link, or a copy where there can be none."""
    try:
        os.link(old, new)
    except OSError:
        shutil.copyfile(old, new)
        with new.open("rb") as file:
            os.fsync(file.fileno())
