"""`gan-pipeline sweep` on this machine: as `run`, with a leaderboard at the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import typer

from components.artifacts import LEADERBOARD_PAGE_FILE, Leaderboard
from components.rank_trials.tables import caption, reasons, table
from components.tracking.backend import check_tracking
from gan_models.errors import RequestError
from pipeline.commands.run import DRAIN_SECONDS, Report, Tell, concluded, context_of, continue_or_begin, kept, track
from pipeline.commands.run import say_what as say_run
from pipeline.request.plan import Place, make_place
from pipeline.request.sweep import SweepPlan, SweepRequest, make_sweep, sweep_name
from pipeline.results import places
from pipeline.workdir import RunRecord, WorkDirectory, open_workdir

MOST_PARALLEL = 2  # `kfp.local` has two workers for a loop, whatever it is asked for


def sweep_command(asked: SweepRequest, as_json: bool = False) -> int:
    """Runs a sweep, or continues one that was cut off."""
    report = Report(decided={"ranked_by": "", "metric": "", "best": None, "trials": []})
    return concluded(report, as_json, lambda: _sweep(asked, report))


def _sweep(asked: SweepRequest, report: Report) -> Tell:
    from pipeline.engines.local.engine import stop_leftovers
    from pipeline.engines.protocol import ENGINES, Job

    if asked.parallel > MOST_PARALLEL:
        raise RequestError(
            f"--parallel {asked.parallel}: here {MOST_PARALLEL} trials run at a time at most; --engine cluster has "
            "room for more"
        )
    plan = make_sweep(asked)
    place = _place(plan, asked)
    report.workdir = str(place.workdir)
    launch = ENGINES.find(asked.request.engine, "--engine").ready(None)
    reachable = check_tracking(place.tracking_uri)
    with open_workdir(place.workdir) as workdir:
        stop_leftovers(workdir.root)
        record = continue_or_begin(workdir, plan, place)
        report.run_id = record.run_id
        context = context_of(record, workdir, place.tracking_uri)
        say_run(record, place, plan.doubt, away=reachable == "away")
        typer.echo(f"{len(plan.trials)} trials, {plan.parallel} at a time", err=True)
        arguments, workers = {**plan.parameters(), "run": "{}"}, plan.recipe.data.workers
        job = Job(arguments, workdir, context, definition="sweep", parallel=plan.parallel, workers=workers)
        with kept(workdir, record):
            outcome = track(plan, launch, job, DRAIN_SECONDS[reachable], plan.contexts)
            return _ranked(outcome.artifacts, record, workdir, report)


def _place(plan: SweepPlan, asked: SweepRequest) -> Place:
    request = asked.request
    if request.name is None and request.workdir is None:
        request = request.model_copy(update={"name": sweep_name(plan)})
    return make_place(plan, request)


def _ranked(artifacts: Mapping[str, Path], record: RunRecord, workdir: WorkDirectory, report: Report) -> Tell:
    links = workdir.link_results(artifacts)
    board = Leaderboard.read(links["leaderboard"])
    best = board.best
    record.metrics = report.metrics = best.figures if best else {}
    record.sentence = f"best: {best.name}" if best else ""
    report.artifacts = {name: str(path) for name, path in links.items()}
    report.decided = {
        "ranked_by": board.ranked_by,
        "metric": board.metric,
        "best": best.key if best else None,
        "trials": [trial.model_dump(mode="json") for trial in board.trials],
    }
    return lambda file: _print(board, workdir.root, file)


def _print(board: Leaderboard, root: Path, file: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(file=file, highlight=False)
    heading, *lines = table(board)
    console.print(caption(board), markup=False)
    drawn = Table(*heading)
    for line in lines:
        drawn.add_row(*line)
    console.print(drawn)
    for sentence in reasons(board):
        console.print(sentence, soft_wrap=True, markup=False)
    here = Path.cwd()
    folder = root.relative_to(here) if root.is_relative_to(here) else root
    leaderboard = ("leaders", str(folder / "results/leaderboard" / LEADERBOARD_PAGE_FILE))
    for name, where in (leaderboard, *places(root)):
        console.print(f"{name:<10} {where}", soft_wrap=True)
