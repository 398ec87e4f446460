"""`gan-pipeline schedule` and `scheduler`: when runs are due, and the process that starts them on this machine."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

import typer

from components.prepare_data.sources import absolute_source
from components.redaction import redact
from gan_models.errors import RequestError
from pipeline.request.place import RUNS_FOLDER, tracking_address
from pipeline.request.plan import make_plan
from pipeline.request.request import Request
from pipeline.scheduling.schedule import (
    Schedule,
    ScheduledRun,
    Scheduler,
    ScheduleStatus,
    command_of,
    make_schedule,
)

if TYPE_CHECKING:
    from pipeline.engines.protocol import Engine
    from pipeline.scheduling.store import ScheduleStore

STORE_FILE = "schedules.db"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DONE = {"pause": "paused", "resume": "resumed", "delete": "deleted"}


def ensure_command(
    name: str,
    request: Request,
    cron: str | None,
    every: str | None,
    timezone: str,
    paused: bool,
    engine: str,
    store: Path | None,
) -> int:
    """Makes or changes a schedule, once everything about its runs has been checked."""
    seconds = None if every is None else seconds_of(every)
    request = request.model_copy(update={"name": request.name or name})
    if _engine(engine).here:  # a cluster checks what it is to run when it compiles it
        request = _kept_here(request, name)
    times = {"cron": cron, "every": seconds, "timezone": timezone, "paused": paused}
    made = make_schedule(name=name, **times, request=request.document())
    schedules = _schedules(engine, store)
    change = schedules.ensure(made)
    typer.echo(f"{name}: {change}; next run: {_next_run(schedules.show(name))}")
    return 0


def _kept_here(request: Request, schedule: str) -> Request:
    """The request with every place absolute, and nothing that is to be kept secret.

    Raises:
        RequestError: a request that cannot be.
    """
    make_plan(request)
    uri, recipe = request.tracking_uri, request.recipe
    if uri and redact(uri) != uri:
        raise RequestError(
            "--tracking-uri holds a login, which a schedule does not keep: leave it out of the address and give "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to the scheduler's environment"
        )
    workdir = (request.workdir or Path(RUNS_FOLDER) / schedule).expanduser().resolve()
    absolute = {
        "workdir": workdir,
        "recipe": str(Path(recipe).expanduser().resolve()) if recipe and Path(recipe).is_file() else recipe,
        "data": absolute_source(request.data) if request.data else None,
        "tracking_uri": tracking_address(uri, workdir.parent) if uri else None,
    }
    return request.model_copy(update=absolute)


def seconds_of(text: str) -> int:
    """Of `90s`, `30m`, `6h`, `7d`; a bare number is of seconds.

    >>> seconds_of("6h")
    21600
    """
    found = re.fullmatch(r"(\d+)([smhd]?)", text.strip().lower())
    if found is None:
        raise RequestError(f"--every {text!r}: expected a number and s, m, h or d, as in 30m or 7d")
    return int(found[1]) * _UNITS[found[2] or "s"]


def list_command(engine: str, store: Path | None, as_json: bool) -> int:
    """A line for each schedule."""
    found = _schedules(engine, store).list()
    if as_json:
        typer.echo(json.dumps([status.model_dump(mode="json") for status in found]))
    elif not found:
        typer.echo("there are no schedules: make one with `gan-pipeline schedule ensure NAME ...`", err=True)
    for status in [] if as_json else found:
        typer.echo(f"{status.schedule.name:<24} {_times(status.schedule):<34} {_next_run(status)}")
    return 0


def show_command(name: str, engine: str, store: Path | None, as_json: bool) -> int:
    """A schedule and its journal."""
    status = _schedules(engine, store).show(name)
    if as_json:
        typer.echo(status.model_dump_json())
        return 0
    made = status.schedule
    typer.echo(f"{made.name}: {_times(made)}")
    typer.echo(f"next run   {_next_run(status)}")
    typer.echo(f"request    {' '.join(command_of(Request.parse(made.request)))}")
    for run in status.runs:
        typer.echo(_line(run, made.timezone))
    return 0


def change_command(what: Literal["pause", "resume", "delete"], name: str, engine: str, store: Path | None) -> int:
    """Pauses, resumes or deletes."""
    getattr(_schedules(engine, store), what)(name)
    typer.echo(f"{name}: {_DONE[what]}")
    return 0


def run_now_command(name: str, engine: str, store: Path | None) -> int:
    """Hands one run to the scheduler."""
    number = _schedules(engine, store).run_now(name)
    typer.echo(f"{name}: run {number} starts now")
    if engine == "local" and not _is_served(_store(store)):
        typer.echo("no scheduler is running: start one with `gan-pipeline scheduler`", err=True)
    return 0


def scheduler_command(store: Path | None, grace: float) -> int:
    """Serves the schedules of this machine until it is told to stop."""
    from pipeline.scheduling.local import LocalScheduler

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("gan_pipeline").setLevel(logging.INFO)
    LocalScheduler(_store(store), grace=grace).serve()
    return 0


def _engine(name: str) -> Engine:
    from pipeline.engines.protocol import ENGINES

    return ENGINES.find(name, "--engine")


def _schedules(engine: str, store: Path | None) -> Scheduler:
    return _engine(engine).scheduler(_store_file(store), lambda text: typer.echo(text, err=True))


def _store(path: Path | None) -> ScheduleStore:
    from pipeline.scheduling.store import ScheduleStore

    return ScheduleStore(_store_file(path))


def _store_file(path: Path | None) -> Path:
    return (path or Path(RUNS_FOLDER) / STORE_FILE).expanduser().resolve()


def _is_served(store: ScheduleStore) -> bool:
    from filelock import FileLock, Timeout

    try:
        with FileLock(f"{store.path}.lock", timeout=0):
            return False
    except Timeout:
        return True


def _times(schedule: Schedule) -> str:
    return f"{schedule.cron} {schedule.timezone}" if schedule.cron else f"every {schedule.every} s"


def _when(moment: datetime, timezone: str) -> str:
    return f"{moment.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M:%S %Z}"


def _next_run(status: ScheduleStatus) -> str:
    return _when(status.next_run, status.schedule.timezone) if status.next_run else "paused"


def _line(run: ScheduledRun, timezone: str) -> str:
    due = _when(run.due, timezone) if run.due else ""
    return f"{run.id:>6}  {due}  {run.state:<9} {run.sentence}".rstrip()
