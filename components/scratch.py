"""Folders in the temporary folder that vanish with the process that made them, at the latest when the next one is made.

A killed process removes nothing. Each folder's name says whose it is, so that the next one can clear away after it.
"""

import hashlib
import os
import re
import shutil
import socket
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from components.processes import is_alive, parent_mark

PREFIX = "gan-pipeline-"
# A start time as another process reads it is off by as much as the clock was set since.
_SLACK_SECONDS = 60.0
_NAME = re.compile(rf"{PREFIX}(?P<machine>[0-9a-f]{{6}})-(?P<pid>\d+)-(?P<started>\d+\.\d\d)-[0-9a-f]{{8}}")


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder that is removed at the end of the block."""
    folder = scratch_path()
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def scratch_path() -> Path:
    """Where this process may make a folder, which others remove once it is gone; removes those of others that are."""
    place = Path(tempfile.gettempdir())
    remove_abandoned(place)
    return place / f"{PREFIX}{_machine()}-{parent_mark().replace(':', '-')}-{uuid.uuid4().hex[:8]}"


def remove_abandoned(place: Path) -> None:
    """Removes the scratch folders in `place` whose owners are gone: this user's, of this machine or container alone."""
    for folder in place.glob(f"{PREFIX}*"):
        named = _NAME.fullmatch(folder.name)
        if named is None or named["machine"] != _machine():
            continue
        with suppress(OSError):  # another process is faster
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            if not is_alive(f"{named['pid']}:{named['started']}", _SLACK_SECONDS):
                shutil.rmtree(folder, ignore_errors=True)


def _machine() -> str:
    """Numbers of processes mean nothing on another one, which may share the folder."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]
