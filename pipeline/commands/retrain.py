"""`gan-pipeline retrain`: the retraining pipeline on this machine, from a request to a decision."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TextIO

import typer

from components.artifacts import Outcome, read_outcome
from components.export_samples.step import registry_name
from components.stage.failures import Interrupted
from components.tracking.backend import check_champions, check_tracking
from gan_models.errors import RequestError, RunError
from pipeline.commands.run import (
    DRAIN_SECONDS,
    Report,
    RunRequest,
    check_plan,
    context_of,
    continue_or_begin,
    kept,
    say_what,
    track,
)
from pipeline.definitions.stages import titles_of
from pipeline.request.plan import Place, Plan, make_place, make_plan
from pipeline.results import places
from pipeline.workdir import OCCASION_VARIABLE, WorkDirectory, open_workdir

if TYPE_CHECKING:
    from components.context import RunContext

_MODEL_NAME = re.compile(r"[^/:]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class RetrainRequest:
    """What was typed."""

    run: RunRequest = field(default_factory=RunRequest)
    model: str | None = None
    force: bool = False
    warm_start: bool = False
    webhook_env: str = ""


@dataclass
class RetrainReport(Report):
    """What `--json` prints."""

    decision: str = ""
    sentence: str = ""
    model: str = ""
    version: str = ""
    champion: str = ""


def retrain_command(request: RetrainRequest) -> int:
    """Retrains where something has changed, or continues what was cut off; prints what was decided."""
    report = RetrainReport()
    try:
        _retrain(request, report)
        return 0
    except Interrupted as error:
        report.status, report.error = "interrupted", str(error)
        typer.echo(f"gan-pipeline: {error}", err=True)
        return error.exit_code
    except (RequestError, RunError) as error:
        report.error = str(error)
        raise
    finally:
        if request.run.as_json:
            sys.stderr.flush()
            typer.echo(report.line())


def retraining_plan(request: RetrainRequest) -> tuple[Plan, str]:
    """The plan, and the name of the registered model, which is part of it.

    Raises:
        RequestError: a request that cannot be.
    """
    run = request.run
    if request.webhook_env and not _VARIABLE.fullmatch(request.webhook_env):
        raise RequestError(
            f"--webhook-env takes the name of an environment variable that holds the address, not "
            f"{'an address' if '/' in request.webhook_env else repr(request.webhook_env)}"
        )
    plan = make_plan(run.recipe, run.data, run.overrides, run.seed)
    export = plan.recipe.export
    name = request.model or export.model_name or registry_name(plan.recipe.name, plan.recipe.data.source)
    if not _MODEL_NAME.fullmatch(name):
        raise RequestError(f"--model {name!r}: MLflow takes any name without / and :")
    recipe = plan.recipe.model_copy(update={"export": export.model_copy(update={"model_name": name})})
    return replace(plan, recipe=recipe), name


def _retrain(request: RetrainRequest, report: RetrainReport) -> None:
    from pipeline.engines.local.engine import stop_leftovers

    plan, model = retraining_plan(request)
    place = make_place(plan, request.run.workdir, request.run.name, request.run.tracking_uri)
    report.workdir, report.model = str(place.workdir), model
    check_plan(plan)
    check_champions(place.tracking_uri)
    if check_tracking(place.tracking_uri) == "away":
        raise RunError("the tracking server that keeps the champion does not answer: try again when it is back")
    with open_workdir(place.workdir) as workdir:
        stop_leftovers(workdir.root)
        if (before := _finished_already(workdir, place)) is not None:
            outcome = before
        else:
            outcome = _run(request, plan, model, place, workdir, report)
        _tell(outcome, workdir, report, sys.stderr if request.run.as_json else sys.stdout)


def _run(
    request: RetrainRequest, plan: Plan, model: str, place: Place, workdir: WorkDirectory, report: RetrainReport
) -> Outcome:
    from pipeline.engines.protocol import ENGINES, Job

    launch = ENGINES[request.run.engine].ready(None)
    record = continue_or_begin(workdir, plan, place, anew=True)
    record.occasion = os.environ.get(OCCASION_VARIABLE, "")
    report.run_id = record.run_id
    say_what(record, place, away=False)
    arguments = {
        **plan.parameters(),
        "run": "{}",
        "model_name": model,
        "force": request.force,
        "warm_start": request.warm_start,
        "webhook_env": request.webhook_env,
    }
    context = context_of(record, workdir, place.tracking_uri)
    with kept(workdir, record):
        track(
            plan,
            context,
            workdir,
            lambda given: launch(Job(arguments, workdir, given, definition="retraining")),
            DRAIN_SECONDS["reachable"],
            titles_of("retraining"),
        )
        outcome = _outcome(context)
        record.sentence, record.metrics = outcome.sentence, outcome.figures
        workdir.link_results(outcome.artifacts)
    return outcome


def _outcome(context: RunContext) -> Outcome:
    outcome = read_outcome(context)
    if outcome is None:
        raise RunError("the pipeline ended without a decision: see logs/pipeline.log; the same command continues")
    return outcome


def _finished_already(workdir: WorkDirectory, place: Place) -> Outcome | None:
    """What was decided, where this very occasion has had its retraining."""
    occasion, record = os.environ.get(OCCASION_VARIABLE, ""), workdir.record()
    if not occasion or record is None or record.occasion != occasion or record.status != "finished":
        return None
    typer.echo(f"{record.name}: this retraining has been done", err=True)
    return _outcome(context_of(record, workdir, place.tracking_uri))


def _tell(outcome: Outcome, workdir: WorkDirectory, report: RetrainReport, file: TextIO) -> None:
    report.status, report.metrics = "finished", outcome.figures
    report.decision, report.sentence = outcome.decision, outcome.sentence
    report.version, report.champion = outcome.version, outcome.champion
    links = {path.name: path for path in workdir.results.glob("*")} if outcome.artifacts else {}
    report.artifacts = {name: str(path) for name, path in links.items()}
    typer.echo(f"{outcome.decision}: {outcome.sentence}", file=file)
    if outcome.artifacts:
        for name, where in places(workdir.root):
            typer.echo(f"{name:<10} {where}", file=file)
        typer.echo(f"{'registry':<10} gan-pipeline models show {outcome.model}", file=file)
