"""`gan-pipeline schedule` and `scheduler`: when runs are due, and the process that starts them on this machine.

Each command imports what it needs when it is called.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from zoneinfo import ZoneInfo

import typer
from typer import Argument, Option

from gan_models.errors import RequestError, home_path
from pipeline.cli.options import RETRAINING, WHAT, WHERE, JsonOption, takes_request

if TYPE_CHECKING:
    from pipeline.request.request import Request
    from pipeline.scheduling.schedule import Schedule, Scheduler, ScheduleStatus

app = typer.Typer()
schedule_app = typer.Typer(help="Run or retrain at given times.", rich_markup_mode=None)

Command = Literal["retrain", "run"]
ScheduleName = Annotated[str, Argument(metavar="NAME", help="Of the schedule.")]
EngineOption = Annotated[
    str, Option("--engine", metavar="local|cluster", help="Where the schedule is kept and its runs are done.")
]
StoreOption = Annotated[
    Path | None, Option("--store", metavar="FILE", help="Of local schedules. [default: runs/schedules.db]")
]
WebhookOption = Annotated[
    str,
    Option(
        "--webhook-env",
        metavar="VARIABLE",
        help="Environment variable with the address to tell, once, of what was late, failed or skipped; of schedules "
        "that name none.",
    ),
]
STORE_FILE = "schedules.db"
_KEPT_HERE = "keep the schedule here and do its runs there, by --on-cluster in place of --engine cluster"
NOBODY_SERVES = "no scheduler is running: start one with `gan-pipeline scheduler`"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@schedule_app.command("ensure")
@takes_request("retrain", *WHAT, *WHERE, *RETRAINING)
def ensure(
    schedule: ScheduleName,
    cron: Annotated[str | None, Option(metavar="FIELDS", help="As in '30 2 * * *'; six fields: seconds first.")] = None,
    every: Annotated[str | None, Option(metavar="TIME", help="As in 90s, 30m, 6h or 7d, in place of --cron.")] = None,
    on_data: Annotated[
        bool, Option("--on-data", help="Look at the data at these times; run only when it is new, and at rest.")
    ] = False,
    timezone: Annotated[str, Option(metavar="ZONE", help="Of --cron, as in Europe/Berlin.")] = "UTC",
    start: Annotated[str | None, Option(metavar="TIME", help="Not before, as in 2027-01-31T02:00.")] = None,
    end: Annotated[str | None, Option(metavar="TIME", help="Not after.")] = None,
    command: Annotated[Command, Option(help="What is done.")] = "retrain",
    paused: Annotated[bool, Option("--paused", help="A new schedule waits for `resume`.")] = False,
    on_cluster: Annotated[
        bool,
        Option(
            "--on-cluster",
            help="Keep it here, and do its runs on the cluster of gan-pipeline.toml: for --on-data, {date}, backfill.",
        ),
    ] = False,
    *,
    request: Request,
    engine: EngineOption = "local",
    store: StoreOption = None,
) -> int:
    """Make a schedule, or make it what is said here. The same command again changes nothing."""
    from pipeline.engines.protocol import ENGINES
    from pipeline.scheduling.schedule import DATE, make_schedule

    seconds, here = None if every is None else seconds_of(every), ENGINES.find(engine, "--engine").here
    request = request.model_copy(update={"command": command, "name": request.name or schedule})
    if on_cluster and not here:
        raise RequestError(f"--on-cluster is for a schedule that is kept here: leave it out, or --engine {engine}")
    if DATE in (request.data or ""):
        if not here:
            raise RequestError(f"--data {request.data}: Kubeflow fills in no {DATE}: {_KEPT_HERE}")
        if command == "retrain" and not request.model:
            raise RequestError(f"--data {request.data}: give --model, for by default each {DATE} is a model of its own")
    if here:  # a cluster checks what it is to run when it compiles it
        request = _done_there(request) if on_cluster else _kept_here(request, schedule)
    if on_data:
        _check_watched(request, here)
    times = {
        "on_data": on_data,
        "cron": cron,
        "every": seconds,
        "timezone": timezone,
        "start": start,
        "end": end,
        "paused": paused,
    }
    made = make_schedule(name=schedule, **times, request=request.document())
    schedules = _schedules(engine, store)
    change = schedules.ensure(made)
    typer.echo(f"{schedule}: {change}; next run: {_next_run(schedules.show(schedule))}")
    return 0


def _kept_here(request: Request, schedule: str) -> Request:
    """The request with every place absolute; RequestError where it cannot be, or holds what is to be kept secret."""
    from components.redaction import redact
    from gan_models.data.sources import parse_source
    from pipeline.request.plan import RUNS_FOLDER, make_plan, tracking_address
    from pipeline.scheduling.schedule import DATE

    if DATE in (request.data or ""):
        _check_dated(request)
    else:
        make_plan(request)
    uri = request.tracking_uri
    if uri and redact(uri) != uri:
        raise RequestError(
            "--tracking-uri holds a login, which a schedule does not keep: leave it out of the address and give "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD to the scheduler's environment"
        )
    workdir = home_path(request.workdir or Path(RUNS_FOLDER) / schedule).resolve()
    absolute = {
        "workdir": workdir,
        "recipe": _absolute(request.recipe),
        "data": parse_source(request.data).absolute if request.data else None,
        "tracking_uri": tracking_address(uri, workdir.parent) if uri else None,
    }
    return request.model_copy(update=absolute)


def _done_there(request: Request) -> Request:
    """The request for runs on a cluster; RequestError where it or the cluster's settings cannot be."""
    from gan_models.data.sources import parse_source
    from pipeline.engines.cluster.settings import read_settings
    from pipeline.engines.cluster.submission import build_submission

    there = {
        "engine": "cluster",
        "recipe": _absolute(request.recipe),
        "data": parse_source(request.data).absolute if request.data else None,
    }
    build_submission(request.model_copy(update=there), read_settings({}))
    return request.model_copy(update=there)


