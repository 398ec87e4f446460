"""What a user asks for: the same model whether it is typed, kept by a schedule, compiled or sent to a cluster."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from gan_models.errors import RequestError, unknown_name
from pipeline.definitions.stages import Definition

Command = Literal["run", "retrain"]
MAX_SEED = 2**31 - 1  # KFP carries whole numbers as doubles, torch and numpy as 32 or 64 bits: all agree up to here
RETRAINING = {"model", "webhook_env", "force", "warm_start"}  # fields that only a retraining has


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

    def check(self) -> None:
        """Raises RequestError: what it says of itself cannot be, or contradicts itself."""
        if not 0 <= self.seed <= MAX_SEED:
            raise RequestError(f"--seed {self.seed}: expected a whole number from 0 to {MAX_SEED}")
        for field in self.model_dump(exclude_defaults=True, include=RETRAINING) if self.command == "run" else ():
            raise RequestError(f"{_flag(field)} is for --command retrain: leave it out, or leave --command out")
        check_webhook_env(self.webhook_env)
        if self.pipeline and (self.recipe or self.data or self.overrides or self.seed):
            raise RequestError(
                "--pipeline brings its own recipe, data and seed: leave out --recipe, --data, --set and --seed, "
                "or compile it again with them"
            )

    def recipe_overrides(self) -> list[str]:
        """What it says of the recipe, as `section.key=value`; RequestError for two sources."""
        if self.data is None:
            return list(self.overrides)
        if any(override.partition("=")[0].strip() == "data.source" for override in self.overrides):
            raise RequestError("--data and --set data.source both name a source: give one of them")
        return [*self.overrides, f"data.source={json.dumps(self.data)}"]

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


def check_webhook_env(name: str) -> None:
    """RequestError for what is no name of a variable; an address, which is a secret, is not repeated."""
    if name and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise RequestError(
            f"--webhook-env takes the name of an environment variable that holds the address, not "
            f"{'an address' if '/' in name else repr(name)}"
        )


def _flag(field: str) -> str:
    return "--set" if field == "overrides" else f"--{field.replace('_', '-')}"
