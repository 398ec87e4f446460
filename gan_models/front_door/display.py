"""How far something is, and sentences on the way: a bar on a terminal, one line that changes in a notebook, a line now
and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

NOTEBOOK_SECONDS = 0.5
LOG_SECONDS = 15.0

Show = Callable[[int, Mapping[str, float | str]], None]


class Display:
    """Of one task; made by `display`.

    Args:
        total: how many there are to do.
        show: of how many are done, and figures beside it.
        say: of a sentence.
    """

    def __init__(self, total: int, show: Show, say: Callable[[str], None]) -> None:
        self.total, self.show, self.say = total, show, say


@contextmanager
def display(task: str, total: int, *, silent: bool = False) -> Iterator[Display]:
    """A display of `total` things to do, on standard error or in the notebook's cell; of nothing where `silent`."""
    if silent:
        yield Display(total, lambda done, figures: None, lambda sentence: None)
    elif _in_notebook():
        yield _of_notebook(task, total)
    elif sys.stderr.isatty():
        with _of_terminal(task, total) as shown:
            yield shown
    else:
        yield _of_log(task, total)


def _in_notebook() -> bool:
    """Whether this runs in Jupyter; IPython is asked only where it has been imported already."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(getattr(shell, "__class__", None), "__name__", "") == "ZMQInteractiveShell"


def _text(task: str, done: int, total: int, figures: Mapping[str, float | str]) -> str:
    beside = (f"{name} {f'{value:.3g}' if isinstance(value, float) else value}" for name, value in figures.items())
    return " ".join([f"{task} {done}/{total}", *beside])


def _of_notebook(task: str, total: int) -> Display:
    """Without widgets, which not every notebook has: the text of one output is replaced."""
    from IPython import display as cell

    show_in_cell: Callable[..., Any] = cell.display  # which has no types
    handle = show_in_cell({"text/plain": f"{task} 0/{total}"}, raw=True, display_id=True)
    last = 0.0

    def show(done: int, figures: Mapping[str, float | str]) -> None:
        nonlocal last
        if done >= total or time.monotonic() - last >= NOTEBOOK_SECONDS:
            last = time.monotonic()
            handle.update({"text/plain": _text(task, done, total, figures)}, raw=True)

    return Display(total, show, lambda sentence: show_in_cell({"text/plain": sentence}, raw=True))


@contextmanager
def _of_terminal(task: str, total: int) -> Iterator[Display]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False, markup=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[beside]}"), console=console) as bar:
        shown = bar.add_task(task, total=total, beside="")

        def show(done: int, figures: Mapping[str, float | str]) -> None:
            bar.update(shown, completed=done, beside=_text("", done, total, figures).partition(f"/{total}")[2].strip())

        yield Display(total, show, console.print)


def _of_log(task: str, total: int) -> Display:
    last = time.monotonic()

    def show(done: int, figures: Mapping[str, float | str]) -> None:
        nonlocal last
        if time.monotonic() - last >= LOG_SECONDS:
            last = time.monotonic()
            say(_text(task, done, total, figures))

    def say(sentence: str) -> None:
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()

    return Display(total, show, say)
