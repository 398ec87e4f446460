"""`gan-pipeline models`: the registry's champions, what they came from, and changes by hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import typer
from pydantic_core import to_jsonable_python

from components.tracking.backend import champions_of, tracker_of
from components.tracking.champions import Champions, Verdict, Version, now, with_alias
from gan_models.errors import RequestError, RunError
from pipeline.request.plan import RUNS_FOLDER, tracking_address

BY_HAND = "by hand"


def list_command(tracking_uri: str | None, as_json: bool) -> int:
    """A line for each model."""
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
        figure = next((f"{each} {value:.4g}" for each, value in champion.verdict.figures.items()), "")
        rows.append((name, champion.version, count, *made_of, figure, champion.verdict.at[:16].replace("T", " ")))
    _table(("model", "champion", "versions", "recipe", "data", "figure", "since"), rows)
    return 0


def show_command(model: str, tracking_uri: str | None, as_json: bool) -> int:
    """The champion, then all versions."""
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


def promote_command(model: str, version: str | None, tracking_uri: str | None) -> int:
    """Gives the alias to a version."""
    registry = _registry(tracking_uri)
    versions = registry.require(model, version)
    chosen = next(each for each in versions if version in (None, each.version))
    champion = with_alias(versions)
    if champion is not None and champion.version == chosen.version:
        typer.echo(f"version {chosen.version} of {model} is the champion already")
        return 0
    lineage = registry.lineage(chosen)
    if lineage is None:
        raise RequestError(f"version {chosen.version} of {model} is no generator of gan-pipeline: promote another")
    against = champion.version if champion else ""
    figures = chosen.verdict.figures
    verdict = Verdict(decision="promoted", reason=BY_HAND, against=against, at=now(), figures=figures)
    registry.judge(chosen, verdict, lineage)
    before = f", version {against} was" if against else ""
    typer.echo(f"version {chosen.version} of {model} is the champion now{before}")
    return 0


def rollback_command(model: str, tracking_uri: str | None) -> int:
    """Gives the alias back."""
    registry = _registry(tracking_uri)
    versions = registry.require(model)
    champion = with_alias(versions)
    if champion is None:
        raise RequestError(f"{model} has no champion, so there is nothing to take back")
    before = next((each for each in versions if each.version == champion.verdict.against), None)
    if before is None:
        raise RequestError(
            f"version {champion.version} of {model} is its first champion: name another with `gan-pipeline models "
            f"promote {model} --version N`"
        )
    reason = f"taken back for version {champion.version}"
    again = before.verdict.model_copy(update={"decision": "promoted", "at": now(), "reason": reason})
    registry.judge(before, again, before.lineage)
    taken_back = champion.verdict.model_copy(update={"decision": "rolled back", "at": now(), "reason": BY_HAND})
    registry.judge(champion, taken_back, champion.lineage)
    typer.echo(f"version {before.version} of {model} is the champion again, version {champion.version} was")
    return 0


def _registry(tracking_uri: str | None) -> Champions:
    uri = tracking_address(tracking_uri, Path(RUNS_FOLDER).resolve())
    tracker_of(uri).check_exists(uri)
    if tracker_of(uri).check(uri) == "away":
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
        typer.echo(f"           {name} {value:.4g}")
    typer.echo("")


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*titles, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console = Console(file=sys.stdout, highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 200
    console.print(table)


def _print_json(value: object) -> None:
    typer.echo(json.dumps(to_jsonable_python(value), ensure_ascii=False))
