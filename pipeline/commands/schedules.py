"""`gan-pipeline schedule` and `scheduler`: when runs are due, and the process that starts them on this machine."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import typer

from components.export_samples.step import registry_name
from components.prepare_data.sources.registry import absolute_source
from components.redaction import redact
from gan_models.errors import RequestError
from pipeline.commands.retrain import RetrainRequest, retraining_plan
from pipeline.commands.run import check_plan
from pipeline.request.plan import RUNS_FOLDER, make_plan, tracking_address
from pipeline.scheduling.schedule import Schedule, ScheduledRun, Scheduler, make_schedule

if TYPE_CHECKING:
    from pipeline.engines.cluster.settings import ClusterSettings
    from pipeline.engines.protocol import Engine
    from pipeline.request.cluster import Submission
    from pipeline.scheduling.store import ScheduleStore

STORE_FILE = "schedules.db"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
RETRAINING = {"model": None, "force": False, "warm_start": False, "webhook_env": ""}
_DONE = {"pause": "paused", "resume": "resumed", "delete": "deleted"}


@dataclass(frozen=True)
class Times:
    """When, as it was typed."""

    cron: str | None = None
    every: str | None = None
    timezone: str = "UTC"
    paused: bool = False


def ensure_command(
    name: str, times: Times, command: str, request: RetrainRequest, engine: str, store: Path | None
) -> int:
    """Makes or changes a schedule, once everything about its runs has been checked."""
    every = None if times.every is None else seconds_of(times.every)
    made = make_schedule(
        name=name,
        cron=times.cron,
        every=every,
        timezone=times.timezone,
        paused=times.paused,
        request=(scheduled_request if _engine(engine).here else cluster_request)(name, command, request),
    )
    schedules = _schedules(engine, store)
    change = schedules.ensure(made)
    status = schedules.show(name)
    following = _when(status.next_run, made.timezone) if status.next_run else "paused"
    typer.echo(f"{name}: {change}; next run: {following}")
    return 0


def scheduled_request(name: str, command: str, request: RetrainRequest) -> dict[str, Any]:
    """What a schedule keeps of a request: every place absolute, nothing that is to be kept secret.

    Raises:
        RequestError: a request that cannot be.
    """
    run = request.run
    only_retrain = {"--model": request.model, "--warm-start": request.warm_start, "--force": request.force}
    if command == "run":
        for flag, given in (only_retrain | {"--webhook-env": request.webhook_env}).items():
            if given:
                raise RequestError(f"{flag} is for --command retrain: leave it out, or leave --command out")
        plan = make_plan(run.recipe, run.data, run.overrides, run.seed)
    else:
        plan, _ = retraining_plan(request)
    check_plan(plan)
    if run.tracking_uri and redact(run.tracking_uri) != run.tracking_uri:
        raise RequestError(
            "--tracking-uri holds a login, which a schedule does not keep: leave it out of the address and give "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to the scheduler's environment"
        )
    workdir = (run.workdir or Path(RUNS_FOLDER) / name).expanduser().resolve()
    recipe = str(Path(run.recipe).expanduser().resolve()) if run.recipe and Path(run.recipe).is_file() else run.recipe
    kept: dict[str, Any] = {
        "command": command,
        "recipe": recipe,
        "data": absolute_source(run.data) if run.data else None,
        "overrides": list(run.overrides),
        "seed": run.seed,
        "workdir": str(workdir),
        "tracking_uri": tracking_address(run.tracking_uri, workdir.parent) if run.tracking_uri else None,
        "name": run.name or name,
        "model": request.model,
        "force": request.force,
        "warm_start": request.warm_start,
        "webhook_env": request.webhook_env,
    }
    return {key: value for key, value in kept.items() if value}


def build_scheduled(schedule: Schedule, settings: ClusterSettings) -> Submission:
    """What a schedule of a cluster runs.

    Raises:
        RequestError: a request that cannot be.
    """
    from pipeline.request.cluster import TrainingRequest, build_training, plan_for_cluster

    kept = dict(schedule.request)
    command = kept.pop("command", "retrain")
    more = {key: kept.pop(key, default) for key, default in RETRAINING.items()}
    request = TrainingRequest.parse(kept)
    if command == "run":
        return build_training(request, settings)
    from pipeline.definitions.retraining import retraining_pipeline

    plan = plan_for_cluster(request, settings)
    model = (
        more.pop("model") or plan.recipe.export.model_name or registry_name(plan.recipe.name, plan.recipe.data.source)
    )
    named = request.model_copy(update={"overrides": (*request.overrides, f"export.model_name={model}")})
    return build_training(named, settings, pipeline=retraining_pipeline, more={"model_name": model, **more})


def cluster_request(name: str, command: str, request: RetrainRequest) -> dict[str, Any]:
    """What a schedule of a cluster keeps of a request."""
    run = request.run
    if run.workdir or run.tracking_uri:
        raise RequestError(
            "a cluster keeps its runs on its volume and is told of MLflow by gan-pipeline.toml: leave out "
            "--workdir and --tracking-uri"
        )
    kept = {
        "command": command,
        "recipe": run.recipe,
        "data": run.data,
        "overrides": list(run.overrides),
        "seed": run.seed,
        "name": run.name or name,
        "model": request.model,
        "force": request.force,
        "warm_start": request.warm_start,
        "webhook_env": request.webhook_env,
    }
    return {key: value for key, value in kept.items() if value}


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
        following = _when(status.next_run, status.schedule.timezone) if status.next_run else "paused"
        typer.echo(f"{status.schedule.name:<24} {_times(status.schedule):<34} {following}")
    return 0


def show_command(name: str, engine: str, store: Path | None, as_json: bool) -> int:
    """A schedule and its journal."""
    status = _schedules(engine, store).show(name)
    if as_json:
        typer.echo(status.model_dump_json())
        return 0
    made = status.schedule
    typer.echo(f"{made.name}: {_times(made)}")
    typer.echo(f"next run   {_when(status.next_run, made.timezone) if status.next_run else 'paused'}")
    typer.echo(f"request    {_words(made.request)}")
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


def _words(request: Mapping[str, Any]) -> str:
    from pipeline.scheduling.run import command_of

    return " ".join(command_of(request))


def _line(run: ScheduledRun, timezone: str) -> str:
    due = _when(run.due, timezone) if run.due else ""
    return f"{run.id:>6}  {due}  {run.state:<9} {run.sentence}".rstrip()
