"""One run of a schedule, in a process of its own: `python -m pipeline.cli.scheduled STORE RUN LOG`.

Takes the run on, which only one process can; does it; writes down how it ended. Nothing else knows that a run has
ended, so a scheduler may come and go meanwhile.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from components.artifacts import Told
from components.context import OCCASION_VARIABLE
from components.processes import parent_mark
from components.redaction import redact
from components.stage.failures import Interrupted
from pipeline.cli import call
from pipeline.request.request import Request
from pipeline.scheduling.store import ScheduleStore
from pipeline.workdir import WorkDirectory


def do_run(arguments: list[str], do: Callable[[Mapping[str, Any]], int]) -> int:
    """0 when the run was done or another process has it, else the exit code of its command.

    Args:
        arguments: the file of the store, the number of the run, the file that its output goes to.
        do: does what a request of a schedule asks for; returns the exit code.
    """
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
        told = bool(claim.request.get("workdir")) and Told.has_been(Path(claim.request["workdir"]), claim.occasion)
        store.end(claim, "failed" if code else "finished", _sentence(claim.request, code, Path(log)), told)
    return code


def _sentence(request: Mapping[str, Any], code: int, log: Path) -> str:
    """What the run decided, or why it failed: the last thing it said."""
    if not code:
        record = WorkDirectory(Path(request["workdir"])).record() if request.get("workdir") else None
        return record.sentence if record else ""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [f"exit code {code}"]
    return redact(lines[-1].removeprefix("gan-pipeline: "))


if __name__ == "__main__":
    os._exit(do_run(sys.argv[1:], lambda kept: call(Request.parse(kept).command_line())))
