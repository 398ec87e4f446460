"""What a stage is asked for, and how a KFP component hands that over: folders by their paths, settings as JSON."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any, get_origin

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from components.stage.stage import run_component
from components.stage.trials import failure_before, hand_on


class StageRequest(BaseModel):
    """Base of each stage's `Request`; a field that is a model or a mapping is taken as JSON, too."""

    model_config = ConfigDict(frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _parse(cls, value: Any, info: ValidationInfo) -> Any:
        kind = cls.model_fields[info.field_name or ""].annotation
        structured = get_origin(kind) is dict or (isinstance(kind, type) and issubclass(kind, BaseModel))
        return json.loads(value) if isinstance(value, str) and structured else value


def run_step(step: ModuleType, run: str, **asked: Any) -> Any:
    """The body of a KFP component: `run_component` for a stage's module `step`, which has a `Request` and a `run`.

    Args:
        run: the pipeline's parameter of this name.
        asked: the fields of the request.
    """
    name = step.__name__.rpartition(".")[0].rpartition(".")[2]
    output = Path(asked["output"]) if "output" in asked else None
    if output and (failure := failure_before(asked)):
        hand_on(failure, output)
    return run_component(name, lambda stage: step.run(step.Request(**asked), stage), run, output)
