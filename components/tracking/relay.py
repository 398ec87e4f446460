"""Sends the journals of a run to its tracker: in order, in batches, exactly once, for as long as it takes.

How often an entry arrives, whatever dies when:

- An entry is acknowledged (`<stage>.ack.json`, replaced atomically) after the store took it. Killed in between, the
  next relay sends the same entries again, but first asks the store what it has of them (`verify`).
- A request that failed may have arrived: it, too, is verified when repeated.
- A metric keeps the time it was journalled with, so that a SQL store sees a repeated row for what it is even when the
  first request is still under way.
- One relay at a time holds a journal, by a lease (components.lease). One that lost it acknowledges nothing more; what
  it had under way then is sent once more by its successor, and verified.
"""

from __future__ import annotations

import errno
import json
import logging
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from components.context import DESCRIBED, DESCRIPTION_FILE, RunContext, read_description
from components.lease import Lease
from components.redaction import redact
from components.tracking.backend import Sender, Trouble, tracker_of
from components.tracking.journal import (
    BATCHED,
    Entry,
    Line,
    read_acknowledged,
    read_all,
    read_lines,
    remove,
    sending_folder,
)
from gan_models.atomic import write_json

POLL_SECONDS = 0.5
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 10.0
REFUSED_WAIT_SECONDS = 30.0
CLOSE_SECONDS = 2.0
ODD_TRIES = 8
BATCH_VALUES = 500  # of metrics, parameters and tags each; MLflow takes 1,000 metrics, 100 parameters and 100 tags
BATCH_NAMES = 100
BATCH_BYTES = 400_000
ALWAYS = 1 << 62
_PATIENT = (Trouble.AWAY, Trouble.REFUSED)  # what no entry is to blame for

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)  # no network says so
_FORBIDDEN = (errno.EACCES, errno.EPERM)

_logger = logging.getLogger("gan_pipeline.relay")
_logger.addHandler(logging.NullHandler())  # what it says belongs into a log, and onto no screen where there is none


@dataclass(frozen=True)
class Pending:
    """What has not reached the store yet. Truthy when there is something."""

    entries: int
    sentence: str  # for the user; empty when nothing is pending
    rejected: tuple[str, ...]  # why entries were set aside, a sentence each

    def __bool__(self) -> bool:
        return self.entries > 0


@dataclass
class _Outbox:
    """One journal and how far it has been sent."""

    path: Path
    lease: Lease
    offset: int = 0
    verify_below: int = 0  # entries before this offset may have been sent without being acknowledged
    tries: int = 0

    @property
    def spool(self) -> Path:
        return self.path.with_suffix(".spool")

    def hold(self) -> bool:
        """Become the one that sends this journal; False while another process is."""
        if self.lease.number:
            return self.lease.is_held()
        if not self.lease.take():
            return False
        shutil.rmtree(sending_folder(self.spool), ignore_errors=True)
        self.offset, doubtful = read_acknowledged(self.path)
        self.verify_below = ALWAYS if doubtful else self.offset + 1
        return True

    def acknowledge(self, lines: Sequence[Line]) -> None:
        self.lease.check()
        for line in lines:  # first, so that none is left when this is killed: one that is gone counts as sent
            if name := line.entry.get("file"):
                remove(self.spool / name)
        doubtful = {"doubtful": True} if self.verify_below == ALWAYS else {}
        write_json(self.path.with_suffix(".ack.json"), {"bytes": lines[-1].end, **doubtful})
        self.offset = lines[-1].end
        self.tries = 0


@dataclass
class _Post:
    """One run's outboxes and the sender that they share."""

    context: RunContext
    only: str | None
    sender: Sender
    outboxes: dict[Path, _Outbox] = field(default_factory=dict)

    def refresh(self) -> list[_Outbox]:
        for path in _journals(self.context, self.only):
            if path not in self.outboxes:
                self.outboxes[path] = _Outbox(path, Lease(path.with_suffix(".relay"), f"the sending of {path}"))
        return list(self.outboxes.values())


