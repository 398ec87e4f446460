"""What a tracker is: the place that a run's journals are sent to, chosen by the scheme of the tracking address.

A package adds one for its own scheme by an entry point of the group `gan_pipeline.trackers`. MLflow is ours, and
everything that is particular to it lies in `components.tracking.mlflow`; nothing here imports it.
"""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from components.context import RunContext
from components.redaction import redact
from components.tracking.champions import GENERATOR_FOLDER, Champions
from components.tracking.journal import Entry, link_or_copy
from components.tracking.sqlite_address import sqlite_uri
from gan_models.errors import RequestError
from gan_models.plugins import Registry

Answer = Literal["reachable", "away"]
ANSWER_SECONDS = 5.0


class Trouble(Enum):
    """What an error of a tracking store calls for."""

    AWAY = "away"  # try again later, as often as it takes
    REFUSED = "refused"  # nobody but the user can change that: say so, try again seldom
    MISSING = "missing"  # what was found before is gone: look it up anew
    REJECTED = "rejected"  # this very entry is impossible
    ODD = "odd"  # unforeseen: try again some times


class Sender(ABC):
    """Sends the entries of one pipeline run; it connects when it first sends."""

    def __init__(self, context: RunContext) -> None:
        self.context = context

    @abstractmethod
    def send(self, stage: str, spool: Path, entries: Sequence[Entry], verify: bool) -> None:
        """Send entries of a stage's journal: any number of kinds in `journal.BATCHED`, or a single other.

        Args:
            spool: where the files lie that entries name in `file`; one that is missing has been sent before.
            verify: they may have been sent before; leave out what the store has.
        """

    def reset(self) -> None:  # noqa: B027  (most have nothing to forget)
        """Look everything up anew: the store was away, or lost what had been found."""

    def trouble_of(self, error: Exception) -> Trouble:
        """What `error`, raised by `send`, calls for."""
        return Trouble.AWAY if isinstance(error, OSError) else Trouble.ODD

    def sentence_of(self, error: Exception) -> str:
        """One line about it for the user, without credentials."""
        uri = redact(self.context.tracking_uri)
        return f"{uri} did not take an entry ({redact(' '.join(str(error).split()))[:300]})"


class TrackedRun(BaseModel):
    """A run of a whole pipeline, as a tracker has it."""

    tracker_id: str  # the tracker's id
    run_id: str  # ours
    name: str
    experiment: str
    status: str
    started: datetime
    settings: dict[str, str]  # the recipe's leaves and the seed
    figures: dict[str, float]  # by key


class Tracker(ABC):
    """A kind of tracking store. Its module is imported when an address is checked, so what is slow is imported late."""

    name: str  # what people call it, as in "entries wait to be sent to MLflow"
    keeps_models = False  # whether it has a registry of models: `champions` is overridden. A retraining needs one.

    def check(self, uri: str, seconds: float = ANSWER_SECONDS) -> Answer:
        """Whether the store at `uri` takes what it is sent, found out with one request at most.

        Returns:
            "reachable", or "away" when nothing answers there at present: what is logged waits on disk until it does.

        Raises:
            RequestError: it answers and refuses, or the address cannot be right.
        """
        return "reachable"

    def absolute(self, uri: str) -> str:
        """The address as it means the same to every process, whatever directory that is in."""
        return uri

    def check_exists(self, uri: str) -> None:  # noqa: B027  (a server is there when it answers)
        """Raises RequestError where nothing has been tracked at `uri` yet, and reading would have to make it first."""

    @abstractmethod
    def sender(self, context: RunContext) -> Sender:
        """For the run of `context`."""

    def pack_generator(self, generator: Path, target: Path) -> None:
        """Writes what is sent of a generator folder into the folder `target`, in the stage; default: its files."""
        shutil.copytree(generator, target / GENERATOR_FOLDER, copy_function=link_or_copy)

    def ui_server(self, uri: str, host: str, port: int) -> tuple[list[str], dict[str, str]]:
        """The command that serves a page of what is tracked at `uri`, with the variables it needs (logins are there).

        RequestError where there is no such page.
        """
        raise RequestError(f"{self.name} has no page of its own to look at: read {redact(uri)}")

    def page(self, uri: str, run_id: str = "") -> str:
        """Where the page of a pipeline run is, from the address of the server on; of the newest, where none is named.

        "" where there is none.
        """
        return ""

    def runs(self, uri: str, experiment: str = "") -> list[TrackedRun]:
        """All runs of pipelines at `uri`, or of one experiment, newest first; RequestError: no such experiment."""
        raise RequestError(f"{self.name} at {redact(uri)} cannot be asked for its runs: name work directories")

    def fetch(self, uri: str, run: TrackedRun, file: str, folder: Path) -> Path | None:
        """A file of the page of a run that `runs` gave, copied into `folder`; None where there is none such.

        RunError where the store does not give it out.
        """
        return None

    def champions(self, uri: str) -> Champions:
        """The registry of models of the store at `uri`; RequestError where it keeps none."""
        raise self.without_models(uri)

    def without_models(self, uri: str) -> RequestError:
        """What to tell somebody who needs them."""
        return RequestError(
            f"{self.name} at {redact(uri)} keeps no registry of models, where the champion of a retraining is kept: "
            "give --tracking-uri an MLflow store"
        )


_MLFLOW = "components.tracking.mlflow.tracker:MLFLOW"
# By the scheme of the address.
TRACKERS: Registry[Tracker] = Registry(
    "tracking address scheme",
    "gan_pipeline.trackers",
    dict.fromkeys(("http", "https", "sqlite", "postgresql", "mysql", "mssql"), _MLFLOW),
)


def tracker_of(uri: str) -> Tracker:
    """The tracker of an address; RequestError where there is none for it."""
    scheme = uri.split(":", 1)[0].split("+", 1)[0].lower() if ":" in uri else ""
    if scheme in ("file", "") or len(scheme) == 1:  # a bare path, or C:\...: what MLflow used to write to
        scheme = "sqlite"
    return TRACKERS.find(scheme)


def default_address(folder: Path) -> str:
    """Of the store that the runs in a folder share when nobody names another: MLflow's, in a file."""
    return sqlite_uri(folder / "mlflow.db")


def champions_of(uri: str) -> Champions:
    """The registry that keeps the champion; RunError where the store does not answer.

    RequestError where nothing is tracked, or the tracker keeps no models.
    """
    if not uri:
        raise RequestError("a retraining needs MLflow, which keeps the champion: give --tracking-uri")
    return tracker_of(uri).champions(uri)


def no_answer(uri: str) -> str:
    """How a sentence begins about a store that is away."""
    return f"no tracking server answers at {redact(uri)}"


def check_tracking(uri: str, with_models: bool = False) -> Answer:
    """As `Tracker.check`; RequestError, too, where models are needed and the tracker keeps none."""
    tracker = tracker_of(uri)
    if with_models and not tracker.keeps_models:
        raise tracker.without_models(uri)
    return tracker.check(uri)
