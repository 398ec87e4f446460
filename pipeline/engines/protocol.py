"""Where pipelines run: what an engine can do, and which engines there are.

A package adds one by an entry point that names an object as `Engine` describes it; nothing is changed here:

    [project.entry-points."gan_pipeline.engines"]
    nice = "my_package.nice:ENGINE"
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from components.context import RunContext
from components.stage.failures import Interrupted
from gan_models.errors import RequestError, RunError
from gan_models.plugins import Registry
from pipeline.definitions.stages import Definition
from pipeline.scheduling.schedule import Scheduler
from pipeline.workdir import WorkDirectory


@dataclass(frozen=True)
class Job:
    """One run of a pipeline, watched from here."""

    arguments: Mapping[str, Any]
    """Of the pipeline."""
    workdir: WorkDirectory
    """Where everything is kept; locked by the caller, its events file empty."""
    context: RunContext
    """Given to the stages through their environment."""
    pipeline: Path | None = None
    """The YAML of a compiled pipeline; None: the one that `definition` names."""
    definition: Definition = "training"
    parallel: int = 1
    """How many trials of a sweep run at a time."""
    workers: int = 1
    """Tasks that import the images."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    status: Literal["finished", "failed", "interrupted"]
    exit_code: int = 0
    sentence: str = ""
    """What went wrong, for the user; empty when nothing did."""
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    """The folder of each output of the pipeline."""

    def raise_unless_finished(self) -> None:
        """Turns a bad end into the exception that stands for it."""
        if self.status == "interrupted":
            raise Interrupted(self.sentence)
        if self.status == "failed":
            raise (RequestError if self.exit_code == RequestError.exit_code else RunError)(self.sentence)


Launch = Callable[[Job], Outcome]
"""Runs a pipeline to its end, or until it is told to stop by a signal."""


class Engine(Protocol):
    """A place where pipelines run; inherit from it."""

    here: bool = True
    """Whether it runs on this machine: it sees its files, and leaves its results here."""

    def ready(self, image: str | None) -> Launch:
        """What runs a pipeline, once all is checked that can be before anything is begun.

        Args:
            image: the container image of all stages, where one was named.

        Raises:
            RequestError: it cannot run here, or not in that image.
        """

    def scheduler(self, store: Path, say: Callable[[str], None]) -> Scheduler:
        """What keeps the schedules of its runs.

        Args:
            store: the file of this machine's schedules.
            say: called with a sentence when something takes a while.

        Raises:
            RequestError: it keeps none.
        """
        raise RequestError("this engine keeps no schedules: use --engine local or --engine cluster")


ENGINES: Registry[Engine] = Registry(
    "engine",
    "gan_pipeline.engines",
    {
        "local": "pipeline.engines.local.engine:LOCAL",
        "docker": "pipeline.engines.docker.engine:DOCKER",
        "cluster": "pipeline.engines.cluster.engine:CLUSTER",
    },
)
