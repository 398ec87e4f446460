"""What the lead of several training processes says, passed on to the stage that started them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from components.stage.progress import Event, EventReader
from gan_models.errors import RequestError, RunError

if TYPE_CHECKING:
    from gan_models.training.loop import Outcome, Reporter


class Lead:
    """The lead, as the file shows it that `components.train_gan.rank` writes."""

    def __init__(self, said: Path, reporter: Reporter) -> None:
        self.word: Event | None = None
        """On how the training ended; None until it is said."""
        self._reader = EventReader(said)
        self._reporter = reporter

    def listen(self) -> Event | None:
        """Passes on what was said since the last call; returns `word`."""
        for event in self._reader.read():
            if event["kind"] == "progress":
                self._reporter.progress(event["step"], event["figures"])
            elif event["kind"] == "tick":
                self._reporter.tick(event["step"], event["metrics"], Path(event["grid"]))
            elif event["kind"] == "note":
                self._reporter.note(event["text"])
            else:
                self.word = event
        return self.word


def outcome_of(word: Event) -> Outcome:
    """What the lead's last word means.

    Raises:
        RequestError, RunError, Stopped: as a training in one process.
    """
    from gan_models.training.loop import Outcome, Stopped

    if word["kind"] == "stopped":
        raise Stopped(word["step"])
    if word["kind"] == "error":
        raise (RequestError if word["exit_code"] == RequestError.exit_code else RunError)(word["sentence"])
    fields = word["outcome"]
    return Outcome(**{**fields, "unhealthy_steps": tuple(fields["unhealthy_steps"])})
