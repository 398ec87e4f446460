"""The commands that work on this machine. Each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import RETRAINING, WHAT, WHERE, JsonOption, SetOption, TrackingOption, takes_request

if TYPE_CHECKING:
    from pipeline.request.request import Request

app = typer.Typer()
recipes_app = typer.Typer(help="List the recipes, or explain one.", rich_markup_mode=None)
data_app = typer.Typer(help="Look at image data before training on it.", rich_markup_mode=None)


@app.command()
@takes_request("run", *WHAT, *WHERE, "pipeline", "engine", "image")
def run(request: Request, as_json: JsonOption = False) -> int:
    """Prepare the data, train, select, evaluate and export; the same command again continues or skips what is done."""
    from pipeline.commands.run import run_command

    return run_command(request, as_json)


@app.command()
@takes_request("retrain", *WHAT, *WHERE, *RETRAINING)
def retrain(request: Request, as_json: JsonOption = False) -> int:
    """Train anew if data or recipe changed since the champion; promote the new generator if it is better."""
    from pipeline.commands.run import run_command

    return run_command(request, as_json)


@app.command("compile")
@takes_request("run", *WHAT)
def compile_(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The YAML to write.")],
    request: Request,
) -> int:
    """Write the pipeline as Kubeflow's IR, with these settings as the defaults of its parameters."""
    from pipeline.commands.compile import compile_command

    return compile_command(output, request)


@recipes_app.callback(invoke_without_command=True)
def list_recipes(context: typer.Context) -> int:
    """The recipes as a family tree; `recipes show NAME` explains one."""
    if context.invoked_subcommand is not None:
        return 0
    from pipeline.commands.recipes import list_command

    return list_command()


@recipes_app.command("show")
def show_recipe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A recipe's name or the path of a YAML.")],
    overrides: SetOption = None,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="Print the YAML itself, every default filled in.")] = False,
) -> int:
    """Explain every setting of a recipe: its value, what it means, what it may be."""
    from pipeline.commands.recipes import show_command

    return show_command(name, tuple(overrides or ()), as_yaml)


@data_app.command("inspect")
def inspect(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="As for `run --data`.")],
    as_json: JsonOption = False,
) -> int:
    """Say what a source holds: images, sizes, colour, classes, what cannot be read."""
    from pipeline.commands.data import inspect_command

    return inspect_command(source, as_json)


@app.command()
def sample(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A generator folder, or a run's work directory.")],
    num: Annotated[int, typer.Option("--num", "-n", metavar="N", help="How many images.")] = 64,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="PNG", help="Where the grid goes.")] = Path("grid.png"),
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Decides the latents.")] = 0,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="LIST",
            help="Classes by name or number, as in 3,7; repeated in turn. [default: all, in turn]",
        ),
    ] = None,
    truncation: Annotated[
        float | None,
        typer.Option(
            "--truncation",
            metavar="T",
            help="Draw latents beyond +-T again, as in 0.5: cleaner images, less variety. [default: none]",
        ),
    ] = None,
    given: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="IMAGE|DIR",
            help="Images to translate or colour. [default: those that came with the generator]",
        ),
    ] = None,
    captions: Annotated[
        list[str] | None,
        typer.Option(
            "--caption",
            metavar="TEXT",
            help="What to draw, as in 'a red seven'; several are drawn in turn. "
            "[default: those that came with the generator]",
        ),
    ] = None,
) -> int:
    """Draw a grid of images from a trained generator."""
    from pipeline.commands.sample import sample_command

    return sample_command(folder, num, out, seed, labels, truncation, given, tuple(captions or ()))


@app.command()
def ui(
    port: Annotated[int, typer.Option("--port", "-p", metavar="PORT", min=1, max=65535)] = 5000,
    workdir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Show the store that this run is tracked in.")
    ] = None,
    tracking_uri: TrackingOption = None,
) -> int:
    """Serve the MLflow UI on the store of the runs, until Ctrl-C."""
    from pipeline.commands.tracking import ui_command

    return ui_command(port, workdir, tracking_uri)


@app.command()
def sync(
    workdir: Annotated[Path, typer.Argument(metavar="WORKDIR", help="A run's work directory.")],
    tracking_uri: TrackingOption = None,
) -> int:
    """Send to MLflow what could not be sent while its server was away."""
    from pipeline.commands.tracking import sync_command

    return sync_command(workdir, tracking_uri)


@app.command()
def version() -> int:
    """Print the version of the package and of its code, and the plug-ins."""
    from pipeline.versions import version_line

    typer.echo(f"gan-pipeline {version_line()}")
    return 0


app.add_typer(recipes_app, name="recipes")
app.add_typer(data_app, name="data")
