"""What a user asks for: the same model whether it is typed, kept by a schedule, compiled or sent to a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from gan_models.errors import RequestError, unknown_name
from pipeline.definitions.stages import Definition

Command = Literal["run", "retrain"]


@dataclass(frozen=True)
class Option:
    """What the command line knows of a field."""

    flag: str = ""
    """Default: from the field's name."""
    only: Command | None = None
    """The command that takes it; None: both."""


_RETRAINS = Option(only="retrain")


class Request(BaseModel):
    """A training, or a retraining. Each field is an option of the command line (`flag_of`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: Command = "run"
    recipe: str | None = None
    """A built-in name or the path of a YAML; None: by whether the source has labels."""
    data: str | None = None
    """The source, instead of the recipe's `data.source`."""
    workdir: Path | None = None
    tracking_uri: str | None = None
    name: str | None = None
    """How the run is called."""
    model: Annotated[str | None, _RETRAINS] = None
    """The registered model whose champion is challenged; None: by recipe and data."""
    webhook_env: Annotated[str, _RETRAINS] = ""
    """Name of the environment variable with the address to tell how it ended."""
    force: Annotated[bool, _RETRAINS] = False
    warm_start: Annotated[bool, _RETRAINS] = False
    overrides: Annotated[tuple[str, ...], Option("--set")] = ()
    """`section.key=value`."""
    seed: int = 0
    pipeline: Path | None = None
    """A compiled file that brings its own recipe, data and seed."""
    engine: str = "local"
    """What the stages run in."""
    image: str | None = None
    """The engine's, for all stages."""

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
        """The pipeline that is meant."""
        return "training" if self.command == "run" else "retraining"

    def document(self) -> dict[str, JsonValue]:
        """As a schedule keeps it: what is not as by default. `parse` brings it back."""
        return {"command": self.command, **self.model_dump(mode="json", exclude_defaults=True)}

    def misplaced(self) -> Iterator[str]:
        """Flags that were given and that the command does not take."""
        for name in self.model_dump(exclude_defaults=True):
            if _option(name).only not in (None, self.command):
                yield flag_of(name)


def flag_of(field: str) -> str:
    """The option that a field is given by.

    >>> flag_of("warm_start"), flag_of("overrides")
    ('--warm-start', '--set')
    """
    return _option(field).flag or f"--{field.replace('_', '-')}"


def _option(field: str) -> Option:
    return next((each for each in Request.model_fields[field].metadata if isinstance(each, Option)), Option())
