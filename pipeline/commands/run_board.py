"""What the command line shows while it waits for a run on a cluster: its stages, on standard error.

On a terminal they are a table that is redrawn in place, with sentences above it; elsewhere (a log, a pipe) there is a
line for every change of a stage.
"""

from __future__ import annotations

from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.commands.board import MARKS, duration_text

if TYPE_CHECKING:
    from pipeline.engines.cluster.runs import Run, Task

WAITING = MARKS["waiting"]
TASK_MARKS = {
    "SUCCEEDED": MARKS["FINISHED"],
    "FAILED": MARKS["FAILED"],
    "CANCELED": ("✗", "yellow"),
    "SKIPPED": ("↷", "dim green"),
    "RUNNING": MARKS["running"],
}


class RunBoard:
    """Shows a run each time that it was looked at; use as a context manager.

    Args:
        file: where to draw, standard error by default.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self._console = Console(file=file, stderr=file is None, highlight=False)
        self._tasks: tuple[Task, ...] = ()
        self._told: dict[str, tuple[str, int]] = {}
        self._live = Live(console=self._console, get_renderable=self._table)

    def __enter__(self) -> RunBoard:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, run: Run) -> None:
        """Brings it up to date."""
        self._tasks = run.tasks
        for task in run.tasks:
            now = (task.state, len(task.pods))
            if task.started and self._told.get(task.name) != now:
                self._told[task.name] = now
                if not self._live.is_started:
                    self.say(task_line(task))

    def say(self, sentence: str) -> None:
        """A line of its own, that stays."""
        self._console.print(Text(sentence), soft_wrap=True)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for _ in range(5):
            table.add_column(no_wrap=True)
        table.add_column()  # the words of an error take as many lines as they need
        for task in self._tasks:
            mark, style = TASK_MARKS.get(task.state, WAITING)
            took = duration_text(_seconds_so_far(task)) if task.started else ""
            cells = (task.title, task.state.lower(), _attempt(task), took, task.error)
            table.add_row(Text(mark, style=style), *map(Text, cells))
        return table


def task_line(task: Task) -> str:
    """A stage as `run` draws it."""
    took = f": {int(task.seconds // 60)}:{int(task.seconds % 60):02d}" if task.seconds is not None else ""
    state = "" if task.state in ("RUNNING", "SUCCEEDED") else f" ({task.state.lower()})"
    attempt = f", {_attempt(task)}" if _attempt(task) else ""
    mark, _ = TASK_MARKS.get(task.state, WAITING)
    return f"{mark} {task.title}{attempt}{state}{took}{f': {task.error}' if task.error else ''}"


def _attempt(task: Task) -> str:
    """As `2nd attempt`; empty for the first."""
    tries = len(task.pods)
    ending = {1: "st", 2: "nd", 3: "rd"}.get(tries % 10 if tries // 10 % 10 != 1 else 0, "th")
    return f"{tries}{ending} attempt" if tries > 1 else ""


def _seconds_so_far(task: Task) -> float:
    if task.started is None or task.seconds is not None:
        return task.seconds or 0.0
    return max(0.0, (datetime.now(UTC) - task.started).total_seconds())  # clocks differ
