"""The `gan-pipeline` command: what can be asked, with which options, and what comes of it.

Only typer is imported here; each command imports what it needs when it is called, so that `--help` answers at once.
A wrong request ends in one sentence on standard error and exit code 2, a failed run in one and exit code 1, an
interrupted one in 3.
"""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import typer

from pipeline.cli import cluster, comparing, here, models, schedules, sweeps, tracking

app = typer.Typer(
    name="gan-pipeline",
    help="Images in, a judged and tracked GAN generator out.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# The base of typer's complaints about a command line, found without naming the copy of click it may carry.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]

app.add_typer(here.app)
app.add_typer(sweeps.app)
app.add_typer(tracking.app)
app.add_typer(comparing.app)
app.add_typer(cluster.app)
app.add_typer(schedules.app)
app.add_typer(models.app)

app.callback()(here.about)


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
    return answer(lambda: app(arguments or ["--help"], prog_name="gan-pipeline", standalone_mode=False), arguments)


def answer(do: Callable[[], object], arguments: Sequence[str] = ()) -> int:
    """The exit code that stands for how `do` ends; what it raises is a sentence as of the command of `arguments`."""
    from gan_models.errors import RequestError, RunError

    try:
        code = do()
    except (RequestError, RunError) as error:
        return _say(str(error), error.exit_code)
    except _USAGE_ERROR as error:
        message = getattr(error, "format_message", error.__str__)()
        return _say(f"{message.rstrip('.')} (see `gan-pipeline {_command_of(arguments)}--help`)", 2)
    except typer.Exit as exit_:
        return int(exit_.exit_code)
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


def _command_of(arguments: Sequence[str]) -> str:
    """The part of a command line that names a command, with a space behind it, for a hint at its `--help`."""
    words: list[str] = []
    command: object = typer.main.get_command(app)
    for word in arguments:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            break
        words.append(word)
    return "".join(f"{word} " for word in words)


def _unforeseen(error: Exception) -> int:
    """An error nobody thought of: a sentence as for any other, and the traceback in a file for who mends it."""
    import tempfile
    import traceback

    from components.stage.failures import failure_of

    with tempfile.NamedTemporaryFile(
        "w", prefix="gan-pipeline-", suffix=".log", delete=False, encoding="utf-8"
    ) as file:
        file.write("".join(traceback.format_exception(error)))
    failure = failure_of(error, Path(file.name))
    return _say(failure.sentence, failure.exit_code)
