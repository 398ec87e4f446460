"""The commands that work on this machine. Each imports what it needs when it is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from pipeline.cli import completion
from pipeline.cli.evaluate import evaluate
from pipeline.cli.explore import explore
from pipeline.cli.export import export
from pipeline.cli.options import (
    RETRAINING,
    WHAT,
    WHERE,
    DryRunOption,
    JsonOption,
    SetOption,
    WaitOption,
    takes_placement,
    takes_request,
)
from pipeline.cli.project import project
from pipeline.cli.recipes import recipes_app
from pipeline.cli.sample import sample

if TYPE_CHECKING:
    from gan_models.data.preparing.inspection import Inspection
    from pipeline.request.request import Request

app = typer.Typer()
data_app = typer.Typer(help="Look at image data before training on it.", rich_markup_mode=None)
SHOWN_CLASSES = 20


def _say_version(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


def about(
    asked: Annotated[
        bool, Option("--version", callback=_say_version, is_eager=True, help="Print the version, as `version` does.")
    ] = False,
) -> None:
    """Images in, a judged and tracked GAN generator out."""


@app.command()
@takes_request("run", *WHAT, *WHERE, "pipeline", "engine", "image")
def run(request: Request, dry_run: DryRunOption = False, as_json: JsonOption = False) -> int:
    """Prepare the data, train, select, evaluate, export. The same command again continues or skips what is done."""
    if dry_run:
        from pipeline.commands.dry_run import dry_run_here

        return dry_run_here(request, as_json)
    from pipeline.commands.run import run_command

    return run_command(request, as_json)


@app.command()
@takes_request(
    "retrain",
    *WHAT,
    *WHERE,
    "pipeline",
    *RETRAINING,
    engine=Option(
        "local",
        metavar="local|cluster",
        help="Where it is done; what is below is for a cluster.",
        autocompletion=completion.one_of("local", "cluster"),
    ),
)
@takes_placement()
def retrain(
    request: Request,
    wait: WaitOption = False,
    dry_run: DryRunOption = False,
    *,
    placed: dict[str, Any],
    as_json: JsonOption = False,
) -> int:
    """Train anew if data or recipe changed. The new generator is promoted if it is better than the champion."""
    from gan_models.errors import RequestError
    from pipeline.engines.protocol import ENGINES

    if request.engine == "docker":
        raise RequestError("--engine docker: retrainings are done by --engine local or cluster")
    if ENGINES.find(request.engine, "--engine").here:
        from pipeline.commands.run import run_command

        for key in placed:
            raise RequestError(f"--{key.replace('_', '-')} is for --engine cluster: leave it out, or add that")
        if dry_run:
            from pipeline.commands.dry_run import dry_run_here

            return dry_run_here(request, as_json)
        return run_command(request, as_json)
    from pipeline.cli.cluster import start
    from pipeline.engines.cluster.settings import read_settings

    settings = read_settings({**placed, "tracking_uri": request.tracking_uri})
    request = request.model_copy(update={"tracking_uri": None})
    if dry_run:
        from pipeline.commands.dry_run import dry_run_there
        from pipeline.engines.cluster.submission import plan_of

        return dry_run_there(plan_of(request, settings), as_json)
    return start(request, settings, wait, as_json)


@app.command("compile")
@takes_request("run", *WHAT)
def compile_(
    output: Annotated[Path, Option("--output", "-o", metavar="FILE", help="The YAML to write.")],
    request: Request,
) -> int:
    """Write the pipeline as Kubeflow's IR. It has these settings as the defaults of its parameters."""
    import json

    from pipeline.commands.compiling import about_run, check_output, write_pipeline
    from pipeline.definitions.stages import load_pipeline
    from pipeline.request.plan import default_name, make_plan

    check_output(output)
    plan = make_plan(request)
    run = json.dumps(about_run(default_name(plan)))
    write_pipeline(
        load_pipeline(request.definition, workers=plan.recipe.data.workers), {**plan.parameters(), "run": run}, output
    )
    typer.echo(f"{output}: {plan.recipe.name} on {plan.recipe.data.source}, seed {plan.seed}", err=True)
    return 0


app.command()(sample)
app.command()(export)
app.command()(project)
app.command()(explore)
app.command()(evaluate)


@data_app.command("inspect")
def inspect_source(
    source: Annotated[str, Argument(metavar="SOURCE", help="As for `run --data`.", autocompletion=completion.sources)],
    recipe: Annotated[
        str | None,
        Option(
            "--recipe",
            "-r",
            metavar="NAME|PATH",
            help="As this recipe would read it.",
            autocompletion=completion.recipes,
        ),
    ] = None,
    overrides: SetOption = None,
    as_json: JsonOption = False,
) -> int:
    """Say what a source holds. Images, sizes, colour, classes, what cannot be read."""
    from gan_models.data.preparing.inspection import inspect
    from gan_models.recipes import load_recipe
    from pipeline.request.plan import UNLABELLED_DEFAULT

    found = inspect(source, load_recipe(recipe or UNLABELLED_DEFAULT, overrides or ()).completed().data)
    if as_json:
        typer.echo(found.model_dump_json())
        return 0
    for key, value in _lines(found):
        typer.echo(f"{key + ' ':<9}{value}")
    return 0


def _lines(found: Inspection) -> Iterator[tuple[str, str]]:
    from pipeline.request.plan import LABELLED_DEFAULT, UNLABELLED_DEFAULT

    yield "source", found.source
    yield "images", str(found.images)
    yield "classes", _class_text(found.classes)
    if found.domains:
        yield "domains", _class_text(found.domains)
    if found.attributes:
        yield "attributes", _class_text(found.attributes)
    if found.pairs:
        yield "pairs", "yes"
    if found.captions:
        yield "captions", "yes"
    if found.embeddings[1]:
        yield "vectors", "embeddings of {1} numbers, {0} for each image".format(*found.embeddings)
    given = [f"{split} {found.split_counts[split]}" if split in found.split_counts else split for split in found.splits]
    yield "splits", ", ".join(given) or "none given: decided at import"
    yield "channels", found.channels
    yield "sizes", _counts(found.sizes, found.sample)
    yield "modes", _counts(found.modes, found.sample)
    if found.range.found:
        low, high = found.range.found
        yield "values", f"{low:g} to {high:g}; {found.range.used[1]:g} becomes white"
    if found.ignored:
        yield "left out", f"{found.ignored}: {found.left_out[0].path} ({found.left_out[0].reason})"
    for note in found.notes:
        yield "note", note
    for problem in found.problems:
        yield "look at", problem
    yield "recipe", f"{LABELLED_DEFAULT if found.classes else UNLABELLED_DEFAULT}, unless --recipe names another"


def _class_text(classes: list[str]) -> str:
    if not classes:
        return "none: unlabelled"
    rest = f", and {len(classes) - SHOWN_CLASSES} more" if len(classes) > SHOWN_CLASSES else ""
    return f"{len(classes)}: {', '.join(classes[:SHOWN_CLASSES])}{rest}"


def _counts(counts: Mapping[str, int], sample: int) -> str:
    return f"{', '.join(f'{name} ({count})' for name, count in counts.items())} of {sample} looked at"


@app.command()
def version() -> int:
    """Print the version of package, code and plug-ins."""
    from pipeline.versions import version_line

    typer.echo(f"gan-pipeline {version_line()}")
    return 0


app.add_typer(recipes_app, name="recipes")
app.add_typer(data_app, name="data")
