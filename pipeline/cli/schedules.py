"""The commands of schedules. Each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pipeline.cli.options import RETRAINING, WHAT, WHERE, JsonOption, takes_request

if TYPE_CHECKING:
    from pipeline.request.request import Request

app = typer.Typer()
schedule_app = typer.Typer(help="Run or retrain at given times.", rich_markup_mode=None)

Command = Literal["retrain", "run"]

ScheduleName = Annotated[str, typer.Argument(metavar="NAME", help="Of the schedule.")]
EngineOption = Annotated[
    str, typer.Option("--engine", metavar="local|cluster", help="Where the schedule is kept and its runs are done.")
]
StoreOption = Annotated[
    Path | None, typer.Option("--store", metavar="FILE", help="Of local schedules. [default: runs/schedules.db]")
]


@schedule_app.command("ensure")
@takes_request("retrain", *WHAT, *WHERE, *RETRAINING)
def ensure(
    schedule: ScheduleName,
    cron: Annotated[
        str | None, typer.Option("--cron", metavar="FIELDS", help="As in '30 2 * * *'; six fields: seconds first.")
    ] = None,
    every: Annotated[
        str | None, typer.Option("--every", metavar="TIME", help="As in 90s, 30m, 6h or 7d, in place of --cron.")
    ] = None,
    timezone: Annotated[
        str, typer.Option("--timezone", metavar="ZONE", help="Of --cron, as in Europe/Berlin.")
    ] = "UTC",
    command: Annotated[Command, typer.Option("--command", help="What is done.")] = "retrain",
    paused: Annotated[bool, typer.Option("--paused", help="A new schedule waits for `resume`.")] = False,
    *,
    request: Request,
    engine: EngineOption = "local",
    store: StoreOption = None,
) -> int:
    """Make a schedule, or make it what is said here; the same command again changes nothing."""
    from pipeline.commands.schedules import ensure_command

    request = request.model_copy(update={"command": command})
    return ensure_command(schedule, request, cron, every, timezone, paused, engine, store)


@schedule_app.command("list")
def list_(engine: EngineOption = "local", store: StoreOption = None, as_json: JsonOption = False) -> int:
    """All schedules and when they are due next."""
    from pipeline.commands.schedules import list_command

    return list_command(engine, store, as_json)


@schedule_app.command("show")
def show(
    schedule: ScheduleName, engine: EngineOption = "local", store: StoreOption = None, as_json: JsonOption = False
) -> int:
    """One schedule and its latest runs: what was run, what was skipped, and why."""
    from pipeline.commands.schedules import show_command

    return show_command(schedule, engine, store, as_json)


@schedule_app.command("pause")
def pause(schedule: ScheduleName, engine: EngineOption = "local", store: StoreOption = None) -> int:
    """No further runs until `resume`; one that is under way is not touched."""
    from pipeline.commands.schedules import change_command

    return change_command("pause", schedule, engine, store)


@schedule_app.command("resume")
def resume(schedule: ScheduleName, engine: EngineOption = "local", store: StoreOption = None) -> int:
    """Go on from the next time that is due; what was due during the pause is not made up for."""
    from pipeline.commands.schedules import change_command

    return change_command("resume", schedule, engine, store)


@schedule_app.command("run-now")
def run_now(schedule: ScheduleName, engine: EngineOption = "local", store: StoreOption = None) -> int:
    """One run now, outside of its times."""
    from pipeline.commands.schedules import run_now_command

    return run_now_command(schedule, engine, store)


@schedule_app.command("delete")
def delete(schedule: ScheduleName, engine: EngineOption = "local", store: StoreOption = None) -> int:
    """Take a schedule away; what it has run stays."""
    from pipeline.commands.schedules import change_command

    return change_command("delete", schedule, engine, store)


@app.command("scheduler")
def scheduler(
    store: StoreOption = None,
    grace: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, help="A run found to be due this much earlier is still started, else skipped."
        ),
    ] = 3600.0,
) -> int:
    """Start the runs of this machine's schedules, until SIGTERM; killed at any moment, it goes on where it was."""
    from pipeline.commands.schedules import scheduler_command

    return scheduler_command(store, grace)


app.add_typer(schedule_app, name="schedule")
