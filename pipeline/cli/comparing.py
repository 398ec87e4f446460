"""`gan-pipeline compare` and `leaderboard`: runs beside each other.

Each command imports what it needs when it is called.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from gan_models.errors import RequestError
from pipeline.cli.options import JsonOption, TrackingOption

if TYPE_CHECKING:
    from rich.table import Table

    from pipeline.commands.comparing import Compared

app = typer.Typer()
SHOWN_FIGURES = 2

OutOption = Annotated[
    Path | None, Option("--out", "-o", metavar="HTML", help="Write a page with the pictures beside each other.")
]


@app.command()
def compare(
    runs: Annotated[list[str], Argument(metavar="RUN RUN ...", help="Work directories, or runs by name or id.")],
    out: OutOption = None,
    tracking_uri: TrackingOption = None,
    as_json: JsonOption = False,
) -> int:
    """Show figures of runs side by side. As far as they compare; and the settings that differ."""
    from pipeline.commands.comparing import find_runs, groups, incomparable

    if len(runs) < 2:
        raise RequestError(f"compare {runs[0]}: two runs are compared at least; name another one")
    _check_page(out)
    found = find_runs(runs, _address(tracking_uri), pictures=out is not None)
    tables, notes = groups(found), incomparable(found)
    _write_page(out, tables, notes)
    if as_json:
        _print_json(found, notes)
        return 0
    console = _console()
    for group in tables:
        console.print(_side_by_side(group))
    for note in notes:
        console.print(note, soft_wrap=True)
    return 0


@app.command()
def leaderboard(
    experiment: Annotated[
        str, Option("--experiment", "-e", metavar="NAME", help="Of MLflow, which runs are kept in.")
    ] = "gan-pipeline",
    top: Annotated[int, Option("--top", "-n", metavar="N", min=1, help="At most so many of those that compare.")] = 20,
    out: OutOption = None,
    tracking_uri: TrackingOption = None,
    as_json: JsonOption = False,
) -> int:
    """Rank the runs of an experiment. A table for each protocol, since others do not compare."""
    from pipeline.commands.comparing import groups, ranked, runs_of_experiment

    _check_page(out)
    found, without = runs_of_experiment(experiment, _address(tracking_uri), pictures=out is not None)
    tables = [ranked(group)[:top] for group in groups(found)]
    notes = [f"without figures: {', '.join(without)}"] if without else []
    _write_page(out, tables, notes)
    if as_json:
        _print_json([run for group in tables for run in group], notes)
        return 0
    if not found:
        typer.echo(f"no run of {experiment} has figures yet: `gan-pipeline run` makes one", err=True)
    console = _console()
    for group in tables:
        console.print(_ranks(group))
    if len(tables) > 1:
        first = tables[0][0]
        for group in tables[1:]:
            difference = group[0].protocol.difference(first.protocol)
            said = f"protocol {group[0].protocol.digest} does not compare with {first.protocol.digest}: {difference}"
            console.print(said, soft_wrap=True)
    for note in notes:
        console.print(note, soft_wrap=True)
    return 0


def _address(tracking_uri: str | None) -> str:
    from pipeline.request.plan import RUNS_FOLDER, tracking_address

    return tracking_address(tracking_uri, Path(RUNS_FOLDER).resolve())


def _check_page(out: Path | None) -> None:
    if out is not None and (out.suffix.lower() not in (".html", ".htm") or not out.parent.is_dir()):
        raise RequestError(f"--out {out}: the page is written as HTML into a folder that is there, as in compare.html")


def _write_page(out: Path | None, groups: Sequence[Sequence[Compared]], notes: Sequence[str]) -> None:
    if out is not None:
        from gan_models.atomic import write_text
        from pipeline.commands.comparison_page import page

        write_text(out, page(groups, notes))


def _side_by_side(group: Sequence[Compared]) -> Table:
    """A column for each run; the best figure of a line has a star, where there is one that is best."""
    from rich.table import Column, Table

    from pipeline.commands.comparing import MOST_SETTINGS, best_of, differing, keys_of, metric_of

    protocol = group[0].protocol
    table = Table(
        "",
        "better",
        *(Column(run.name, justify="right", overflow="fold") for run in group),
        caption=f"{protocol.sentence}; protocol {protocol.digest}",
        caption_justify="left",
    )
    for key in keys_of(group):
        metric, best = metric_of(key), best_of(key, group)
        values = [f"{run.figures[key]:.4g}{' *' * (run is best)}" if key in run.figures else "" for run in group]
        table.add_row(key, metric.better if metric else "", *values)
    table.add_row("step", "", *(str(run.step) for run in group), end_section=True)
    settings = differing(group) if len(group) > 1 else {}
    for name, values in list(settings.items())[:MOST_SETTINGS]:
        table.add_row(name, "", *values)
    if len(settings) > MOST_SETTINGS:
        table.add_row(f"... and {len(settings) - MOST_SETTINGS} settings more", "", *("" for _ in group))
    return table


def _ranks(group: Sequence[Compared]) -> Table:
    """A line for each run, with the figures that go first and the recipe."""
    from rich.table import Column, Table

    from pipeline.commands.comparing import deciding_key, keys_of

    deciding = deciding_key(group)
    keys = [key for key in dict.fromkeys([deciding, *keys_of(group)]) if key][:SHOWN_FIGURES]
    protocol = group[0].protocol
    table = Table(
        Column("", justify="right"),
        Column("run", overflow="fold"),
        *(Column(key, justify="right", overflow="fold") for key in keys),
        Column("step", justify="right"),
        "began",
        caption=f"{protocol.sentence}; protocol {protocol.digest}",
        caption_justify="left",
    )
    for place, run in enumerate(group, 1):
        values = [f"{run.figures[key]:.4g}" if key in run.figures else "" for key in keys]
        table.add_row(str(place), run.name, *values, str(run.step), run.when[:10])
    return table


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False, markup=False)


def _print_json(runs: Sequence[Compared], notes: Sequence[str]) -> None:
    said = [
        {
            "name": run.name,
            "began": run.when,
            "step": run.step,
            "protocol": run.protocol.model_dump(mode="json"),
            "metrics": {key: {"value": value, "real": run.real.get(key)} for key, value in run.figures.items()},
            "settings": dict(run.settings),
        }
        for run in runs
    ]
    typer.echo(json.dumps({"runs": said, "notes": list(notes)}))
