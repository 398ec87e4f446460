"""The commands that talk to Kubeflow Pipelines. Each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import WHAT, JsonOption, Settings, takes_request, takes_settings

if TYPE_CHECKING:
    from pipeline.request.request import Request

app = typer.Typer()
runs_app = typer.Typer(help="What runs on a cluster, and how it goes.", rich_markup_mode=None)

WaitOption = Annotated[bool, typer.Option("--wait", help="Follow the stages, and end as the run does.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The id of a run, or the name of the latest such.")]


@app.command()
@takes_request(
    "run",
    *WHAT,
    name=Annotated[
        str | None, typer.Option(metavar="NAME", help="How the run is called. [default: from the settings]")
    ],
    pipeline=Annotated[
        Path | None, typer.Option(metavar="FILE", help="Take the settings baked into a compiled pipeline.")
    ],
)
@takes_settings()
def submit(request: Request, settings: Settings, wait: WaitOption = False, as_json: JsonOption = False) -> int:
    """Run the training pipeline on a cluster; all options below --pipeline also from gan-pipeline.toml."""
    from pipeline.commands.cluster import submit_command

    return submit_command(request, settings, wait, as_json)


@runs_app.command("list")
@takes_settings("host", "namespace", "experiment")
def list_runs(
    settings: Settings,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", min=1, max=1000)] = 20,
    every: Annotated[bool, typer.Option("--all", help="Of every experiment.")] = False,
    as_json: JsonOption = False,
) -> int:
    """The latest runs, newest first."""
    from pipeline.commands.cluster import list_command

    return list_command(settings, limit, every, as_json)


@runs_app.command()
@takes_settings("host", "namespace")
def show(run: RunArgument, settings: Settings, as_json: JsonOption = False) -> int:
    """A run, its stages and a link to its page."""
    from pipeline.commands.cluster import show_command

    return show_command(settings, run, as_json)


@runs_app.command()
@takes_settings("host", "namespace")
def logs(
    run: RunArgument,
    stage: Annotated[
        str | None,
        typer.Option(metavar="STAGE", help="Such as train-gan. [default: the one that failed, else the latest]"),
    ] = None,
    *,
    settings: Settings,
) -> int:
    """What a stage has printed."""
    from pipeline.commands.cluster import logs_command

    return logs_command(settings, run, stage)


@runs_app.command()
@takes_settings("host", "namespace")
def stop(run: RunArgument, settings: Settings) -> int:
    """End a run; retry continues it."""
    from pipeline.commands.cluster import stop_command

    return stop_command(settings, run)


@runs_app.command()
@takes_settings("host", "namespace")
def retry(run: RunArgument, wait: WaitOption = False, *, settings: Settings) -> int:
    """Run again what failed; the training goes on from its last checkpoint."""
    from pipeline.commands.cluster import retry_command

    return retry_command(settings, run, wait)


app.add_typer(runs_app, name="runs")
