"""Stages as processes of this machine, seen from the process that holds kfp and from outside."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import psutil

if TYPE_CHECKING:
    from kfp.local.config import LocalRunnerType

POLL_SECONDS = 0.1
BETWEEN_STAGES_SECONDS = 1.0  # there may be no stage for so long without the pipeline being over


class Stages(Protocol):
    """How kfp is to run stages; made in the process that holds it, from options that went there as JSON."""

    def __init__(self, options: Mapping[str, Any]) -> None: ...

    def runner(self) -> LocalRunnerType:
        """Prepares kfp, and says which of its runners it is to use."""

    def stop(self) -> None:
        """The running stage is to save and end, and no other is to begin. Safe in a signal handler."""


class StageProcesses:
    """The `Stages` of the local engine."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._stopping = False
        threading.Thread(target=self._stop_when_told, daemon=True).start()

    def runner(self) -> LocalRunnerType:
        from kfp import local

        return local.SubprocessRunner(use_venv=False)

    def stop(self) -> None:
        self._stopping = True

    def _stop_when_told(self) -> None:
        """A stage that stops ends the pipeline and with it this process; between two stages it is ended here."""
        told: set[int] = set()
        seen = time.monotonic()
        while not self._stopping or time.monotonic() - seen < BETWEEN_STAGES_SECONDS:
            time.sleep(POLL_SECONDS)
            stages = stage_processes(psutil.Process()) if self._stopping else []
            if stages or not self._stopping:
                seen = time.monotonic()
            for process in stages:
                if process.pid not in told:
                    told.add(process.pid)
                    process.terminate()
        os._exit(1)


def stage_processes(root: psutil.Process) -> list[psutil.Process]:
    """The Python processes of running stages under `root`, without the shells that kfp wraps around them."""
    found = []
    for process in root.children(recursive=True):
        try:
            if is_stage(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def is_stage(command: list[str]) -> bool:
    """Whether a command line is that of a stage's own process: `python -m kfp.dsl.executor_main ...`."""
    return command[1:3] == ["-m", "kfp.dsl.executor_main"]
