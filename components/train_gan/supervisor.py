"""Starts a training again that was lost: a process that was killed, one that lost another, an error of CUDA or NCCL.

Kubeflow 2.17 starts a pod again that was deleted or evicted, and not one that ended with an exit code. So that is done
here, inside the pod, from the last checkpoint, with the same number of processes: the result is the same bit for bit.
A container that is killed whole for memory takes this along; then the retry policy of the deployment decides.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from components.stage.failures import Interrupted
from gan_models.errors import LostError

if TYPE_CHECKING:
    from gan_models.training.loop import Outcome, Reporter

RESTARTS_VARIABLE = "GAN_PIPELINE_RESTARTS"
WAIT_SECONDS, LONGEST_WAIT_SECONDS = 5.0, 300.0
POLL_SECONDS = 0.25


def restarts_allowed() -> int:
    """In a row without a new checkpoint, as the environment says; 0: a training that is lost ends the stage."""
    return int(os.environ.get(RESTARTS_VARIABLE) or 0)


def keep_training(train: Callable[[], Outcome], checkpoints: Path, restarts: int, reporter: Reporter) -> Outcome:
    """Calls `train` until it ends by itself: well, refused, diverged or stopped.

    Args:
        train: goes on from the newest checkpoint; raises LostError where it could not help ending.
        checkpoints: the folder where it keeps them.
        restarts: how many in a row without a new checkpoint.

    Raises:
        LostError: the restarts are used up, or a stop was asked for.
        Interrupted: a stop was asked for between two of them.
    """
    in_vain, before = 0, _newest(checkpoints)
    while True:
        try:
            return train()
        except LostError as error:
            reached = _newest(checkpoints)
            in_vain = in_vain + 1 if reached == before else 1
            before = reached
            if in_vain > restarts or reporter.stop_requested():
                raise
            reporter.note(f"{error}; started again from {reached or 'the beginning'} ({in_vain} of {restarts})")
        _wait(min(WAIT_SECONDS * 2 ** (in_vain - 1), LONGEST_WAIT_SECONDS), reporter)


def _newest(checkpoints: Path) -> str:
    """The name of the newest; "" where there is none."""
    return max((path.name for path in checkpoints.glob("step-*")), default="")


def _wait(seconds: float, reporter: Reporter) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if reporter.stop_requested():
            raise Interrupted
        time.sleep(POLL_SECONDS)
