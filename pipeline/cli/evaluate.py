"""`gan-pipeline evaluate`: any images against any others."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from gan_models.errors import RequestError
from pipeline.cli.options import JsonOption

if TYPE_CHECKING:
    from gan_models.metrics.evaluating import Evaluation, Figure
    from gan_models.metrics.extraction import Bar, Bars

WIDTH = 80


def evaluate(
    samples: Annotated[
        str,
        Argument(
            metavar="SAMPLES",
            help="A folder, zip, Parquet file or npz of images, a prepared data set, a generator, a run's work "
            "directory, or a data source as `run --data` takes it.",
        ),
    ],
    against: Annotated[
        str, Option("--against", "-a", metavar="DATA", help="Real images to judge by; of a work directory, its data.")
    ],
    protocol: Annotated[
        str, Option(metavar="NAME", help="sngan-paper, studiogan, clean-fid, stylegan, dgm-eval or project.")
    ] = "project",
    metrics: Annotated[
        str | None, Option(metavar="LIST", help="As in FD,KID,recall. [default: the protocol's]")
    ] = None,
    num: Annotated[
        int | None,
        Option("--samples", "-n", metavar="N", help="Images that are judged, or drawn. [default: the protocol's]"),
    ] = None,
    seed: Annotated[int, Option(metavar="N", help="Decides what a generator draws.")] = 0,
    extractor: Annotated[
        str | None, Option(metavar="NAME", help="Whose features. [default: the protocol's, or what fits the data]")
    ] = None,
    weights: Annotated[
        Path | None, Option(metavar="PATH", help="Weights of the extractor, where no package brings them.")
    ] = None,
    intervals: Annotated[
        bool | None,
        Option("--intervals/--no-intervals", help="Of 95 %. [default: where they take seconds]", show_default=False),
    ] = None,
    report: Annotated[Path | None, Option(metavar="HTML", help="Write a page with pictures, too.")] = None,
    as_json: JsonOption = False,
) -> int:
    """Judge any images against any others. FID and its kin, with what real images score beside them."""
    from pipeline.request.request import MAX_SEED

    if not 0 <= seed <= MAX_SEED:
        raise RequestError(f"--seed {seed}: expected a whole number from 0 to {MAX_SEED}")
    if report is not None and report.suffix.lower() not in (".html", ".htm"):
        raise RequestError(f"--report {report}: the page's name ends in .html")
    if report is not None and not (report.parent.is_dir() and os.access(report.parent, os.W_OK)):
        raise RequestError(f"--report {report}: {report.parent.absolute()} is not a folder that can be written")
    names = None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]
    if names == []:
        raise RequestError(f"--metrics {metrics!r} names no metric: give some, as in FD,KID, or leave it out")

    from gan_models.metrics.evaluating import evaluate as judge

    found = judge(
        samples,
        against,
        protocol=protocol,
        metrics=names,
        num=num,
        seed=seed,
        extractor=extractor,
        weights=weights,
        intervals=intervals,
        bars=_bars(),
    )
    if report is not None:
        from gan_models.metrics.evaluation_page import write_page

        write_page(report, samples, found)
        typer.echo(f"{report}: the page", err=True)
    if as_json:
        typer.echo(json.dumps(found.as_json()))
    else:
        _print(samples, found)
    return 0


def _print(samples: str, found: Evaluation) -> None:
    """A table of at most 80 columns, and the notes."""
    import sys

    from rich.console import Console
    from rich.table import Column, Table

    console = Console(file=sys.stdout, highlight=False, width=min(WIDTH, Console().width))
    table = Table(
        Column("metric", overflow="fold"),
        "better",
        *(Column(name, justify="right") for name in ("value", "95 % interval", "real")),
    )
    for key, figure in found.figures.items():
        table.add_row(key, figure.record.better, *_cells(figure))
    table.caption, table.caption_justify = f"protocol {found.name}, digest {found.protocol.digest}", "left"
    console.print(table)
    console.print(f"{samples}: {found.sentence}", markup=False)
    for note in found.notes:
        console.print(f"- {note}", markup=False)


def _cells(figure: Figure) -> Iterator[str]:
    share = figure.record.is_share
    yield _number(figure.value, share)
    around = figure.interval
    yield "" if around is None else f"{_number(around[0], share)} to {_number(around[1], share)}"
    yield "" if figure.real is None else _number(figure.real, share)


def _number(value: float, share: bool) -> str:
    return f"{value:.1%}" if share else f"{value:.3g}"


def _bars() -> Bars:
    """On a terminal; elsewhere nothing is shown."""
    import sys

    from gan_models.metrics.extraction import silent

    return _shown if sys.stderr.isatty() else silent


@contextmanager
def _shown(description: str, total: int) -> Iterator[Bar]:
    import sys

    from rich.console import Console
    from rich.progress import Progress

    class Shown:
        def advance(self, n: int = 1, **figures: Any) -> None:
            progress.advance(task, n)

    with Progress(console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task(description, total=total)
        yield Shown()
