"""What the command line shows while a pipeline runs: a bar for each stage, on standard error.

On a terminal the bars live at the bottom and notes scroll above them; elsewhere (a log, a pipe) plain lines appear now
and then. Fed by the events of the stages (components.stage.progress).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TextIO

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from components.stage.progress import Event, EventReader, figures_text
from pipeline.definitions.stages import run_titles, titles_of

READ_SECONDS = 0.1
LINE_SECONDS = 15.0
BAR_WIDTH = 28
AMOUNT_WIDTH = 12
MARKS = {
    "waiting": ("·", "dim"),
    "running": ("▸", "cyan"),
    "FINISHED": ("✓", "green"),
    "FAILED": ("✗", "red"),
    "KILLED": ("■", "yellow"),
    "unchanged": ("✓", "dim green"),
}


@dataclass
class Row:
    """What is known about one stage."""

    title: str
    stage: str = ""
    """Of a trial of a sweep, which has one after the other."""
    state: str = "waiting"
    task: str = ""
    done: float = 0
    total: float = 0
    figures: Mapping[str, float | str] = field(default_factory=dict)
    task_began: float = 0.0
    now: float = 0.0
    seconds: float = 0.0
    line_at: float = 0.0

    @property
    def amount(self) -> str:
        """What it is at, and how far: `training 400/4400`."""
        return f"{self.task} {self.done:.0f}/{self.total:.0f}" if self.total else self.task

    @property
    def label(self) -> str:
        """What a line is about."""
        return f"{self.title}: {self.stage}" if self.stage else self.title

    @property
    def seconds_left(self) -> float | None:
        """Of the current task, at its speed so far."""
        if self.done <= 0 or self.total <= 0 or self.now <= self.task_began:
            return None
        return (self.total - self.done) * (self.now - self.task_began) / self.done

    def take(self, event: Event) -> None:
        """Bring the row up to date with an event of its stage."""
        self.now = float(event.get("t", 0.0))
        match event["kind"]:
            case "start":
                self.stage = str(run_titles().get(event["stage"], event["stage"])) if "trial" in event else ""
                self.state, self.task, self.done, self.total, self.figures = "running", "", 0, 0, {}
            case "progress":
                if event.get("task") != self.task or event.get("done", 0) < self.done:
                    self.task, self.task_began, self.figures = str(event.get("task", "")), self.now, {}
                self.done, self.total = event.get("done", 0), event.get("total", 0)
                self.figures = {**self.figures, **event.get("figures", {})}
            case "end":
                self.state, self.seconds = event.get("status", "FINISHED"), float(event.get("seconds", 0.0))


class ProgressBoard:
    """Shows the events of a run while it is open; use as a context manager.

    Args:
        reader: the events file.
        file: where to draw, standard error by default.
        titles: stage names and what to call them, in order; stages that are not in it are left out.
    """

    def __init__(
        self, reader: EventReader, file: TextIO | None = None, titles: Mapping[str, str] | None = None
    ) -> None:
        self._reader = reader
        self._console = Console(file=file, stderr=file is None, highlight=False)
        self.rows = {name: Row(title) for name, title in (titles or titles_of("training")).items()}
        self.errors: list[Event] = []  # {"stage", "sentence", "exit_code", "log"}; the first is the cause
        self._live: Live | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="progress-board", daemon=True)

    def __enter__(self) -> ProgressBoard:
        if self._console.is_terminal:
            self._live = Live(console=self._console, get_renderable=self._table, refresh_per_second=8)
            self._live.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self.read()
        if kind is None and not self.errors:
            self._mark_unchanged()
        if self._live is not None:
            self._live.stop()

    def _follow(self) -> None:
        while not self._over.wait(READ_SECONDS):
            self.read()

    def read(self) -> None:
        """Take in what the stages have written since the last time."""
        for event in self._reader.read():
            row = self.rows.get(str(event.get("trial") or event.get("stage")))
            if event["kind"] == "error":
                self.errors.append(event)
            if row is None:
                continue
            row.take(event)
            if event["kind"] == "note":
                self._console.print(Text(f"  {row.label}: {event.get('text', '')}"), style="dim")
            elif event["kind"] == "trial-failed":
                self._console.print(Text(f"  {row.label}: failed: {event.get('sentence', '')}"))
            elif self._live is None:
                self._line(row, event)

    def _mark_unchanged(self) -> None:
        """A stage of a finished run that never began was taken from the cache."""
        for row in self.rows.values():
            if row.state == "waiting":
                row.state = "unchanged"
                if self._live is None:
                    self._console.print(f"✓ {row.title}: unchanged")

    # -- drawing ------------------------------------------------------------------------------------------------------

    def _line(self, row: Row, event: Event) -> None:
        kind = event["kind"]
        if kind == "start":
            row.line_at = time.monotonic()
            self._console.print(f"▸ {row.label}")
        elif kind == "end":
            self._console.print(f"{MARKS[row.state][0]} {row.label}: {outcome(row)}", soft_wrap=True)
        elif kind == "progress" and time.monotonic() - row.line_at > LINE_SECONDS:
            row.line_at = time.monotonic()
            parts = [row.amount, left_text(row), figures_text(row.figures)]
            self._console.print(f"  {row.label}: {', '.join(part for part in parts if part)}", soft_wrap=True)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        bar_width = max(8, min(BAR_WIDTH, self._console.width // 4))
        widths = (1, max(len(row.title) for row in self.rows.values()), bar_width, AMOUNT_WIDTH)
        for width in widths:
            table.add_column(no_wrap=True, min_width=width)
        rest = max(0, self._console.width - sum(widths) - len(widths) - 1)
        for row in self.rows.values():
            table.add_row(*_cells(row, bar_width, rest))
        return table


def _cells(row: Row, bar_width: int, rest: int) -> tuple[RenderableType, ...]:
    """Mark, title, bar, time and, in the `rest` characters that are left, the figures."""
    mark, style = MARKS.get(row.state, MARKS["running"])
    running = row.state == "running"
    bar: RenderableType = ""
    if running and row.total:
        bar = ProgressBar(total=row.total, completed=row.done, width=bar_width)
    figures = Text(f"{row.stage} {row.amount} {figures_text(row.figures)}".strip() if running else "", style="dim")
    figures.truncate(rest, overflow="ellipsis")
    return Text(mark, style=style), Text(row.title), bar, Text(left_text(row) if running else outcome(row)), figures


def outcome(row: Row) -> str:
    """How a stage that is not running stands."""
    words = {"FINISHED": "", "FAILED": "failed after ", "KILLED": "interrupted after "}
    if row.state in words:
        return words[row.state] + duration_text(row.seconds)
    return "" if row.state == "waiting" else row.state


def left_text(row: Row) -> str:
    """Time left of a running task, as `0:42 left`."""
    left = row.seconds_left
    return "" if left is None or row.done >= row.total else f"{duration_text(left)} left"


def duration_text(seconds: float) -> str:
    """Minutes and seconds; tenths below ten seconds."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