def _absolute(recipe: str | None) -> str | None:
    return str(home_path(recipe).resolve()) if recipe and Path(recipe).is_file() else recipe


def _check_watched(request: Request, here: bool) -> None:
    from pipeline.scheduling.schedule import DATE

    if not here:
        raise RequestError(
            f"--on-data: a cluster has nobody who looks at the data between runs: {_KEPT_HERE}; or leave it out, for a "
            "retraining there ends after its first stages where nothing is new"
        )
    if not request.data or DATE in request.data:
        raise RequestError(f"--on-data looks at one place: name it by --data, without {DATE}")


def _check_dated(request: Request) -> None:
    """As far as it can be checked on any day, for what it is to find need not be there yet."""
    from gan_models.data.sources import parse_source
    from pipeline.request.plan import LABELLED_DEFAULT, Elsewhere, make_plan

    source = parse_source(request.data or "")
    made = {"data": source.absolute, "recipe": request.recipe or LABELLED_DEFAULT}
    make_plan(request.model_copy(update=made), Elsewhere(Path("/")))


@schedule_app.command("list")
def list_(engine: EngineOption = "local", store: StoreOption = None, as_json: JsonOption = False) -> int:
    """All schedules and when they are due next."""
    found = _schedules(engine, store).list()
    if as_json:
        typer.echo(json.dumps([status.model_dump(mode="json") for status in found]))
        return 0
    if not found:
        typer.echo("there are no schedules: make one with `gan-pipeline schedule ensure NAME ...`", err=True)
    for status in found:
        typer.echo(f"{status.schedule.name:<24} {_times(status.schedule):<34} {_next_run(status)}")
    return 0


@schedule_app.command("show")
def show(
    schedule: ScheduleName, engine: EngineOption = "local", store: StoreOption = None, as_json: JsonOption = False
) -> int:
    """One schedule and its latest runs. What was run, what was skipped, and why."""
    from pipeline.request.request import Request

    status = _schedules(engine, store).show(schedule)
    if as_json:
        typer.echo(status.model_dump_json())
        return 0
    made = status.schedule
    typer.echo(f"{made.name}: {_times(made)}")
    typer.echo(f"next run   {_next_run(status)}")
    typer.echo(f"request    {' '.join(Request.parse(made.request).command_line())}")
    for run in status.runs:
        due = _when(run.due, made.timezone) if run.due else ""
        typer.echo(f"{run.id:>6}  {due}  {run.state:<9} {run.sentence}".rstrip())
    return 0


