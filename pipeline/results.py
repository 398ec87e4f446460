"""What a finished run shows: the table of figures, and where everything lies."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from components.artifacts import GRID_FILE, REPORT_PAGE_FILE
from components.evaluate_gan.findings import Findings, Reading


def print_results(findings: Findings, workdir: Path, file: TextIO) -> None:
    """Prints the table of figures, with what real images get in the generator's place, and where everything lies."""
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table

    console = Console(file=file, highlight=False)
    table = Table(
        Column("metric", overflow="fold"),  # the one that gives way on a narrow terminal
        Column("better", no_wrap=True),
        *(Column(name, justify="right", no_wrap=True) for name in ("generated", "real images")),
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for task in findings.tasks:
        values = [_number(value, task.is_share) for value in (task.value, task.real)]
        table.add_row(task.name, task.better, *values)
    for metric, row in findings.lines():
        if metric.in_terminal:
            values = [_value(reading, metric.is_share) for reading in (row.generated, row.real)]
            table.add_row(metric.short or row.generated.name, row.better, *values)
    protocol = findings.protocol
    table.caption, table.caption_justify = f"{protocol.sentence}; protocol {protocol.digest}", "left"
    console.print(table)
    for name, place in places(workdir):
        console.print(f"{name:<10} {place}", soft_wrap=True)


def _value(reading: Reading | None, is_share: bool) -> str:
    spread = "" if reading is None or reading.std is None or is_share else f" ± {reading.std:.2g}"
    return f"{_number(None if reading is None else reading.value, is_share)}{spread}"


def _number(value: float | None, is_share: bool) -> str:
    if value is None:
        return ""
    return f"{value:.1%}" if is_share else f"{value:.3g}"


def places(workdir: Path) -> Iterator[tuple[str, str]]:
    """Where to look, and what to type next; paths as short as they can be from here."""
    here = Path.cwd()
    folder = workdir.relative_to(here) if workdir.is_relative_to(here) else workdir
    yield "grid", str(folder / "results/samples" / GRID_FILE)
    yield "report", str(folder / "results/evaluation" / REPORT_PAGE_FILE)
    yield "generator", str(folder / "results/samples")
    yield "draw more", f"gan-pipeline sample {shlex.quote(str(folder))} --num 64 --out grid.png"
    yield "MLflow", f"gan-pipeline ui --workdir {shlex.quote(str(folder))}"
