"""One run of a schedule, in a process of its own: `python -m pipeline.scheduling.run STORE RUN LOG`.

Takes the run on, which only one process can; does it; writes down how it ended. Nothing else knows that a run has
ended, so a scheduler may come and go meanwhile.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from components.processes import parent_mark
from components.redaction import redact
from components.stage.failures import Interrupted
from pipeline.scheduling.store import ScheduleStore
from pipeline.workdir import OCCASION_VARIABLE, WorkDirectory

_FLAGS = {
    "recipe": "--recipe",
    "data": "--data",
    "workdir": "--workdir",
    "tracking_uri": "--tracking-uri",
    "name": "--name",
    "model": "--model",
    "webhook_env": "--webhook-env",
}
_SWITCHES = {"force": "--force", "warm_start": "--warm-start"}


def command_of(request: Mapping[str, Any]) -> list[str]:
    """The command line that a schedule's request stands for.

    >>> command_of({"command": "run", "data": "digits", "overrides": ["training.steps=5"], "seed": 3})
    ['run', '--seed', '3', '--data', 'digits', '--set', 'training.steps=5']
    """
    words = [str(request["command"]), "--seed", str(request.get("seed", 0))]
    for key, flag in _FLAGS.items():
        if request.get(key):
            words += [flag, str(request[key])]
    words += [flag for key, flag in _SWITCHES.items() if request.get(key)]
    for override in request.get("overrides", ()):
        words += ["--set", str(override)]
    return words


def perform(request: Mapping[str, Any]) -> int:
    """Does what was asked for; the exit code of the command."""
    from pipeline.cli import call

    return call(command_of(request))


def main(arguments: list[str], do: Callable[[Mapping[str, Any]], int] = perform) -> int:
    """0 when the run was done or another process has it, else the exit code of its command."""
    path, number, log = arguments
    store = ScheduleStore(Path(path))
    claim = store.begin(int(number), parent_mark())
    if claim is None:
        return 0
    os.environ[OCCASION_VARIABLE] = claim.occasion
    code = do(claim.request)
    sys.stdout.flush()
    sys.stderr.flush()
    if code == Interrupted.exit_code:
        store.give_back(claim, "interrupted")
    else:
        store.end(claim, "failed" if code else "finished", _sentence(claim.request, code, Path(log)))
    return code


def _sentence(request: Mapping[str, Any], code: int, log: Path) -> str:
    """What the run decided, or why it failed: the last thing it said."""
    if not code:
        record = WorkDirectory(Path(request["workdir"])).record() if request.get("workdir") else None
        return record.sentence if record else ""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [f"exit code {code}"]
    return redact(lines[-1].removeprefix("gan-pipeline: "))


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