@schedule_app.command("health")
def health(
    engine: EngineOption = "local",
    store: StoreOption = None,
    grace: Annotated[str, Option(metavar="TIME", help="How much later than due is late.")] = "10m",
    webhook_env: WebhookOption = "",
    as_json: JsonOption = False,
) -> int:
    """Whether all schedules do what they say. Ends with 1 where one is late, or its last run failed or was skipped."""
    from pipeline.scheduling.notices import Teller
    from pipeline.scheduling.store import ScheduleStore

    _check_webhook(webhook_env)
    schedules, patience = _schedules(engine, store), timedelta(seconds=seconds_of(grace, "--grace"))
    memory = ScheduleStore(_store_file(store)) if webhook_env else None  # of what was told, of a cluster's as well
    found = {}
    for status in schedules.list():
        name = status.schedule.name
        troubles = [*schedules.show(name).troubles(datetime.now(UTC), patience)]
        found[name] = [trouble.sentence for trouble in troubles]
        if not as_json:
            typer.echo(f"{'✗' if troubles else '✓'} {name}: {'; '.join(found[name]) or _next_run(status)}")
        for trouble in troubles:
            itself = trouble.event == "failed" and status.schedule.request.get("webhook_env")  # the run has said so
            if memory and not itself:
                memory.note(name, status.schedule.request, trouble, engine)
    for sentence in Teller(memory, webhook_env).tell() if memory else ():
        typer.echo(sentence, err=True)
    if as_json:
        typer.echo(json.dumps(found))
    return int(any(found.values()))


@schedule_app.command("pause")
def pause(schedule: ScheduleName, engine: EngineOption = "local", store: StoreOption = None) -> int:
    """No further runs until `resume`. One that is under way is not touched."""
    _schedules(engine, store).pause(schedule)
    typer.echo(f"{schedule}: paused")
    return 0


@schedule_app.command("resume")
def resume(schedule: ScheduleName, engine: EngineOption = "local", store: StoreOption = None) -> int:
    """Go on from the next time that is due. What was due during the pause is not made up for."""
    _schedules(engine, store).resume(schedule)
    typer.echo(f"{schedule}: resumed")
    return 0


@schedule_app.command("run-now")
def run_now(schedule: ScheduleName, engine: EngineOption = "local", store: StoreOption = None) -> int:
    """One run now, outside of its times."""
    from pipeline.scheduling.store import ScheduleStore

    schedules = _schedules(engine, store)
    typer.echo(f"{schedule}: run {schedules.run_now(schedule)} starts now")
    if isinstance(schedules, ScheduleStore) and not schedules.is_served():
        typer.echo(NOBODY_SERVES, err=True)
    return 0


@schedule_app.command("backfill")
def backfill(
    schedule: ScheduleName,
    first: Annotated[str, Option("--from", metavar="TIME", help="As in 2026-11-01 or 2026-11-01T02:00.")],
    last: Annotated[str, Option("--to", metavar="TIME", help="A day is meant to its end.")],
    dry_run: Annotated[bool, Option("--dry-run", help="Only say which runs.")] = False,
    engine: EngineOption = "local",
    store: StoreOption = None,
) -> int:
    """Run for each past time of a range. Of those that it was due at, or would have been; not those that ended well."""
    from pipeline.engines.protocol import ENGINES
    from pipeline.scheduling.store import ScheduleStore

    if not ENGINES.find(engine, "--engine").here:
        raise RequestError(
            f"--engine {engine}: backfill is for schedules of this machine, whose runs a cluster may do: see "
            "--on-cluster of `schedule ensure`"
        )
    kept = ScheduleStore(_store_file(store))
    zone = ZoneInfo(kept.show(schedule).schedule.timezone)
    begin, end = _moment("--from", first, zone), _moment("--to", last, zone, whole_day=True)
    if end < begin:
        raise RequestError(f"--to {last} is before --from {first}")
    claims = kept.backfill(schedule, begin, end, dry_run)
    for claim in claims:
        typer.echo(f"{_when(claim.due, zone.key)}  {claim.request['data']}")
    runs, are = ("run", "is") if len(claims) == 1 else ("runs", "are")
    typer.echo(f"{schedule}: {len(claims)} {runs} {'would be' if dry_run else are} queued")
    if claims and not dry_run and not kept.is_served():
        typer.echo(NOBODY_SERVES, err=True)
    return 0