class Relay:
    """A thread that sends what the stages of a run journal; use as a context manager.

    Args:
        context: the run; what runs before it in the same work directory left behind for the same store is sent, too.
        only: the name of one stage, to send nothing but its journal.
        trials: runs that are sent along with it, as if they were one.
    """

    def __init__(self, context: RunContext, only: str | None = None, trials: Sequence[RunContext] = ()) -> None:
        self.context = context
        self._only = only
        self._tracker = tracker_of(context.tracking_uri)
        # A command that only knows where the run lies takes the titles that its stages wrote down.
        titles = context.titles or read_description(context.tracking_folder / DESCRIPTION_FILE).get("titles", {})
        self._runs = (context, *trials)
        titled = {"titles": titles}
        self._posts = [_Post(run, only, self._tracker.sender(run.model_copy(update=titled))) for run in self._runs]
        known = {run.run_id for run in self._runs}
        left = [run for run in unsent_runs(context) if run.run_id not in known] if only is None else ()
        self._leftovers = [_Post(run, None, self._tracker.sender(run)) for run in left]
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._draining = False
        self._reason = ""
        self._trouble: Trouble | None = None
        self._rounds = 0  # begun so far
        self._troubled_round = 0  # the last one that `_trouble` is known from
        self._rejected: list[str] = []
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stops sending. What is under way gets a moment to finish; it is verified next time if it does not."""
        self._stop.set()
        self._wake.set()
        self._thread.join(CLOSE_SECONDS)

    def drain(self, timeout: float) -> Pending:
        """Wait `timeout` seconds at most until all is sent, not for a server that refuses; returns what is unsent."""
        self._draining = True
        self._trouble = None
        # What the round under way may still find out is older than this call.
        believed_after = self._rounds + 1
        self._wake.set()
        end = time.monotonic() + timeout
        while self._has_unsent() and time.monotonic() < end and self._thread.is_alive():
            if self._trouble is Trouble.REFUSED and self._troubled_round >= believed_after:
                break
            time.sleep(0.05)
        self._draining = False
        return self.pending()

    def pending(self) -> Pending:
        """What is unsent at this moment."""
        count = sum(count_unsent(run, self._only) for run in self._runs)
        sentence = (
            f"{count} entries wait in {self._folder} to be sent to {self._tracker.name}"
            f"{self._reason and f': {self._reason}'}; the next run in this work directory sends them"
        )
        return Pending(count, sentence if count else "", tuple(self._rejected))

    def _has_unsent(self) -> bool:
        return any(has_unsent(run, self._only) for run in self._runs)

    @property
    def _folder(self) -> Path:
        """Where what is unsent lies: that of the run, or of all runs here where it has trials."""
        return self.context.tracking_folder if len(self._runs) == 1 else self.context.tracking_folder.parent

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            self._rounds += 1
            try:
                trouble = self._round()
            except Exception as error:  # whatever it is, nothing is lost by trying again
                reason = _of_this_disk(error)
                trouble = Trouble.REFUSED if reason else Trouble.ODD
                self._note(trouble, reason or redact(str(error)))
                if not reason:
                    _logger.warning("%s", redact(str(error)), exc_info=error)
            failures = failures + 1 if trouble else 0
            self._wake.wait(_wait_seconds(trouble, failures, self._draining))
            self._wake.clear()
        for post in (*self._posts, *self._leftovers):
            for outbox in post.outboxes.values():
                outbox.lease.release()

    def _round(self) -> Trouble | None:
        """Send all there is; the first trouble ends the round, for every journal goes to the same store."""
        for post in self._posts:
            if trouble := self._send_all(post):
                return trouble
        for post in list(self._leftovers):  # what an earlier run left must not hold up this one: one try
            if self._send_all(post):
                self._leftovers.remove(post)
        return None

    def _send_all(self, post: _Post) -> Trouble | None:
        for outbox in post.refresh():
            while not self._stop.is_set() and outbox.hold() and (lines := next_batch(outbox.path, outbox.offset)):
                if trouble := self._deliver(post, outbox, lines):
                    return trouble
        return None

    def _deliver(self, post: _Post, outbox: _Outbox, lines: Sequence[Line]) -> Trouble | None:
        """Sends lines in one go. What of them the store does not take by itself either is set aside: others follow."""
        verify = outbox.offset < outbox.verify_below
        trouble, _ = self._try(post, outbox, [line.entry for line in lines], verify, lines)
        if trouble in _PATIENT:
            outbox.tries = 0
            return trouble
        if trouble:
            outbox.tries += 1
            if outbox.tries < (2 if trouble is Trouble.REJECTED else ODD_TRIES):
                return trouble  # once more with verification: a parameter may just have been there already
            for line in lines:
                for entry in _smallest_parts(line.entry):
                    trouble, sentence = self._try(post, outbox, [entry], True)
                    if trouble in _PATIENT:
                        return trouble
                    if trouble:
                        self._reject(outbox, entry, sentence)
                outbox.acknowledge([line])
        self._note(None, "")
        return None

    def _try(
        self, post: _Post, outbox: _Outbox, entries: Sequence[Entry], verify: bool, lines: Sequence[Line] = ()
    ) -> tuple[Trouble | None, str]:
        """Sends entries and acknowledges `lines`; else what went wrong, in a word and in a sentence."""
        try:
            post.sender.send(outbox.path.stem, outbox.spool, entries, verify)
            if lines:
                outbox.acknowledge(lines)
            return None, ""
        except Exception as error:
            # Whether the request arrived is not known, so it is verified when it is repeated.
            outbox.verify_below = max(outbox.verify_below, outbox.offset + 1)
            post.sender.reset()
            if sentence := _of_this_disk(error):  # no store and no entry is to blame for that
                trouble = Trouble.REFUSED
            else:
                trouble, sentence = post.sender.trouble_of(error), post.sender.sentence_of(error)
            if post in self._posts:
                self._note(trouble, sentence)
            if trouble not in _PATIENT:
                _logger.info("%s", redact(str(error)), exc_info=error)
            return trouble, sentence

    def _note(self, trouble: Trouble | None, reason: str) -> None:
        """Remember how it goes; say so in the log when that changes."""
        if trouble is not self._trouble:
            _logger.info("%s", reason or "the tracking store takes entries again")
        self._trouble, self._reason, self._troubled_round = trouble, reason, self._rounds

    def _reject(self, outbox: _Outbox, entry: Entry, sentence: str) -> None:
        self._rejected.append(sentence)
        with outbox.path.with_suffix(".rejected").open("a") as file:
            file.write(json.dumps({"entry": entry, "reason": sentence}) + "\n")
        _logger.warning("%s", sentence)


def _of_this_disk(error: Exception) -> str:
    """What the user has to do where the journals' own disk takes nothing more; else empty."""
    if not isinstance(error, OSError):
        return ""
    if error.errno in _FULL or (error.errno in _FORBIDDEN and error.filename):
        return f"{error.filename or 'a file'} cannot be written ({error.strerror}): make room, or give permission"
    return ""


