"""Progress of a stage: events in a file when a command line is watching, a bar on the terminal when not.

The events file (its path is in the environment variable GAN_PIPELINE_EVENTS) is appended to by the stages of a run and
tailed by the command line (`EventReader`). One JSON object a line:

    {"t": 1767225600.25, "stage": "train_gan", "kind": "start"}
    {"t": ..., "stage": ..., "kind": "progress", "task": "training", "done": 400, "total": 4000, "figures": {...}}
    {"t": ..., "stage": ..., "kind": "note", "text": "one sentence"}
    {"t": ..., "stage": ..., "kind": "error", "sentence": "...", "exit_code": 1, "log": "/path/of/the/log"}
    {"t": ..., "stage": ..., "kind": "end", "status": "FINISHED" | "FAILED" | "KILLED", "seconds": 12.5}

`t` is seconds since 1970; `figures` are numbers or short texts worth showing beside the bar.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

EVENTS_VARIABLE = "GAN_PIPELINE_EVENTS"
EVENT_SECONDS = 0.2  # at most five progress events a second
LINE_SECONDS = 15.0  # between two lines of progress where there is no terminal

Event = dict[str, Any]
Figures = Mapping[str, float | str]


class EventLog:
    """Appends events to the file that the command line tails; does nothing when there is none."""

    def __init__(self, path: Path | None, stage: str) -> None:
        self.path = path
        self.stage = stage

    @classmethod
    def from_environment(cls, stage: str) -> EventLog:
        path = os.environ.get(EVENTS_VARIABLE)
        return cls(Path(path) if path else None, stage)

    def write(self, kind: str, **fields: Any) -> None:
        if self.path is None:
            return
        event = {"t": round(time.time(), 3), "stage": self.stage, "kind": kind, **fields}
        line = json.dumps(event, ensure_ascii=False, default=str).encode() + b"\n"
        # Showing progress must never end a run: a full disk is reported where real output is written.
        with contextlib.suppress(OSError):
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(file, line)
            finally:
                os.close(file)


class EventReader:
    """Tails an events file: each call of `read` returns what was added since the last one.

    A line that is still being written is left for the next call; a damaged one is stepped over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def read(self) -> list[Event]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                block = file.read()
        except FileNotFoundError:
            return []
        block = block[: block.rfind(b"\n") + 1]
        self._offset += len(block)
        events = []
        for raw in block.splitlines():
            with contextlib.suppress(ValueError):
                event = json.loads(raw)
                if isinstance(event, dict) and "kind" in event:
                    events.append(event)
        return events


class Display(Protocol):
    """Something that shows how far a task is."""

    def show(self, done: int, total: int, figures: Figures) -> None: ...


class Progress:
    """How far a task is. Cheap to call at every step: what is shown is limited in rate."""

    def __init__(self, total: int, display: Display) -> None:
        self.total = total
        self.done = 0
        self._figures: dict[str, float | str] = {}
        self._display = display

    def advance(self, n: int = 1, **figures: float | str) -> None:
        """`n` more are done; `figures` are shown beside the bar."""
        self.set(self.done + n, **figures)

    def set(self, done: int, **figures: float | str) -> None:
        """`done` of the total are done."""
        self.done = done
        self._figures.update(figures)
        self._display.show(done, self.total, self._figures)


class _EventDisplay:
    def __init__(self, events: EventLog, task: str) -> None:
        self._events = events
        self._task = task
        self._last = 0.0

    def show(self, done: int, total: int, figures: Figures) -> None:
        now = time.monotonic()
        if done < total and now - self._last < EVENT_SECONDS:
            return
        self._last = now
        self._events.write("progress", task=self._task, done=done, total=total, figures=dict(figures))


class _LineDisplay:
    """A line now and then, for logs."""

    def __init__(self, stage: str, task: str) -> None:
        self._what = f"{stage}: {task}"
        self._last = time.monotonic()

    def show(self, done: int, total: int, figures: Figures) -> None:
        now = time.monotonic()
        if now - self._last < LINE_SECONDS:
            return
        self._last = now
        print(f"{self._what} {done}/{total} {figures_text(figures)}".rstrip(), file=sys.stderr, flush=True)  # noqa: T201


class _BarDisplay:
    """A bar on the terminal, on standard error."""

    def __init__(self, stage: str, task: str, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(f"{stage}: {task}", total=total, figures="")
        self._bar.start()
        self._last = 0.0

    def show(self, done: int, total: int, figures: Figures) -> None:
        now = time.monotonic()
        if done < total and now - self._last < EVENT_SECONDS:
            return
        self._last = now
        self._bar.update(self._task, completed=done, figures=figures_text(figures))

    def stop(self) -> None:
        self._bar.stop()


def figures_text(figures: Figures) -> str:
    """`{"loss_g": 0.7312, "note": "warm"}` as `loss_g 0.731 note warm`."""
    return " ".join(f"{key} {f'{value:.3g}' if isinstance(value, float) else value}" for key, value in figures.items())


@contextmanager
def _bar(stage: str, task: str, total: int) -> Iterator[Progress]:
    bar = _BarDisplay(stage, task, total)
    try:
        yield Progress(total, bar)
    finally:
        bar.stop()


def show_progress(events: EventLog, task: str, total: int) -> AbstractContextManager[Progress]:
    """Progress of one task, shown in the way that fits: events, a bar on a terminal, lines elsewhere."""
    if events.path is not None:
        progress = Progress(total, _EventDisplay(events, task))
        progress.set(0)
        return contextlib.nullcontext(progress)
    if sys.stderr.isatty():
        return _bar(events.stage, task, total)
    return contextlib.nullcontext(Progress(total, _LineDisplay(events.stage, task)))
