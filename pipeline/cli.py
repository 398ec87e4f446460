"""The `gan-pipeline` command: what can be asked, with which options.

Only typer is imported here; each command imports what it needs when it is called, so that `--help` answers at once.
A wrong request ends in one sentence on standard error and exit code 2, a failed run in one and exit code 1, an
interrupted one in 3.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer

app = typer.Typer(
    name="gan-pipeline",
    help="Images in, a judged and tracked GAN generator out.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
recipes_app = typer.Typer(help="List the recipes, or explain one.", rich_markup_mode=None)
data_app = typer.Typer(help="Look at image data before training on it.", rich_markup_mode=None)

# The base of typer's complaints about a command line, found without naming the copy of click it may carry.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]

RecipeOption = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        "-r",
        metavar="NAME|PATH",
        help="A recipe's name (see `recipes`) or YAML file. "
        "[default: cgan-projection where the data has labels, else dcgan]",
        show_default=False,
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        "-d",
        metavar="SOURCE",
        help="mnist-5k, digits, torchvision:<Class>, toy:<name>, folder:<path>, parquet:<path> or npz:<path>. "
        "[default: mnist-5k]",
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override any leaf of the recipe, as in training.steps=500."),
]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", help="Decides weights, image order and samples.")]
TrackingOption = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        metavar="URI",
        help="The MLflow store. [default: MLFLOW_TRACKING_URI, else a SQLite file beside the runs]",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="End standard output with one line of JSON.")]


@app.command()
def run(
    recipe: RecipeOption = None,
    data: DataOption = None,
    overrides: SetOption = None,
    seed: SeedOption = 0,
    workdir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where everything is kept. [default: runs/<name>]", show_default=False),
    ] = None,
    tracking_uri: TrackingOption = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="How the run is called in MLflow. [default: from the settings]"),
    ] = None,
    pipeline: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Run a compiled pipeline with the settings baked into it."),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Prepare the data, train, select, evaluate and export; the same command again continues or skips what is done."""
    from pipeline.commands.run import RunRequest, run_command

    return run_command(
        RunRequest(recipe, data, tuple(overrides or ()), seed, workdir, tracking_uri, name, pipeline, as_json)
    )


@app.command("compile")
def compile_(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The YAML to write.")],
    recipe: RecipeOption = None,
    data: DataOption = None,
    overrides: SetOption = None,
    seed: SeedOption = 0,
) -> int:
    """Write the pipeline as Kubeflow's IR, with these settings as the defaults of its parameters."""
    from pipeline.commands.compile import compile_command

    return compile_command(output, recipe, data, tuple(overrides or ()), seed)


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
            show_default=False,
        ),
    ] = None,
    truncation: Annotated[
        float | None,
        typer.Option(
            "--truncation",
            metavar="T",
            help="Draw latents beyond +-T again, as in 0.5: cleaner images, less variety. [default: none]",
            show_default=False,
        ),
    ] = None,
    given: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="IMAGE|DIR",
            help="Images to translate or colour. [default: those that came with the generator]",
            show_default=False,
        ),
    ] = None,
    captions: Annotated[
        list[str] | None,
        typer.Option(
            "--caption",
            metavar="TEXT",
            help="What to draw, as in 'a red seven'; several are drawn in turn. "
            "[default: those that came with the generator]",
            show_default=False,
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
    """Print the version of the package and of its code."""
    from pipeline.versions import code_version

    typer.echo(f"gan-pipeline {code_version()}")
    return 0


app.add_typer(recipes_app, name="recipes")
app.add_typer(data_app, name="data")


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point of the console script: ends the process with the command's exit code."""
    code = call(sys.argv[1:] if arguments is None else arguments)
    with suppress(OSError, ValueError):  # the reader of our output has left, as in `| head`
        sys.stdout.flush()
        sys.stderr.flush()
    # All is closed and written by now; taking torch and mlflow down in good order would cost seconds for nothing.
    os._exit(code)


def call(arguments: list[str]) -> int:
    """Runs one command line and returns its exit code; whatever went wrong is one sentence on standard error."""
    from gan_models.errors import RequestError, RunError

    try:
        code = app(arguments or ["--help"], prog_name="gan-pipeline", standalone_mode=False)
    except (RequestError, RunError) as error:
        return _say(str(error), error.exit_code)
    except _USAGE_ERROR as error:
        message = getattr(error, "format_message", error.__str__)()
        return _say(f"{message.rstrip('.')} (see `gan-pipeline {_command_of(arguments)}--help`)", 2)
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted", 3)
    except BrokenPipeError:
        return 0
    except Exception as error:
        return _unforeseen(error)
    return code if isinstance(code, int) else 0


def _say(sentence: str, code: int) -> int:
    typer.echo(f"gan-pipeline: {' '.join(sentence.split())}", err=True)
    return code


def _command_of(arguments: list[str]) -> str:
    """The part of a command line that names a command, with a space behind it, for a hint at its `--help`."""
    groups = {
        group.name: group.typer_instance.registered_commands for group in app.registered_groups if group.typer_instance
    }
    known = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    words = arguments[:1] if arguments and arguments[0] in known | set(groups) else []
    if words and any(arguments[1:2] == [command.name] for command in groups.get(words[0]) or ()):
        words = arguments[:2]
    return "".join(f"{word} " for word in words)


def _unforeseen(error: Exception) -> int:
    """An error nobody thought of: a sentence as for any other, and the traceback in a file for who mends it."""
    import tempfile
    import traceback

    from components.shared.failures import failure_of

    with tempfile.NamedTemporaryFile(
        "w", prefix="gan-pipeline-", suffix=".log", delete=False, encoding="utf-8"
    ) as file:
        file.write("".join(traceback.format_exception(error)))
    failure = failure_of(error, Path(file.name))
    return _say(failure.sentence, failure.exit_code)
