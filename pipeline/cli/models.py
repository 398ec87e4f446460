"""`gan-pipeline models`: the registry's champions, what they came from, and changes by hand.

Each command imports what it needs when it is called.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from gan_models.errors import RunError
from pipeline.cli.options import JsonOption, TrackingOption

if TYPE_CHECKING:
    from components.tracking.champions import Champions, Version

app = typer.Typer()
models_app = typer.Typer(help="Look at registered generators, and say which is the champion.", rich_markup_mode=None)

ModelName = Annotated[str, Argument(metavar="NAME", help="Of the registered model.")]


@models_app.command("list")
def list_(tracking_uri: TrackingOption = None, as_json: JsonOption = False) -> int:
    """All models with their champions and what these were made from."""
    from components.tracking.champions import with_alias

    registry = _registry(tracking_uri)
    models = {name: registry.versions(name) for name in registry.models()}
    if as_json:
        _print_json(models)
        return 0
    if not models:
        typer.echo("nothing is registered yet: `gan-pipeline run` registers what it trains", err=True)
        return 0
    rows: list[tuple[str, ...]] = []
    for name, versions in models.items():
        count, champion = str(len(versions)), with_alias(versions)
        if champion is None:
            rows.append((name, "none", count))
            continue
        lineage = registry.lineage(champion)
        made_of = (lineage.recipe, lineage.data_fingerprint[:8]) if lineage else ("", "")
        figure = next((f"{each} {_number(value)}" for each, value in champion.verdict.figures.items()), "")
        rows.append((name, champion.version, count, *made_of, figure, champion.verdict.at[:16].replace("T", " ")))
    _table(("model", "champion", "versions", "recipe", "data", "figure", "since"), rows)
    return 0


@models_app.command()
def show(model: ModelName, tracking_uri: TrackingOption = None, as_json: JsonOption = False) -> int:
    """The champion's figures and lineage, and all versions. Each with what was decided about it."""
    from components.tracking.champions import with_alias

    registry = _registry(tracking_uri)
    versions = registry.require(model)
    champion = with_alias(versions)
    if champion is not None and champion.lineage is None:
        champion.lineage = registry.lineage(champion)
    if as_json:
        _print_json({"model": model, "versions": versions})
        return 0
    if champion is None:
        typer.echo(f"{model} has no champion yet: `gan-pipeline models promote {model}` makes its newest version one")
    else:
        _show_champion(champion)
    rows = [
        (
            each.version,
            ", ".join(each.aliases),
            each.verdict.decision,
            each.lineage.data_fingerprint[:8] if each.lineage else "",
            each.run_id[:8],
            each.verdict.reason,
        )
        for each in versions
    ]
    _table(("version", "alias", "decision", "data", "run", "why"), rows)
    return 0


@models_app.command()
def promote(
    model: ModelName,
    version: Annotated[str | None, Option(metavar="N", help="[default: the newest]")] = None,
    uncompared: Annotated[
        bool, Option("--uncompared", help="Even if its figures were made otherwise than the champion's.")
    ] = False,
    tracking_uri: TrackingOption = None,
) -> int:
    """Make a version the champion by hand. The recipe's floors hold nobody back, but it is said where one is missed."""
    typer.echo(_registry(tracking_uri).promote(model, version, uncompared))
    return 0


@models_app.command()
def rollback(model: ModelName, tracking_uri: TrackingOption = None) -> int:
    """Make the version before it the champion again."""
    typer.echo(_registry(tracking_uri).roll_back(model))
    return 0


def _registry(tracking_uri: str | None) -> Champions:
    from components.tracking.backend import champions_of, check_tracking, tracker_of
    from pipeline.request.plan import RUNS_FOLDER, tracking_address

    uri = tracking_address(tracking_uri, Path(RUNS_FOLDER).resolve())
    tracker_of(uri).check_exists(uri)
    if check_tracking(uri) == "away":
        raise RunError("the tracking server does not answer: try again when it is back")
    return champions_of(uri)


def _show_champion(champion: Version) -> None:
    typer.echo(f"champion   version {champion.version} of {champion.model}, since {champion.verdict.at or 'unknown'}")
    if champion.lineage is not None:
        made = champion.lineage
        typer.echo(f"recipe     {made.recipe} ({made.recipe_digest}), seed {made.seed}, step {made.step}")
        typer.echo(f"data       {made.data_fingerprint}")
    typer.echo(f"run        {champion.run_id or 'unknown'} (in MLflow: {champion.mlflow_run_id or 'unknown'})")
    typer.echo(f"because    {champion.verdict.reason or 'unknown'}")
    for name, value in champion.verdict.figures.items():
        typer.echo(f"           {name} {_number(value)}")
    if (protocol := champion.verdict.protocol) is not None:
        typer.echo(f"protocol   {protocol.digest}: {protocol.sentence}")
    typer.echo("")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    table = Table(*(Column(title, overflow="fold") for title in titles), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console = Console(file=sys.stdout, highlight=False, markup=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 200  # for grep and cut, a row is a line
    console.print(table)


def _print_json(value: object) -> None:
    from pydantic_core import to_jsonable_python

    typer.echo(json.dumps(to_jsonable_python(value), ensure_ascii=False))


app.add_typer(models_app, name="models")