def _moment(option: str, text: str, zone: ZoneInfo, whole_day: bool = False) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RequestError(
            f"{option} {text!r}: expected a day or a time, as in 2026-11-01 or 2026-11-01T02:00"
        ) from None
    if whole_day and len(text) == len("2026-11-01"):
        moment += timedelta(days=1, microseconds=-1)
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


@schedule_app.command("delete")
def delete(schedule: ScheduleName, engine: EngineOption = "local", store: StoreOption = None) -> int:
    """Take a schedule away; what it has run stays."""
    _schedules(engine, store).delete(schedule)
    typer.echo(f"{schedule}: deleted")
    return 0


@app.command("scheduler")
def scheduler(
    store: StoreOption = None,
    grace: Annotated[
        float,
        Option(
            metavar="SECONDS", min=0, help="A run found to be due this much earlier is still started, else skipped."
        ),
    ] = 3600.0,
    webhook_env: WebhookOption = "",
    metrics: Annotated[
        str, Option(metavar="[HOST:]PORT", help="Answer Prometheus at /metrics there, such as 9400. [default: nowhere]")
    ] = "",
) -> int:
    """Start the runs of this machine's schedules. SIGTERM ends it; killed at any moment, it goes on where it was."""
    import logging

    from pipeline.scheduling.local import LocalScheduler
    from pipeline.scheduling.store import ScheduleStore

    _check_webhook(webhook_env)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("gan_pipeline").setLevel(logging.INFO)
    kept = ScheduleStore(_store_file(store))
    LocalScheduler(kept, grace=grace, webhook_env=webhook_env, metrics=metrics).serve()
    return 0


def seconds_of(text: str, option: str = "--every") -> int:
    """Of `90s`, `30m`, `6h`, `7d`; a bare number is of seconds.

    >>> seconds_of("6h")
    21600
    """
    found = re.fullmatch(r"(\d+)([smhd]?)", text.strip().lower())
    if found is None:
        raise RequestError(f"{option} {text!r}: expected a number and s, m, h or d, as in 30m or 7d")
    return int(found[1]) * _UNITS[found[2] or "s"]


def _check_webhook(variable: str) -> None:
    from components.notify.webhook import address_in
    from pipeline.request.request import check_webhook_env

    check_webhook_env(variable)
    if variable and not address_in(variable):
        raise RequestError(f"--webhook-env {variable}: the environment variable holds no http address: set it")


def _schedules(engine: str, store: Path | None) -> Scheduler:
    from pipeline.engines.protocol import ENGINES

    return ENGINES.find(engine, "--engine").scheduler(_store_file(store), lambda text: typer.echo(text, err=True))


def _store_file(path: Path | None) -> Path:
    from pipeline.request.plan import RUNS_FOLDER

    return home_path(path or Path(RUNS_FOLDER) / STORE_FILE).resolve()


def _times(schedule: Schedule) -> str:
    times = f"{schedule.cron} {schedule.timezone}" if schedule.cron else f"every {schedule.every} s"
    times += ", on new data" if schedule.on_data else ""
    begin = f", from {_when(schedule.start, schedule.timezone)}" if schedule.start else ""
    return f"{times}{begin}{f', until {_when(schedule.end, schedule.timezone)}' if schedule.end else ''}"


def _when(moment: datetime, timezone: str) -> str:
    return f"{moment.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M:%S %Z}"


def _next_run(status: ScheduleStatus) -> str:
    if status.next_run:
        looks = "looks at the data at " if status.schedule.on_data else ""
        return f"{looks}{_when(status.next_run, status.schedule.timezone)}"
    return "paused" if status.schedule.paused else "ended"


app.add_typer(schedule_app, name="schedule")
