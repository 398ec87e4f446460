"""A trial of a sweep may fail without failing the sweep: its stages hand the failure on in place of their output.

A stage that fails ends well for the engine and leaves `failure.json` in its output folder; the trial's later stages do
nothing but pass it on, until the stage that ranks the trials lists it. What is no fault of the trial's settings stays a
failure of the pipeline: a stop that was asked for, a lease that was lost, a disk that is full.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from components.artifacts import StageFailure
from components.context import RunContext
from components.lease import LeaseLostError
from components.stage.failures import Interrupted, is_full_disk
from gan_models.atomic import write_text
from gan_models.errors import LostError, RunError

EXECUTOR_INPUT = "--executor_input"  # where KFP tells a stage's process about its outputs


def is_of_trial(error: BaseException, context: RunContext | None) -> bool:
    """Whether an error is the failure of a trial alone."""
    elsewhere = Interrupted, KeyboardInterrupt, SystemExit, LeaseLostError, LostError, OSError
    spared = not isinstance(error, elsewhere) and not is_full_disk(error)
    return spared and context is not None and context.trial is not None


def failure_before(asked: Mapping[str, Any]) -> StageFailure | None:
    """What an earlier stage of the trial left in place of what this one is asked to work on; None: nothing failed."""
    for place in asked.values():
        if isinstance(place, str) and (failure := failure_in(Path(place))):
            return failure
    return None


def failure_in(folder: Path) -> StageFailure | None:
    """What stands in place of a stage's output there; None where it is that output."""
    try:
        return StageFailure.read(folder) if folder.is_absolute() and (folder / StageFailure.FILE).is_file() else None
    except (RunError, OSError, ValueError):  # other text than a path, or a folder that cannot be read
        return None


def hand_on(failure: StageFailure, output: Path) -> NoReturn:
    """Ends the process of a stage as one that has done its work, with the failure in place of its output."""
    output.mkdir(parents=True, exist_ok=True)
    failure.write(output)
    # KFP writes this file when a stage's function returns; what comes after the work in there needs a result.
    for place, word in enumerate(sys.argv[:-1]):
        if word == EXECUTOR_INPUT:
            outputs = json.loads(sys.argv[place + 1])["outputs"]
            write_text(Path(outputs["outputFile"]), json.dumps({"artifacts": outputs.get("artifacts", {})}))
    raise SystemExit(0)
