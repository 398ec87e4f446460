"""`gan-pipeline submit` and `runs`: starting runs on Kubeflow Pipelines, and how they go.

Each command imports what it needs when it is called.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from gan_models.errors import RequestError, RunError, unknown_name
from pipeline.cli import completion
from pipeline.cli.options import WHAT, DryRunOption, JsonOption, WaitOption, takes_request, takes_settings

if TYPE_CHECKING:
    from pipeline.engines.cluster.runs import ClusterRuns, Run, Task
    from pipeline.engines.cluster.settings import ClusterSettings
    from pipeline.engines.cluster.submission import Submission
    from pipeline.request.request import Request

app = typer.Typer()
runs_app = typer.Typer(help="What runs on a cluster, and how it goes.", rich_markup_mode=None)

RunArgument = Annotated[str, Argument(metavar="RUN", help="The id of a run, or the name of the latest such.")]
cluster_app = typer.Typer(help="Look at a cluster before submitting to it.", rich_markup_mode=None)


@app.command()
@takes_request("run", *WHAT, "name", "pipeline")
@takes_settings()
def submit(
    request: Request,
    settings: ClusterSettings,
    wait: WaitOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> int:
    """Run the training pipeline on a cluster. All options below --pipeline also from gan-pipeline.toml."""
    if dry_run:
        from pipeline.commands.dry_run import dry_run_there
        from pipeline.engines.cluster.submission import plan_of

        return dry_run_there(plan_of(request, settings), as_json)
    return start(request, settings, wait, as_json)


def start(request: Request, settings: ClusterSettings, wait: bool, as_json: bool) -> int:
    """Starts a training or a retraining there, and says where it can be seen."""
    from pipeline.engines.cluster.submission import build_submission

    return send(build_submission(request, settings), settings, wait, as_json)


def send(made: Submission, settings: ClusterSettings, wait: bool, as_json: bool) -> int:
    """Starts what was built, and says where it can be seen."""
    runs = _connect(settings)
    run = runs.submit(made)
    typer.echo(f"{made.name}: {made.about}, in {settings.connection.namespace}", err=True)
    if made.doubt:
        typer.echo(f"note: {made.doubt}", err=True)
    if not as_json:
        typer.echo(runs.link(run))
    try:
        if wait:
            run = _follow(runs, run.id)
    finally:
        if as_json:
            typer.echo(json.dumps(_report(runs, run)))
    return 0 if not wait or run.state == "SUCCEEDED" else 1


@runs_app.command("list")
@takes_settings("host", "namespace", "experiment")
def list_runs(
    settings: ClusterSettings,
    limit: Annotated[int, Option("--limit", "-n", metavar="N", min=1, max=1000)] = 20,
    every: Annotated[bool, Option("--all", help="Of every experiment.")] = False,
    as_json: JsonOption = False,
) -> int:
    """The latest runs, newest first."""
    runs = _connect(settings)
    found = runs.list(limit, every, archived=False)
    if as_json:
        typer.echo(json.dumps([_report(runs, run) for run in found]))
        return 0
    width = max((len(run.name) for run in found), default=0)
    for run in found:
        created = f"{run.created:%Y-%m-%d %H:%M}" if run.created else ""
        typer.echo(f"{run.id}  {run.name:<{width}}  {run.state.lower():<9}  {created}")
    if not found:
        typer.echo("no runs", err=True)
    return 0


@runs_app.command()
@takes_settings("host", "namespace")
def show(run: RunArgument, settings: ClusterSettings, as_json: JsonOption = False) -> int:
    """A run, its stages and a link to its page."""
    from pipeline.commands.run_board import task_line

    runs, found = _find(settings, run)
    found = runs.explained(found)
    if as_json:
        typer.echo(json.dumps(_report(runs, found)))
        return 0
    typer.echo(_ending(found))
    for task in found.tasks:
        typer.echo(task_line(task))
    typer.echo(runs.link(found))
    return 0


@runs_app.command()
@takes_settings("host", "namespace")
def logs(
    run: RunArgument,
    stage: Annotated[
        str | None,
        Option(
            metavar="STAGE",
            help="Such as train-gan. [default: the one that failed, else the latest]",
            autocompletion=completion.stages,
        ),
    ] = None,
    attempt: Annotated[int | None, Option(metavar="N", help="Of the stage, from 1. [default: the latest]")] = None,
    follow: Annotated[bool, Option("--follow", "-f", help="Go on until the stage has ended.")] = False,
    raw: Annotated[bool, Option("--raw", help="With what Kubeflow and Argo print around it.")] = False,
    *,
    settings: ClusterSettings,
) -> int:
    """What a stage has printed."""
    from pipeline.engines.cluster.logs import own_lines

    runs, found = _find(settings, run)
    chosen, read = _chosen(found, stage), str if raw else own_lines
    if follow and attempt is None:
        runs.follow_log(found, chosen.name, lambda text: typer.echo(text, nl=False), read)
        return 0
    whole = runs.log(found, chosen, attempt)
    if text := read(whole).rstrip("\n"):
        typer.echo(text)
    elif whole:
        typer.echo(f"{chosen.title} has said nothing of its own: --raw shows what Kubeflow printed", err=True)
    return 0


def _chosen(run: Run, stage: str | None) -> Task:
    if not run.tasks:
        raise RequestError(f"no stage of {run.name} has begun yet ({run.state.lower()}): there is no log")
    if stage is not None:
        by_name = {task.name: task for task in run.tasks}
        wanted = stage.replace("_", "-")
        if wanted not in by_name:
            raise unknown_name(f"stage of {run.name}", stage, by_name)
        return by_name[wanted]
    failed = [task for task in run.tasks if task.state == "FAILED"]
    begun = [task for task in run.tasks if task.pods]
    if not begun:
        raise RequestError(f"no stage of {run.name} has started yet ({run.state.lower()}): there is no log")
    return (failed or begun)[-1]


@runs_app.command()
@takes_settings("host", "namespace")
def stop(run: RunArgument, settings: ClusterSettings) -> int:
    """End a run; retry continues it."""
    runs, found = _find(settings, run)
    runs.stop(found)
    typer.echo(f"{found.name} is being stopped; `gan-pipeline runs retry {found.id}` continues it", err=True)
    return 0


@runs_app.command()
@takes_settings("host", "namespace")
def retry(run: RunArgument, wait: WaitOption = False, *, settings: ClusterSettings) -> int:
    """Run again what failed. The training goes on from its last checkpoint."""
    runs, found = _find(settings, run)
    runs.retry(found)
    typer.echo(runs.link(found))
    return 0 if not wait or _follow(runs, found.id).state == "SUCCEEDED" else 1


@runs_app.command()
@takes_settings("host", "namespace")
def clone(
    run: RunArgument,
    name: Annotated[
        str | None, Option(metavar="NAME", help="Of the new run. [default: that of the old, and -again]")
    ] = None,
    wait: WaitOption = False,
    *,
    settings: ClusterSettings,
) -> int:
    """Start the same once more, in a state folder of its own."""
    runs, found = _find(settings, run)
    made = runs.clone(found, name or f"{found.name}-again")
    typer.echo(runs.link(made))
    return 0 if not wait or _follow(runs, made.id).state == "SUCCEEDED" else 1


@runs_app.command()
@takes_settings("host", "namespace")
def archive(run: RunArgument, settings: ClusterSettings) -> int:
    """Leave a run out of the list; its page stays."""
    runs, found = _find(settings, run)
    runs.archive(found)
    typer.echo(f"{found.name} is archived", err=True)
    return 0


@runs_app.command()
@takes_settings("host", "namespace")
def delete(run: RunArgument, settings: ClusterSettings) -> int:
    """Remove a run that has ended from Kubeflow. The volume and MLflow keep what they have of it."""
    runs, found = _find(settings, run)
    runs.delete(found)
    typer.echo(f"{found.name} is deleted", err=True)
    return 0


def start_once(request: Request, settings: ClusterSettings, name: str, again: bool) -> Run:
    """The run of that name, followed to its end, however that is; it is started where there is none.

    Args:
        again: it was begun before: also one that failed or was stopped is the one, else another takes its place.

    Raises:
        RequestError: as of `build_submission`, or of a server that refuses it.
        RunError: the server could not be asked before there was a run.
    """
    from pipeline.engines.cluster.submission import build_submission

    runs, made = _connect(settings), replace(build_submission(request, settings), name=name)
    found = _patiently(lambda: runs.named(name)) if again else runs.named(name)
    if found is None or (found.state in ("FAILED", "CANCELED") and not again):
        found = _submitted(runs, made, found)
    typer.echo(f"{made.name}: {made.about}, in {settings.connection.namespace}: {runs.link(found)}", err=True)
    return _follow(runs, found.id, patience=math.inf)


def _submitted(runs: ClusterRuns, made: Submission, before: Run | None) -> Run:
    try:
        return runs.submit(made)
    except RunError:
        found = runs.named(made.name)  # the answer may have been lost, and not the run
        if found is None or (before is not None and found.id == before.id):
            raise
        return found


def _patiently(ask: Callable[[], Run | None]) -> Run | None:
    """What is asked for, however long it takes: what was begun must not be begun again because nobody answers."""
    from pipeline.engines.cluster.runs import POLL_SECONDS

    said = ""
    while True:
        try:
            return ask()
        except (RunError, RequestError) as error:  # a login that has run out, too, may be renewed
            if str(error) != said:
                typer.echo(f"{error}; asking again", err=True)
            said = str(error)
            time.sleep(POLL_SECONDS)


def _connect(settings: ClusterSettings) -> ClusterRuns:
    from pipeline.engines.cluster.runs import ClusterRuns

    return ClusterRuns(settings.connection)


def _find(settings: ClusterSettings, run: str) -> tuple[ClusterRuns, Run]:
    runs = _connect(settings)
    return runs, runs.find(run)


def _follow(runs: ClusterRuns, identity: str, **patience: float) -> Run:
    """Waits for the end, and shows how the stages go. Ctrl-C ends the waiting alone."""
    from components.stage.failures import Interrupted
    from pipeline.commands.run_board import RunBoard

    try:
        with RunBoard() as board:
            run = runs.explained(runs.follow(identity, board.show, board.say, **patience))
    except KeyboardInterrupt:
        say = f"gan-pipeline: no longer waiting; the run goes on: gan-pipeline runs show {identity}"
        typer.echo(say, err=True)
        raise typer.Exit(Interrupted.exit_code) from None
    typer.echo(_ending(run), err=True)
    if run.state != "SUCCEEDED":
        typer.echo(f"see `gan-pipeline runs logs {run.id}`; `gan-pipeline runs retry {run.id}` continues", err=True)
    return run


def _ending(run: Run) -> str:
    return f"{run.name}: {run.state.lower()}{f': {run.error}' if run.error else ''}"


def _report(runs: ClusterRuns, run: Run) -> dict[str, Any]:
    """For --json."""
    fields = run.model_dump(mode="json", exclude={"schedule", "tasks"})
    stages = [task.model_dump(mode="json", exclude={"nodes", "pods"}) for task in run.tasks]
    return {**fields, "link": runs.link(run), "stages": stages}


@cluster_app.command()
@takes_settings()
def check(settings: ClusterSettings, as_json: JsonOption = False) -> int:
    """Whether the cluster has what a run needs. Nothing is sent or changed. Ends with 1 where something is wrong."""
    from pipeline.engines.cluster.check import check_cluster

    found = []
    for finding in check_cluster(settings):
        found.append(finding)
        if not as_json:
            mark = {"ok": "✓", "wrong": "✗", "unknown": "?"}[finding.state]
            typer.echo(f"{mark} {finding.what}: {finding.sentence}  [{finding.source}]")
    if as_json:
        typer.echo(json.dumps([vars(finding) for finding in found]))
    return int(any(finding.state == "wrong" for finding in found))


app.add_typer(runs_app, name="runs")
app.add_typer(cluster_app, name="cluster")
