"""`gan-pipeline submit` and `runs`: starting runs on a cluster, and how they go."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from components.stage.failures import Interrupted
from gan_models.errors import RequestError, unknown_name
from pipeline.engines.cluster.settings import ClusterSettings, read_settings
from pipeline.request.request import Request

if TYPE_CHECKING:
    from pipeline.engines.cluster.client import ClusterClient
    from pipeline.engines.cluster.runs import ClusterRuns, Run, Task

Settings = Mapping[str, Any]
"""Options of `pipeline.engines.cluster.settings` that were typed, by their keys."""
_MARKS = {"SUCCEEDED": "✓", "FAILED": "✗", "CANCELED": "✗", "SKIPPED": "↷", "RUNNING": "▸"}


def submit_command(request: Request, settings: Settings, wait: bool, as_json: bool) -> int:
    """Starts a run; with `wait`, 0 when it succeeded and 1 when it did not."""
    from pipeline.engines.cluster.submission import build_submission

    read = read_settings(settings)
    made = build_submission(request, read)
    client, runs = _connect(read)
    run = runs.submit(made.name, made.pipeline, made.arguments, read.connection.service_account)
    link = client.link("runs", run.id)
    typer.echo(f"{made.name}: {made.about}, in {read.connection.namespace}", err=True)
    if not as_json:
        typer.echo(link)
    try:
        if wait:
            run = _follow(runs, run.id)
    finally:
        if as_json:
            typer.echo(json.dumps(_report(run, link)))
    return 0 if not wait or run.state == "SUCCEEDED" else 1


def list_command(settings: Settings, limit: int, every_experiment: bool, as_json: bool) -> int:
    """The latest runs, newest first."""
    client, runs = _connect(read_settings(settings))
    found = runs.list(limit, every_experiment)
    if as_json:
        typer.echo(json.dumps([_report(run, client.link("runs", run.id)) for run in found]))
        return 0
    width = max((len(run.name) for run in found), default=0)
    for run in found:
        created = f"{run.created:%Y-%m-%d %H:%M}" if run.created else ""
        typer.echo(f"{run.id}  {run.name:<{width}}  {run.state.lower():<9}  {created}")
    if not found:
        typer.echo("no runs", err=True)
    return 0


def show_command(settings: Settings, name: str, as_json: bool) -> int:
    """A run and its stages."""
    client, runs = _connect(read_settings(settings))
    run = runs.find(name)
    link = client.link("runs", run.id)
    if as_json:
        typer.echo(json.dumps(_report(run, link)))
        return 0
    typer.echo(f"{run.name}: {run.state.lower()}{f': {run.error}' if run.error else ''}")
    for task in run.tasks:
        typer.echo(_task_line(task))
    typer.echo(link)
    return 0


def logs_command(settings: Settings, name: str, stage: str | None) -> int:
    """The log of one stage; by default of the one that failed, else of the latest."""
    _, runs = _connect(read_settings(settings))
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


def stop_command(settings: Settings, name: str) -> int:
    """Ends a run; its training can be continued."""
    _, runs = _connect(read_settings(settings))
    run = runs.find(name)
    runs.stop(run)
    typer.echo(f"{run.name} is being stopped; `gan-pipeline runs retry {run.id}` continues it", err=True)
    return 0


def retry_command(settings: Settings, name: str, wait: bool) -> int:
    """Runs again what failed; with `wait`, 0 when it succeeded and 1 when it did not."""
    client, runs = _connect(read_settings(settings))
    run = runs.find(name)
    runs.retry(run)
    typer.echo(client.link("runs", run.id))
    return 0 if not wait or _follow(runs, run.id).state == "SUCCEEDED" else 1


def _follow(runs: ClusterRuns, identity: str) -> Run:
    """Waits for the end, with a line on standard error for every change of a stage. Ctrl-C ends the waiting alone."""
    try:
        run = runs.follow(
            identity,
            say=lambda task: typer.echo(_task_line(task), err=True),
            note=lambda text: typer.echo(text, err=True),
        )
    except KeyboardInterrupt:
        say = f"gan-pipeline: no longer waiting; the run goes on: gan-pipeline runs show {identity}"
        typer.echo(say, err=True)
        raise typer.Exit(Interrupted.exit_code) from None
    why = f": {run.error}" if run.error else ""
    typer.echo(f"{run.name}: {run.state.lower()}{why}", err=True)
    if run.state != "SUCCEEDED":
        typer.echo(f"see `gan-pipeline runs logs {run.id}`; `gan-pipeline runs retry {run.id}` continues", err=True)
    return run


def _task_line(task: Task) -> str:
    """A stage as `run` draws it."""
    took = f": {int(task.seconds // 60)}:{int(task.seconds % 60):02d}" if task.seconds is not None else ""
    state = "" if task.state in ("RUNNING", "SUCCEEDED") else f" ({task.state.lower()})"
    return f"{_MARKS.get(task.state, '·')} {task.title}{state}{took}{f': {task.error}' if task.error else ''}"


def _report(run: Run, link: str) -> dict[str, Any]:
    """For --json."""
    fields = run.model_dump(mode="json", include={"id", "name", "state", "created", "ended", "error"})
    stages = [
        task.model_dump(mode="json", include={"name", "state", "started", "ended", "error"}) for task in run.tasks
    ]
    return {**fields, "link": link, "stages": stages}


def _connect(settings: ClusterSettings) -> tuple[ClusterClient, ClusterRuns]:
    from pipeline.engines.cluster.client import ClusterClient
    from pipeline.engines.cluster.runs import ClusterRuns

    client = ClusterClient(settings.connection)
    return client, ClusterRuns(client)
