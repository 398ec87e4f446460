"""Progress of a stage: events in a file when a command line is watching, a bar on the terminal when not.

The events file (its path is in the environment variable GAN_PIPELINE_EVENTS) is appended to by the stages of a run and
tailed by the command line (`EventReader`). One JSON object a line:

    {"t": 1767225600.25, "stage": "train_gan", "kind": "start"}
    {"t": ..., "stage": ..., "kind": "progress", "task": "training", "done": 400, "total": 4000, "figures": {...}}
    {"t": ..., "stage": ..., "kind": "note", "text": "one sentence"}
    {"t": ..., "stage": ..., "kind": "error", "sentence": "...", "exit_code": 1, "log": "/path/of/the/log"}
    {"t": ..., "stage": ..., "trial": "0f3a...", "kind": "trial-failed", "sentence": "..."}
    {"t": ..., "stage": ..., "kind": "end", "status": "FINISHED" | "FAILED" | "KILLED", "seconds": 12.5}

`t` is seconds since 1970; events of a sweep's trial have its key as `trial`; `figures` are numbers or short texts worth
showing beside the bar.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from components.clock import now
from components.context import Trial
from components.tracking.journal import DAMAGED, read_lines

EVENTS_VARIABLE = "GAN_PIPELINE_EVENTS"
EVENT_SECONDS = 0.2  # at most five progress events a second
LINE_SECONDS = 15.0  # between two lines of progress where there is no terminal

Event = dict[str, Any]
Figures = Mapping[str, float | str]


class EventLog:
    """Appends events to the file that the command line tails; does nothing when there is none."""

    def __init__(self, path: Path | None, stage: str, trial: Trial | None = None) -> None:
        self.path = path
        self.stage = stage
        self._said = {"stage": stage, **({"trial": trial.key} if trial else {})}

    @classmethod
    def from_environment(cls, stage: str, trial: Trial | None = None) -> EventLog:
        path = os.environ.get(EVENTS_VARIABLE)
        return cls(Path(path) if path else None, stage, trial)

    def write(self, kind: str, **fields: Any) -> None:
        if self.path is None:
            return
        event = {"t": round(now(), 3), **self._said, "kind": kind, **fields}
        line = json.dumps(event, ensure_ascii=False, default=str).encode() + b"\n"
        # Showing progress must never end a run: a full disk is reported where real output is written.
        with suppress(OSError), self.path.open("ab", buffering=0) as file:
            file.write(line)


class EventReader:
    """Tails an events file: each call of `read` returns what was added since the last one.

    A line that is still being written is left for the next call; a damaged one is stepped over.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def read(self) -> list[Event]:
        lines = list(read_lines(self.path, self._offset))
        self._offset = lines[-1].end if lines else self._offset
        return [line.entry for line in lines if line.entry["kind"] != DAMAGED]


class Progress:
    """How far a task is. Cheap to call at every step: what is shown is limited in rate.

    Args:
        show: shows how many are done, with the figures.
        seconds: between two calls of `show`.
        the_end: whether `show` is called at the end, however recent the last call is.
    """

    def __init__(
        self, total: int, show: Callable[[int, Figures], None], seconds: float = EVENT_SECONDS, the_end: bool = True
    ) -> None:
        self.total = total
        self.done = 0
        self._show, self._seconds, self._the_end = show, seconds, the_end
        self._figures: dict[str, float | str] = {}
        self._last = 0.0 if the_end else time.monotonic()

    def advance(self, n: int = 1, **figures: float | str) -> None:
        """`n` more are done; `figures` are shown beside the bar."""
        self.set(self.done + n, **figures)

    def set(self, done: int, **figures: float | str) -> None:
        """`done` of the total are done."""
        self.done = done
        self._figures.update(figures)
        moment = time.monotonic()
        if moment - self._last >= self._seconds or (self._the_end and done >= self.total):
            self._last = moment
            self._show(done, self._figures)


def figures_text(figures: Figures) -> str:
    """`{"loss_g": 0.7312, "note": "warm"}` as `loss_g 0.731 note warm`."""
    return " ".join(f"{key} {f'{value:.3g}' if isinstance(value, float) else value}" for key, value in figures.items())


@contextmanager
def show_progress(events: EventLog, task: str, total: int) -> Iterator[Progress]:
    """Progress of one task, shown in the way that fits: events, a bar on a terminal, a line now and then in a log."""
    title = f"{events.stage}: {task}"

    def tell(done: int, figures: Figures) -> None:
        events.write("progress", task=task, done=done, total=total, figures=dict(figures))

    def line(done: int, figures: Figures) -> None:
        print(f"{title} {done}/{total} {figures_text(figures)}".rstrip(), file=sys.stderr, flush=True)  # noqa: T201

    if events.path is not None:
        progress = Progress(total, tell)
        progress.set(0)
        yield progress
    elif not sys.stderr.isatty():
        yield Progress(total, line, LINE_SECONDS, the_end=False)
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Bar(*columns, TextColumn("{task.fields[figures]}"), console=Console(stderr=True)) as bar:
            shown = bar.add_task(title, total=total, figures="")
            yield Progress(total, lambda n, figures: bar.update(shown, completed=n, figures=figures_text(figures)))
