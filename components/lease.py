"""Who may write into a place on a volume that several machines share: the holder of its lease.

A lease is a folder of claims, `00000007` say; the claim with the highest number holds. Its holder renews it in place
every few seconds, so that whoever waits sees that it lives.

Taking over. A claim is made by creating its file, which succeeds once for a name (O_EXCL: local disks, NFS since
version 3, SMB): of several that find number 7 over, one makes number 8, and the others wait for that one. The newest
claim is never deleted, so that numbers only grow; one that is made below a newer one by a late process is withdrawn.

A claim is over

- at once, when its holder has released it, or is known to be dead: it holds a file lock on its claim, and where this
  machine, up since the same moment, gives that lock away, nobody lives who could hold it;
- else when it has not changed for `term_seconds`, by the monotonic clock of the one who waits. No two clocks are
  compared, and no lock is needed: on volumes without, this alone decides.

Fencing. A holder may have been stopped or cut off and know nothing of its successor. So it, and every process that
writes for it (`Fence`), looks whether its number is the highest right before anything that it wrote becomes visible.
The look lists the folder, and opening a folder asks the server, on NFS too (unless mounted `nocto`).

What remains. No volume compares and renames in one step: a process that is stopped between its look and its rename, for
longer than the term, makes one late write when it lives again, and none after that. It is one file or folder, whole,
of the same training and an earlier step: it hides no newer checkpoint, the next tick writes the history anew, and what
was handed on lies under other names. What it clears away then may be what its successor is writing: that one fails, and
goes on when it is started again. Into a journal, which is appended to, goes one late line, or what the kernel of a
machine that was cut off had not sent yet (at most `FSYNC_SECONDS` of it): readers step over damage, but a line of the
successor may be lost.
"""

from __future__ import annotations

import fcntl
import os
import platform
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from gan_models.errors import RunError

TERM_VARIABLE = "GAN_PIPELINE_LEASE_SECONDS"
TERM_SECONDS = 60.0  # network volumes show a change late, and a busy one makes a beat wait
BEATS_PER_TERM = 12
LOOK_SECONDS = 1.0
# How long a living holder is waited for: one that was told to stop, or a pod that is being given up.
PATIENCE_SECONDS, CLUSTER_PATIENCE_SECONDS = 30.0, 1800.0
_BOOT = Path("/proc/sys/kernel/random/boot_id")  # the same in all containers of a machine, until it starts anew


class LeaseLostError(RunError):
    """Another process has taken over: this one must not write any more."""


class Fence(BaseModel):
    """The number that a holder, and those who write for it, hold against the newest one."""

    model_config = ConfigDict(frozen=True)

    folder: Path  # of the claims
    number: int
    what: str  # is held: "the training in /state/..."

    @classmethod
    def draw(cls, folder: Path, what: str) -> Fence:
        """A new highest number, for who is known in another way to be the only one to draw; nobody renews its claim."""
        while True:
            number = _newest(folder) + 1
            with suppress(FileExistsError):
                os.close(_create(folder, number))
                _remove_older(folder, number)
                return cls(folder=folder, number=number, what=what)

    def check(self) -> None:
        """Raises LeaseLostError where there is a higher number; OSError where the volume is away."""
        if _newest(self.folder) != self.number:
            raise LeaseLostError(
                f"{self.what} has gone to another attempt, as this one was not heard of for a while: "
                "this one ends and writes nothing more; follow the other one"
            )


class _Claim(BaseModel):
    """What a claim says; by the second one on, `beat` alone differs. All of one length, as `beat` only grows."""

    holder: str = "?"  # for people
    host: str = ""
    boot: str = ""  # since when its machine is up; empty where that has no name
    locked: bool = False  # whether its holder has a file lock on it
    state: str = "held"  # or "free"
    beat: int = 0


