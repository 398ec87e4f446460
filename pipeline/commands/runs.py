"""`gan-pipeline runs`: what runs on a cluster, and how it goes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from gan_models.errors import RequestError, unknown_name
from pipeline.engines.cluster.settings import read_settings

if TYPE_CHECKING:
    from pipeline.engines.cluster.client import ClusterClient
    from pipeline.engines.cluster.runs import ClusterRuns, Run, Task

_MARKS = {"SUCCEEDED": "✓", "FAILED": "✗", "CANCELED": "✗", "SKIPPED": "↷", "RUNNING": "▸"}


def list_command(settings: Mapping[str, Any], limit: int, every_experiment: bool, as_json: bool) -> int:
    """The latest runs, newest first."""
    client, runs = _connect(settings)
    found = runs.list(limit, every_experiment)
    if as_json:
        typer.echo(json.dumps([report(run, client.link("runs", run.id)) for run in found]))
        return 0
    width = max((len(run.name) for run in found), default=0)
    for run in found:
        created = f"{run.created:%Y-%m-%d %H:%M}" if run.created else ""
        typer.echo(f"{run.id}  {run.name:<{width}}  {run.state.lower():<9}  {created}")
    if not found:
        typer.echo("no runs", err=True)
    return 0


def show_command(settings: Mapping[str, Any], name: str, as_json: bool) -> int:
    """A run and its stages."""
    client, runs = _connect(settings)
    run = runs.find(name)
    link = client.link("runs", run.id)
    if as_json:
        typer.echo(json.dumps(report(run, link)))
        return 0
    typer.echo(f"{run.name}: {run.state.lower()}{f': {run.error}' if run.error else ''}")
    for task in run.tasks:
        typer.echo(task_line(task))
    typer.echo(link)
    return 0


def logs_command(settings: Mapping[str, Any], name: str, stage: str | None) -> int:
    """The log of one stage; by default of the one that failed, else of the latest."""
    _, runs = _connect(settings)
    run = runs.find(name)
    typer.echo(runs.log(run, _chosen(run, stage)).rstrip("\n"))
    return 0


def _chosen(run: Run, stage: str | None) -> Task:
    by_name = {task.name: task for task in run.tasks}
    if stage is not None:
        wanted = stage.replace("_", "-")
        if wanted not in by_name:
            raise unknown_name(f"stage of {run.name}", stage, by_name)
        return by_name[wanted]
    failed = [task for task in run.tasks if task.state == "FAILED"]
    begun = [task for task in run.tasks if task.pods]
    if not begun:
        raise RequestError(f"no stage of {run.name} has started yet ({run.state.lower()}): there is no log")
    return (failed or begun)[-1]


def stop_command(settings: Mapping[str, Any], name: str) -> int:
    """Ends a run; its training can be continued."""
    _, runs = _connect(settings)
    run = runs.find(name)
    runs.stop(run)
    typer.echo(f"{run.name} is being stopped; `gan-pipeline runs retry {run.id}` continues it", err=True)
    return 0


def retry_command(settings: Mapping[str, Any], name: str, wait: bool) -> int:
    """Runs again what failed; with `wait`, 0 when it succeeded and 1 when it did not."""
    from pipeline.commands.submit import raise_interrupted

    client, runs = _connect(settings)
    run = runs.find(name)
    runs.retry(run)
    typer.echo(client.link("runs", run.id))
    if not wait:
        return 0
    try:
        return 0 if follow(runs, run.id).state == "SUCCEEDED" else 1
    except KeyboardInterrupt:
        raise_interrupted(run.id)
        raise


def follow(runs: ClusterRuns, identity: str) -> Run:
    """Waits for the end, with a line on standard error for every change of a stage."""
    run = runs.follow(
        identity, say=lambda task: typer.echo(task_line(task), err=True), note=lambda text: typer.echo(text, err=True)
    )
    why = f": {run.error}" if run.error else ""
    typer.echo(f"{run.name}: {run.state.lower()}{why}", err=True)
    if run.state != "SUCCEEDED":
        typer.echo(f"see `gan-pipeline runs logs {run.id}`; `gan-pipeline runs retry {run.id}` continues", err=True)
    return run


def task_line(task: Task) -> str:
    """A stage as `run` draws it."""
    took = f": {int(task.seconds // 60)}:{int(task.seconds % 60):02d}" if task.seconds is not None else ""
    state = "" if task.state in ("RUNNING", "SUCCEEDED") else f" ({task.state.lower()})"
    return f"{_MARKS.get(task.state, '·')} {task.title}{state}{took}{f': {task.error}' if task.error else ''}"


def report(run: Run, link: str) -> dict[str, Any]:
    """For --json."""
    fields = run.model_dump(mode="json", include={"id", "name", "state", "created", "ended", "error"})
    stages = [
        task.model_dump(mode="json", include={"name", "state", "started", "ended", "error"}) for task in run.tasks
    ]
    return {**fields, "link": link, "stages": stages}


def _connect(settings: Mapping[str, Any]) -> tuple[ClusterClient, ClusterRuns]:
    from pipeline.engines.cluster.client import ClusterClient
    from pipeline.engines.cluster.runs import ClusterRuns

    client = ClusterClient(read_settings(settings).connection)
    return client, ClusterRuns(client)
