"""What a user asks for: the same model whether it is typed, kept by a schedule, compiled or sent to a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from gan_models.errors import RequestError, unknown_name
from pipeline.definitions.stages import Definition

Command = Literal["run", "retrain"]
RETRAINING = {"model", "webhook_env", "force", "warm_start"}
"""Fields that only a retraining has."""


class Request(BaseModel):
    """A training, or a retraining. Each field is an option of the command line, where its meaning is told.

    None: not said; the plan decides.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: Command = "run"
    recipe: str | None = None
    data: str | None = None
    workdir: Path | None = None
    tracking_uri: str | None = None
    name: str | None = None
    model: str | None = None
    webhook_env: str = ""
    force: bool = False
    warm_start: bool = False
    overrides: tuple[str, ...] = ()
    seed: int = 0
    pipeline: Path | None = None
    engine: str = "local"
    image: str | None = None

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Request:
        """Raises RequestError: an unknown key, with the nearest right one, or a value that cannot be."""
        for key in fields:
            if key not in cls.model_fields:
                raise unknown_name("argument of a training", key, cls.model_fields)
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise RequestError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    @property
    def definition(self) -> Definition:
        return "training" if self.command == "run" else "retraining"

    def document(self) -> dict[str, JsonValue]:
        """As a schedule keeps it: what is not as by default. `parse` brings it back."""
        return {"command": self.command, **self.model_dump(mode="json", exclude_defaults=True)}

    def misplaced(self) -> list[str]:
        """Flags that were given and that the command does not take."""
        if self.command == "retrain":
            return []
        return [_flag(name) for name in self.model_dump(exclude_defaults=True, include=RETRAINING)]

    def command_line(self) -> list[str]:
        """The words that ask for it; the seed is always said.

        >>> Request(data="digits", overrides=("training.steps=5",), seed=3).command_line()
        ['run', '--seed', '3', '--data', 'digits', '--set', 'training.steps=5']
        """
        words = [self.command, "--seed", str(self.seed)]
        for field, value in self.model_dump(mode="json", exclude_defaults=True, exclude={"command", "seed"}).items():
            for each in value if isinstance(value, list) else [value]:
                words += [_flag(field)] if each is True else [_flag(field), str(each)]
        return words


def _flag(field: str) -> str:
    return "--set" if field == "overrides" else f"--{field.replace('_', '-')}"
