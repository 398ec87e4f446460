"""`gan-pipeline run` and `retrain`: a pipeline on this machine, from a request to a table of results or a decision."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

import typer

from components.artifacts import read_outcome
from components.context import OCCASION_VARIABLE, PIPELINE, RunContext, Trial
from components.evaluate_gan.findings import Findings
from components.redaction import redact
from components.stage.failures import Interrupted
from components.tracking.backend import check_tracking, no_answer
from components.tracking.champions import now
from gan_models.errors import RequestError, RunError
from pipeline.definitions.stages import Definition, run_titles, stages_of, titles_of
from pipeline.request.plan import Place, Plan, make_place, make_plan
from pipeline.request.request import Request
from pipeline.results import places, print_results
from pipeline.workdir import RunRecord, WorkDirectory, open_workdir

if TYPE_CHECKING:
    from components.tracking.relay import Relay
    from pipeline.engines.protocol import Job, Launch, Outcome

DRAIN_SECONDS = {"reachable": 120.0, "away": 5.0}
"""How long a finished run waits for MLflow, by whether the store answered at the start."""
UNFINISHED_DRAIN_SECONDS = 15.0
QUIET_SECONDS = 5.0  # how long it waits without a word

Tell = Callable[[TextIO], None]


@dataclass
class Report:
    """What `--json` prints, filled in as the run goes on."""

    run_id: str | None = None
    status: str = "failed"
    workdir: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    artifacts: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None
    decided: Mapping[str, Any] = field(default_factory=dict)
    """By a retraining, or of a sweep; its keys stand beside the others."""

    def line(self) -> str:
        fields = {key: value for key, value in vars(self).items() if key != "decided" and (key != "error" or value)}
        return json.dumps({**fields, **self.decided}, ensure_ascii=False)


def run_command(request: Request, as_json: bool = False) -> int:
    """Runs, retrains, or continues what was cut off."""
    report = Report()
    if request.command == "retrain":
        report.decided = dict.fromkeys(("decision", "sentence", "model", "version", "champion"), "")
    return concluded(report, as_json, lambda: _run(request, report))


def concluded(report: Report, as_json: bool, do: Callable[[], Tell]) -> int:
    """Does it, says how it went, and returns the exit code; the report is printed however it ends."""
    try:
        tell = do()
        report.status = "finished"
        tell(sys.stderr if as_json else sys.stdout)
        return 0
    except Interrupted as error:
        report.status, report.error = "interrupted", str(error)
        typer.echo(f"gan-pipeline: {error}", err=True)
        return error.exit_code
    except (RequestError, RunError) as error:
        report.error = str(error)
        raise
    finally:
        if as_json:
            sys.stderr.flush()
            typer.echo(report.line())


def _run(request: Request, report: Report) -> Tell:
    """Does it, and returns what says how it went."""
    from pipeline.engines.local.engine import stop_leftovers
    from pipeline.engines.protocol import ENGINES, Job

    plan = make_plan(request)
    place = make_place(plan, request)
    report.workdir = str(place.workdir)
    retrains = request.command == "retrain"
    launch = ENGINES.find(request.engine, "--engine").ready(request.image)
    reachable = check_tracking(place.tracking_uri, with_models=retrains)
    if retrains:
        report.decided = {**report.decided, "model": plan.recipe.export.model_name or ""}
        if reachable == "away":
            raise RunError("the tracking server that keeps the champion does not answer: try again when it is back")
    with open_workdir(place.workdir) as workdir:
        stop_leftovers(workdir.root)
        record = continue_or_begin(workdir, plan, place, anew=retrains)
        report.run_id = record.run_id
        context = context_of(record, workdir, place.tracking_uri)
        if record.status == "finished":
            typer.echo(f"{record.name}: this retraining has been done", err=True)
            return _decided(context, record, workdir, report)
        say_what(record, place, plan.doubt, away=reachable == "away")
        # The stages learn from their environment which run they belong to: the same parameters find the same entries in
        # kfp's cache, whatever the run is called and wherever it is tracked.
        arguments = {**plan.arguments(request), "run": "{}"}
        # A compiled file is of a training: a retraining takes its settings alone.
        compiled = None if retrains else request.pipeline
        workers = plan.recipe.data.workers
        job = Job(arguments, workdir, context, compiled, request.definition, workers=workers)
        with kept(workdir, record):
            outcome = track(plan, launch, job, DRAIN_SECONDS[reachable])
            if retrains:
                return _decided(context, record, workdir, report)
            return _judged(outcome, record, workdir, report)


def _judged(outcome: Outcome, record: RunRecord, workdir: WorkDirectory, report: Report) -> Tell:
    """The figures of a training."""
    links = workdir.link_results(outcome.artifacts)
    findings = Findings.read(links["evaluation"])
    record.metrics = report.metrics = findings.metrics
    report.artifacts = {name: str(path) for name, path in links.items()}
    return lambda file: print_results(findings, workdir.root, file)


def _decided(context: RunContext, record: RunRecord, workdir: WorkDirectory, report: Report) -> Tell:
    """The decision of a retraining."""
    made = read_outcome(context)
    if made is None:
        raise RunError("the pipeline ended without a decision: see logs/pipeline.log; the same command continues")
    links = workdir.link_results(made.artifacts)
    record.sentence, record.metrics = made.sentence, made.figures
    report.metrics, report.decided = made.figures, {key: getattr(made, key) for key in report.decided}
    report.artifacts = {name: str(path) for name, path in links.items()}

    def tell(file: TextIO) -> None:
        typer.echo(f"{made.decision}: {made.sentence}", file=file)
        registry = ("registry", f"gan-pipeline models show {made.model}")
        for name, where in (*places(workdir.root), registry) if links else ():
            typer.echo(f"{name:<10} {where}", file=file)

    return tell


def continue_or_begin(workdir: WorkDirectory, plan: Plan, place: Place, *, anew: bool = False) -> RunRecord:
    """The run that was here before when it is the same computation, else a new one.

    Args:
        anew: for a retraining: never go on with a run that has finished, but for one that was started for the same
            occasion, which is returned as it is; leave its results until there are newer ones.
    """
    digest, before = plan.digest(), workdir.record()
    occasion = os.environ.get(OCCASION_VARIABLE, "") if anew else ""
    if before and before.status == "finished" and occasion and before.occasion == occasion:
        return before
    same = before is not None and before.digest == digest and before.experiment == place.experiment
    same = same and not (anew and before is not None and before.status == "finished")
    record = RunRecord(
        name=place.name,
        digest=digest,
        recipe=plan.recipe.name,
        source=plan.recipe.data.source,
        seed=plan.seed,
        experiment=place.experiment,
        tracking_uri=place.tracking_uri,
        code_version=plan.code_version,
        started=now(),
        occasion=occasion,
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
        record.sentence, record.ended = redact(str(error)), now()
        with suppress(OSError):  # a full disk, say, is what is being reported
            workdir.write_record(record)
        raise
    record.status, record.ended = "finished", now()
    workdir.write_record(record)


def track(plan: Plan, launch: Launch, job: Job, drain_seconds: float, trials: Sequence[Trial] = ()) -> Outcome:
    """Runs a pipeline, draws and tracks it; with the trials that a sweep has."""
    from components.stage.progress import EventReader
    from components.stage.stage import open_stage
    from components.tracking.relay import Relay
    from pipeline.commands.board import ProgressBoard

    events, titles = job.workdir.events, rows_of(job.definition, trials)
    events.unlink(missing_ok=True)
    seconds = min(UNFINISHED_DRAIN_SECONDS, drain_seconds)
    with Relay(job.context, trials=[job.context.of_trial(trial) for trial in trials]) as relay:
        try:
            with open_stage(PIPELINE, job.context) as parent:
                parent.log_params(plan.settings)
                parent.set_tags({"recipe": plan.recipe.name})
                with ProgressBoard(EventReader(events), sys.stderr, titles):
                    outcome = launch(job)
                    outcome.raise_unless_finished()
            seconds = drain_seconds
        finally:
            _drain(relay, seconds)
    return outcome


def rows_of(definition: Definition, trials: Sequence[Trial]) -> dict[str, str]:
    """What the board has a row for: each stage, but of stages that every trial has, each trial."""
    titles = titles_of(definition)
    if not trials:
        return titles
    each = [name for name, stage in stages_of(definition).items() if stage.sweep == "each"]
    before = dict(itertools.takewhile(lambda item: item[0] not in each, titles.items()))
    after = {name: title for name, title in titles.items() if name not in before and name not in each}
    return {**before, **{trial.key: trial.name for trial in trials}, **after}


def _drain(relay: Relay, seconds: float) -> None:
    """Waits for MLflow to take the rest, at most so long; says what stays behind, and what was not taken."""
    try:
        if (pending := relay.drain(min(seconds, QUIET_SECONDS))) and seconds > QUIET_SECONDS:
            typer.echo("sending the rest to MLflow (Ctrl-C leaves it for the next run) ...", err=True)
            pending = relay.drain(seconds - QUIET_SECONDS)
    except KeyboardInterrupt:
        pending = relay.pending()
    for sentence in filter(None, (pending.sentence, *pending.rejected)):
        typer.echo(sentence, err=True)


def say_what(record: RunRecord, place: Place, doubt: str, away: bool) -> None:
    typer.echo(f"{record.name}: {record.recipe} on {record.source}, seed {record.seed}, in {place.workdir}", err=True)
    if doubt:
        typer.echo(f"note: {doubt}", err=True)
    if away:
        waits = "what is logged waits on disk and is sent when it is back"
        typer.echo(f"{no_answer(place.tracking_uri)}: {waits}", err=True)
