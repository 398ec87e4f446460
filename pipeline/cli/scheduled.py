"""One run of a schedule, in a process of its own: `python -m pipeline.cli.scheduled STORE RUN LOG`.

Takes the run on, which only one process can; does it; writes down how it ended. Nothing else knows that a run has
ended, so a scheduler may come and go meanwhile.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

from components.artifacts import Told
from components.context import OCCASION_VARIABLE
from components.processes import parent_mark
from components.redaction import redact
from components.stage.failures import Interrupted
from gan_models.errors import RunError
from pipeline.cli import answer, call
from pipeline.engines.protocol import ENGINES
from pipeline.request.request import Request
from pipeline.scheduling.store import Claim, ScheduleStore
from pipeline.workdir import WorkDirectory


def do_run(arguments: list[str], do: Callable[[Claim], int]) -> int:
    """0 when the run was done or another process has it, else the exit code of its command.

    Args:
        arguments: the file of the store, the number of the run, the file that its output goes to.
        do: does what the request of a schedule's run asks for; returns the exit code.
    """
    path, number, log = arguments
    store = ScheduleStore(Path(path))
    claim = store.begin(int(number), parent_mark())
    if claim is None:
        return 0
    os.environ[OCCASION_VARIABLE] = claim.occasion
    code = do(claim)
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
    if not code and request.get("workdir"):
        record = WorkDirectory(Path(request["workdir"])).record()
        return record.sentence if record else ""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [f"exit code {code}"]
    return redact(lines[-1].removeprefix("gan-pipeline: "))


def _do(claim: Claim) -> int:
    request = Request.parse(claim.request)
    if ENGINES.find(request.engine, "--engine").here:
        return call(request.command_line())
    # Whoever stops this process ends the waiting: the run goes on, and the next attempt finds it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return answer(lambda: _on_cluster(claim, request))


def _on_cluster(claim: Claim, request: Request) -> None:
    """Waits for the run of that due time on the cluster of this folder's gan-pipeline.toml; RunError: it failed."""
    from pipeline.cli.cluster import start_once
    from pipeline.engines.cluster.settings import read_settings

    name = f"{claim.schedule} {claim.due.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    run = start_once(request, read_settings({}), name, again=claim.attempts > 1)
    if run.state != "SUCCEEDED":
        why = f": {run.error}" if run.error else ""
        raise RunError(f"{run.name}: {run.state.lower()}{why}; see `gan-pipeline runs logs {run.id}`")


if __name__ == "__main__":
    os._exit(do_run(sys.argv[1:], _do))
