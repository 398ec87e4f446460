"""`gan-pipeline run`: the training pipeline on this machine, from a request to a table of results."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from components.context import PIPELINE, RunContext
from components.redaction import redact
from components.stage.failures import Interrupted
from components.tracking.backend import check_tracking
from gan_models.errors import RequestError, RunError
from pipeline.definitions.stages import run_titles
from pipeline.request.plan import Place, Plan, make_place, make_plan
from pipeline.results import print_results, read_findings
from pipeline.workdir import RunRecord, WorkDirectory, open_workdir

if TYPE_CHECKING:
    from components.tracking.relay import Relay
    from pipeline.engines.protocol import Outcome

DRAIN_SECONDS = {"reachable": 120.0, "away": 5.0}
"""How long a finished run waits for MLflow, by whether the store answered at the start."""
UNFINISHED_DRAIN_SECONDS = 15.0
QUIET_SECONDS = 5.0
"""How long it waits without a word."""


@dataclass(frozen=True)
class RunRequest:
    """What was typed."""

    recipe: str | None = None
    data: str | None = None
    overrides: tuple[str, ...] = ()
    seed: int = 0
    workdir: Path | None = None
    tracking_uri: str | None = None
    name: str | None = None
    pipeline: Path | None = None
    as_json: bool = False
    engine: str = "local"
    image: str | None = None


@dataclass
class Report:
    """What `--json` prints, filled in as the run goes on."""

    run_id: str | None = None
    status: str = "failed"
    workdir: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None

    def line(self) -> str:
        fields = {key: value for key, value in vars(self).items() if key != "error" or value}
        return json.dumps(fields, ensure_ascii=False)


def run_command(request: RunRequest) -> int:
    """Runs or continues what was asked for."""
    report = Report()
    try:
        _run(request, report)
        return 0
    except Interrupted as error:
        report.status, report.error = "interrupted", str(error)
        typer.echo(f"gan-pipeline: {error}", err=True)
        return error.exit_code
    except (RequestError, RunError) as error:
        report.error = str(error)
        raise
    finally:
        if request.as_json:
            sys.stderr.flush()
            typer.echo(report.line())


def _run(request: RunRequest, report: Report) -> None:
    from pipeline.engines.local.engine import stop_leftovers
    from pipeline.engines.protocol import ENGINES, Job

    plan = _plan(request)
    place = make_place(plan, request.workdir, request.name, request.tracking_uri)
    report.workdir = str(place.workdir)
    check_plan(plan)
    launch = ENGINES.find(request.engine, "--engine").ready(request.image)
    reachable = check_tracking(place.tracking_uri)
    with open_workdir(place.workdir) as workdir:
        stop_leftovers(workdir.root)
        record = continue_or_begin(workdir, plan, place)
        report.run_id = record.run_id
        say_what(record, place, away=reachable == "away")
        with kept(workdir, record):
            # The stages learn from their environment which run they belong to: the same parameters find the same
            # entries in kfp's cache, whatever the run is called and wherever it is tracked.
            arguments = {**plan.parameters(), "run": "{}"}
            outcome = track(
                plan,
                context_of(record, workdir, place.tracking_uri),
                workdir,
                lambda context: launch(Job(arguments, workdir, context, request.pipeline)),
                DRAIN_SECONDS[reachable],
            )
            links = workdir.link_results(outcome.artifacts)
            findings = read_findings(links)
            record.metrics = findings.metrics
    report.status, report.metrics = "finished", findings.metrics
    report.artifacts = {name: str(path) for name, path in links.items()}
    print_results(findings, workdir.root, sys.stderr if request.as_json else sys.stdout)


def _plan(request: RunRequest) -> Plan:
    if request.pipeline is None:
        return make_plan(request.recipe, request.data, request.overrides, request.seed)
    if request.recipe or request.data or request.overrides or request.seed:
        raise RequestError(
            "--pipeline brings its own recipe, data and seed: leave out --recipe, --data, --set and --seed, "
            "or compile it again with them"
        )
    return Plan.from_parameters(compiled_parameters(request.pipeline), origin=str(request.pipeline))


def compiled_parameters(path: Path) -> dict[str, Any]:
    """The defaults of a compiled pipeline's parameters.

    Raises:
        RequestError: there is no such file, or it holds no pipeline.
    """
    import yaml

    try:
        document = next(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        inputs = document["root"]["inputDefinitions"]["parameters"]
        return {name: spec["defaultValue"] for name, spec in inputs.items() if "defaultValue" in spec}
    except OSError as error:
        raise RequestError(f"--pipeline {path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError, StopIteration):
        raise RequestError(
            f"--pipeline {path} holds no compiled pipeline: write one with `gan-pipeline compile`"
        ) from None


def check_plan(plan: Plan) -> None:
    """Refuses a recipe that cannot be built."""
    from pipeline.checks import check_buildable, is_proven

    if not is_proven(plan.recipe):
        check_buildable(plan.recipe)


def continue_or_begin(workdir: WorkDirectory, plan: Plan, place: Place, *, anew: bool = False) -> RunRecord:
    """The run that was here before when it is the same computation, else a new one.

    Args:
        anew: never go on with a run that has finished, and leave its results until there are newer ones.
    """
    digest, before = plan.digest(), workdir.record()
    same = before is not None and before.digest == digest and before.experiment == place.experiment
    same = same and not (anew and before is not None and before.status == "finished")
    record = RunRecord(
        name=place.name,
        digest=digest,
        recipe=plan.recipe.name,
        source=plan.recipe.data.source,
        seed=plan.seed,
        experiment=place.experiment,
        tracking_uri=place.tracking_uri if redact(place.tracking_uri) == place.tracking_uri else "",
        code_version=plan.code_version,
        started=_now(),
    )
    if before is not None and same:
        record.run_id = before.run_id
    else:
        if not anew:
            workdir.clear_results()
        if before is not None and before.status == "running":
            _end_abandoned(context_of(before, workdir, before.tracking_uri or place.tracking_uri))
    return record


def context_of(record: RunRecord, workdir: WorkDirectory, tracking_uri: str) -> RunContext:
    """What the stages of a run are told about it."""
    return RunContext(
        run_id=record.run_id,
        name=record.name,
        experiment=record.experiment,
        tracking_uri=tracking_uri,
        state_dir=str(workdir.root),
        relay="external",
        titles=run_titles(),
    )


def _end_abandoned(context: RunContext) -> None:
    """A run that was killed, and then something else was asked for: MLflow must not show it as running for ever."""
    from components.stage.stage import open_stage

    with suppress(Interrupted), open_stage(PIPELINE, context):
        raise Interrupted("killed, and not continued: other settings were asked for")


@contextmanager
def kept(workdir: WorkDirectory, record: RunRecord) -> Iterator[None]:
    """Keeps run.json true: running inside, then how it ended."""
    workdir.write_record(record)
    try:
        yield
    except BaseException as error:
        record.status = "interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else "failed"
        record.sentence, record.ended = redact(str(error)), _now()
        with suppress(OSError):  # a full disk, say, is what is being reported
            workdir.write_record(record)
        raise
    record.status, record.ended = "finished", _now()
    workdir.write_record(record)


def track(
    plan: Plan,
    context: RunContext,
    workdir: WorkDirectory,
    launch: Callable[[RunContext], Outcome],
    drain_seconds: float,
    titles: Mapping[str, str] | None = None,
) -> Outcome:
    """Runs a pipeline by `launch`, draws and tracks it.

    Args:
        titles: of the stages, where they are not those of the training pipeline.
    """
    from components.stage.progress import EventReader
    from components.stage.stage import open_stage
    from components.tracking.relay import Relay
    from pipeline.cli.board import ProgressBoard

    workdir.events.unlink(missing_ok=True)
    seconds = min(UNFINISHED_DRAIN_SECONDS, drain_seconds)
    with Relay(context) as relay:
        try:
            with open_stage(PIPELINE, context) as parent:
                parent.log_params({**plan.recipe.model_dump(mode="json"), "seed": plan.seed})
                parent.set_tags({"recipe": plan.recipe.name, "source": plan.recipe.data.source})
                with ProgressBoard(EventReader(workdir.events), sys.stderr, titles):
                    outcome = launch(context)
                    outcome.raise_unless_finished()
            seconds = drain_seconds
        finally:
            _drain(relay, seconds)
    return outcome


def _drain(relay: Relay, seconds: float) -> None:
    """Waits for MLflow to take the rest, at most so long; says what stays behind, and what was not taken."""
    try:
        if (pending := relay.drain(min(seconds, QUIET_SECONDS))) and seconds > QUIET_SECONDS:
            typer.echo("sending the rest to MLflow (Ctrl-C leaves it for the next run) ...", err=True)
            pending = relay.drain(seconds - QUIET_SECONDS)
    except KeyboardInterrupt:
        pending = relay.pending()
    for sentence in filter(None, (pending.sentence(), *pending.rejected)):
        typer.echo(sentence, err=True)


def say_what(record: RunRecord, place: Place, away: bool) -> None:
    typer.echo(f"{record.name}: {record.recipe} on {record.source}, seed {record.seed}, in {place.workdir}", err=True)
    if away:
        typer.echo(
            f"no tracking server answers at {redact(place.tracking_uri)}: what is logged waits on disk and is sent "
            "when it is back",
            err=True,
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
