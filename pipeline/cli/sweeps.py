"""`gan-pipeline sweep`: one data set, many trainings, a leaderboard. It imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Option

from pipeline.cli.options import WHAT, WHERE, JsonOption, WaitOption, takes_placement, takes_request

if TYPE_CHECKING:
    from pipeline.request.request import Request
    from pipeline.request.sweep import SweepRequest

app = typer.Typer()

VaryOption = Annotated[
    list[str] | None,
    Option(
        "--vary",
        metavar="KEY=VALUES",
        help="What differs between trials: V1,V2,... or LOW..HIGH (whole numbers; with --random any, perhaps with :log "
        "behind them). KEY as for --set, or seed.",
    ),
]


@app.command()
@takes_request(
    "run",
    *WHAT,
    *WHERE,
    engine=Option("local", metavar="local|cluster", help="Where it is done; what is below is for a cluster."),
)
@takes_placement()
def sweep(
    vary: VaryOption = None,
    number: Annotated[
        int | None, Option("--random", metavar="N", help="Draw N trials. [default: every combination]")
    ] = None,
    random_seed: Annotated[int, Option("--random-seed", metavar="N", help="Decides what is drawn.")] = 0,
    parallel: Annotated[int, Option("--parallel", metavar="P", min=1, max=100, help="Trials at a time.")] = 1,
    output: Annotated[
        Path | None, Option("--output", "-o", metavar="FILE", help="Write the pipeline as YAML and start nothing.")
    ] = None,
    *,
    request: Request,
    wait: WaitOption = False,
    placed: dict[str, Any],
    as_json: JsonOption = False,
) -> int:
    """Train with many settings and rank the trials. All combinations, or some at random; the best is exported."""
    from gan_models.errors import RequestError
    from pipeline.engines.protocol import ENGINES
    from pipeline.request.sweep import SweepRequest

    asked = SweepRequest(request, tuple(vary or ()), number, random_seed, parallel)
    if output is not None:
        return _compile(asked, output)
    if request.engine == "docker":
        raise RequestError("--engine docker: sweeps are done by --engine local or cluster")
    if ENGINES.find(request.engine, "--engine").here:
        for key in placed:
            raise RequestError(f"--{key.replace('_', '-')} is for --engine cluster: leave it out, or add that")
        from pipeline.commands.sweep import sweep_command

        return sweep_command(asked, as_json)
    from dataclasses import replace

    from pipeline.cli.cluster import send
    from pipeline.engines.cluster.settings import read_settings
    from pipeline.engines.cluster.submission import build_sweep

    settings = read_settings({**placed, "tracking_uri": request.tracking_uri})
    asked = replace(asked, request=request.model_copy(update={"tracking_uri": None}))
    return send(build_sweep(asked, settings), settings, wait, as_json)


def _compile(asked: SweepRequest, output: Path) -> int:
    import json

    from pipeline.commands.compiling import about_run, check_output, write_pipeline
    from pipeline.definitions.stages import load_pipeline
    from pipeline.request.sweep import make_sweep, sweep_name

    check_output(output)
    plan = make_sweep(asked)
    about = about_run(sweep_name(plan))
    parameters = {**plan.arguments_for(about), "run": json.dumps(about)}
    write_pipeline(load_pipeline("sweep", plan.parallel, plan.recipe.data.workers), parameters, output)
    typer.echo(f"{output}: {len(plan.trials)} trials of {plan.recipe.name} on {plan.recipe.data.source}", err=True)
    return 0
