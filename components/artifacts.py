"""How a retraining ended, in a file of the work directory that its last stages and the command line read."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from components.context import RunContext
from gan_models.atomic import write_text

OUTCOME_FILE = "retraining.json"


class Outcome(BaseModel):
    """What was decided, and why."""

    run_id: str
    decision: Literal["unchanged", "promoted", "kept"]
    sentence: str
    model: str
    version: str = ""
    """The challenger; empty where none was trained."""
    champion: str = ""
    """The version that holds the alias now; empty: none."""
    figures: dict[str, float] = {}
    artifacts: dict[str, Path] = {}
    """Folders of the stages' outputs, by the names of the training pipeline's outputs."""


def write_outcome(context: RunContext, outcome: Outcome) -> None:
    """Keeps it for the run of `context`."""
    folder = Path(context.state_dir)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / OUTCOME_FILE, outcome.model_dump_json(indent=1) + "\n")


def read_outcome(context: RunContext) -> Outcome | None:
    """The outcome of this very run; None where it has none (yet)."""
    try:
        text = (Path(context.state_dir) / OUTCOME_FILE).read_text(encoding="utf-8")
        outcome = Outcome.model_validate_json(text)
    except (OSError, ValidationError):
        return None
    return outcome if outcome.run_id == context.run_id else None


def clear_outcome(context: RunContext) -> None:
    """Before a run, so that what an earlier attempt decided is not taken for what this one does."""
    (Path(context.state_dir) / OUTCOME_FILE).unlink(missing_ok=True)