def _wait_seconds(trouble: Trouble | None, failures: int, draining: bool) -> float:
    if trouble is None:
        return 0.05 if draining else POLL_SECONDS
    if trouble is Trouble.REFUSED and not draining:
        return REFUSED_WAIT_SECONDS
    longest = 2.0 if draining else LONGEST_WAIT_SECONDS
    return min(FIRST_WAIT_SECONDS * float(2 ** min(failures - 1, 10)), longest)


def next_batch(path: Path, offset: int) -> list[Line]:
    """The entries to send in one go: as many as fit of those that may share a request, or a single other one."""
    batch: list[Line] = []
    metrics = names = 0
    for line in read_lines(path, offset):
        kind, count = line.entry["kind"], len(line.entry.get("values", ()))
        if kind not in BATCHED:
            return batch or [line]
        metrics, names = (metrics + count, names) if kind == "metrics" else (metrics, names + count)
        if batch and (metrics > BATCH_VALUES or names > BATCH_NAMES or line.end - offset > BATCH_BYTES):
            return batch
        batch.append(line)
    return batch


def _smallest_parts(entry: Entry) -> Iterator[Entry]:
    if entry["kind"] in BATCHED:
        for key, value in entry["values"].items():
            yield {**entry, "values": {key: value}}
    else:
        yield entry


def _journals(context: RunContext, only: str | None) -> list[Path]:
    return sorted(context.tracking_folder.glob(f"{only or '*'}.jsonl"))


def has_unsent(context: RunContext, only: str | None = None) -> bool:
    """Whether the store lacks an entry of a run."""
    return any(any(read_all(path, read_acknowledged(path)[0])) for path in _journals(context, only))


def count_unsent(context: RunContext, only: str | None = None) -> int:
    """How many entries of a run the store has not acknowledged."""
    return sum(1 for path in _journals(context, only) for _ in read_all(path, read_acknowledged(path)[0]))


def unsent_runs(context: RunContext, *, of_any_store: bool = False) -> list[RunContext]:
    """Other runs in the same work directory with entries that were never sent, oldest first.

    Args:
        of_any_store: also those that were begun for another store than the one of `context`.
    """
    found = []
    files = context.tracking_folder.parent.glob(f"*/{DESCRIPTION_FILE}")
    for file in sorted(files, key=lambda file: file.stat().st_mtime):
        described = read_description(file)
        same_store = described.get("tracking_uri") == redact(context.tracking_uri)
        if file.parent != context.tracking_folder and (same_store or of_any_store):
            same = {key: described[key] for key in DESCRIBED if key in described}
            run = RunContext.model_validate({**context.model_dump(), "run_id": file.parent.name, **same})
            if has_unsent(run):
                found.append(run)
    return found