class Lease:
    """A lease that this process may take.

    Args:
        folder: of the claims, made when it is missing.
        what: is held, for the sentence of who loses it.
    """

    def __init__(self, folder: Path, what: str) -> None:
        self.folder = folder
        self.what = what
        self.number = 0  # of this process's claim; 0: none
        self.lost = False  # whether a beat has found a newer claim
        self.holder_lives = False  # whether the last look at another's claim has shown that: a lock, or a beat
        self._file = -1
        self._claim = _Claim()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._seen: tuple[int, bytes] | None = None  # of another's claim
        self._since = 0.0

    def acquire(self, patience: float, waiting: Callable[[], None] = lambda: None) -> bool:
        """Takes it as soon as it may; False where its holder lives on.

        Args:
            patience: seconds that a living holder is waited for; one that says nothing is watched for the term.
            waiting: called after every look in vain; what it raises ends the waiting.
        """
        began = time.monotonic()
        while not self.take():
            waiting()
            if self.holder_lives and time.monotonic() - began >= patience:
                return False
            time.sleep(min(LOOK_SECONDS, term_seconds() / BEATS_PER_TERM))
        return True

    def take(self) -> bool:
        """One look: takes it where its holder is known to be dead, or was silent between the looks of a whole term."""
        number = _newest(self.folder)
        if number and not self._is_over(number):
            return False
        self._claim = _Claim(holder=f"process {os.getpid()} on {platform.node()}", host=platform.node(), boot=_boot())
        return self._make(number + 1)

    @property
    def fence(self) -> Fence:
        """For processes that write for this one."""
        return Fence(folder=self.folder, number=self.number, what=self.what)

    def check(self) -> None:
        """Raises LeaseLostError where another process has taken it; OSError where the volume is away."""
        self.fence.check()

    def is_held(self) -> bool:
        """Whether it is this process's, now."""
        return self.number > 0 and not self.lost and _newest(self.folder) == self.number

    def release(self) -> None:
        """Lets the next one in at once. Nothing happens where it was not taken, or lost."""
        if not self.number:
            return
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        with suppress(OSError):  # then the next one waits
            if self.is_held():
                self._claim.state = "free"
                self._renew()
        os.close(self._file)
        self.number, self._file, self._thread = 0, -1, None

    def _is_over(self, number: int) -> bool:
        path = _path(self.folder, number)
        try:
            content = path.read_bytes()
        except OSError:
            return False  # taken over meanwhile, or the volume is away: look again
        claim = _read(content)
        lives = _lives(path, claim)
        if claim.state == "free" or lives is False:
            return True
        if self._seen != (number, content):
            self.holder_lives = self._seen is not None or lives is True
            self._seen, self._since = (number, content), time.monotonic()
        return time.monotonic() - self._since >= term_seconds()

    def _make(self, number: int) -> bool:
        try:
            self._file = _create(self.folder, number)
        except FileExistsError:
            return False  # another one was faster
        try:
            # The lock comes before the words that it is there: until then nobody asks for it.
            self._claim.locked = _lock(self._file, fcntl.LOCK_EX)
            self._renew()
            is_newest = _newest(self.folder) == number
        except BaseException:
            self._withdraw(number)
            raise
        if not is_newest:
            self._withdraw(number)
            return False
        self.number, self.lost, self._over = number, False, threading.Event()
        _remove_older(self.folder, number)
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()
        return True

    def _withdraw(self, number: int) -> None:
        os.close(self._file)
        _path(self.folder, number).unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._over.wait(term_seconds() / BEATS_PER_TERM):
            with suppress(OSError):  # a volume that is away; whoever waits is patient
                self._renew()
                if _newest(self.folder) != self.number:
                    self.lost = True
                    return

    def _renew(self) -> None:
        """In place: a new file would not be the one that is locked, and an opened file shows its changes soonest."""
        self._claim.beat += 1
        os.pwrite(self._file, self._claim.model_dump_json().encode(), 0)
        os.fsync(self._file)


def term_seconds() -> float:
    """How long a claim says nothing until it is over; equal for all who share a volume."""
    return float(os.environ.get(TERM_VARIABLE) or TERM_SECONDS)


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}"


def _newest(folder: Path) -> int:
    """The highest number; 0 where there is none."""
    try:
        return max((int(path.name) for path in folder.iterdir() if path.name.isdecimal()), default=0)
    except FileNotFoundError:
        return 0


def _create(folder: Path, number: int) -> int:
    """The open file of a new claim; FileExistsError where another one has made it."""
    folder.mkdir(parents=True, exist_ok=True)
    return os.open(_path(folder, number), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o664)


def _remove_older(folder: Path, number: int) -> None:
    for path in folder.iterdir():
        if path.name.isdecimal() and int(path.name) < number:
            with suppress(OSError):
                path.unlink()


def _read(content: bytes) -> _Claim:
    """One that says nothing where it is being written, or was drawn."""
    try:
        return _Claim.model_validate_json(content)
    except ValidationError:
        return _Claim()


def _boot() -> str:
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _lock(file: int, kind: int) -> bool:
    """Whether the file is locked now; False where another process has a lock on it, or the volume has none."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _lives(path: Path, claim: _Claim) -> bool | None:
    """Whether the holder of a claim lives; None where this machine cannot know.

    A lock that this machine does not give is somebody's. One that it gives was its holder's only if that is a process
    of this very machine: volumes exist whose locks other machines do not see.
    """
    same_host, boot = claim.host == platform.node(), _boot()
    if not claim.locked or not (same_host or (boot and claim.boot == boot)):
        return None
    if claim.boot != boot:
        return False  # the machine has started anew since
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return not _lock(file, fcntl.LOCK_SH)  # shared: two who ask at once do not take one another for the holder
    finally:
        os.close(file)
