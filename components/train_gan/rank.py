"""Trains in several processes of this machine: torchrun starts each as `python -m components.train_gan.rank JOB SAID`.

JOB is a file with a `Job` as JSON. The lead writes to SAID, a line of JSON each, what the stage needs to hear (`Lead`
passes it on there), and how it ended; the others say nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from components.lease import Fence
from components.processes import parent_mark
from components.scratch import scratch_folder
from components.stage.failures import failure_of
from components.stage.progress import Event, EventLog, EventReader
from components.stage.stopping import PARENT_VARIABLE, StopSignal, stop_on_signals, watch_parent
from gan_models.atomic import guarded
from gan_models.errors import LostError, RequestError, RunError

if TYPE_CHECKING:
    import torch

    from gan_models.training.loop import Outcome, Reporter

POLL_SECONDS = 0.1
HEARD_SECONDS = 10.0  # within which all processes of a training that is stopped are told


class Job(BaseModel):
    """What to train, on what, and where its state is kept."""

    recipe: dict[str, Any]
    dataset: Path
    folder: Path
    seed: int
    start: Path | None = None  # a generator folder whose weights to begin with
    fence: Fence | None = None  # of whoever lets it train: a process of its own asks before it writes
    keep_discriminator: bool = False

    def train(self, device: torch.device, reporter: Reporter) -> Outcome:
        """In this process, or as one of the processes that have joined (`gan_models.ranks`)."""
        from gan_models.data.table import ImageTable
        from gan_models.recipes.loading import parse_recipe
        from gan_models.training.loop import train
        from gan_models.training.warm_start import read_start

        recipe, table = parse_recipe(self.recipe, origin="the recipe"), ImageTable.open(self.dataset)
        return train(
            recipe,
            table.fitting("train", device),
            table.metadata,
            self.folder,
            seed=self.seed,
            device=device,
            reporter=reporter,
            start=read_start(self.start, recipe, table.metadata) if self.start else None,
            keep_discriminator=self.keep_discriminator,
        )


class Lead:
    """The lead, as the stage that started it sees it by the file SAID."""

    def __init__(self, said: Path, reporter: Reporter) -> None:
        self.word: Event | None = None  # on how the training ended; None until it is said
        self.heard = False  # whether it has said anything
        self._reader = EventReader(said)
        self._reporter = reporter

    def listen(self) -> Event | None:
        """Passes on what was said since the last call; returns `word`."""
        for event in self._reader.read():
            self.heard = True
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
    """What the lead's last word means; RequestError, RunError, Stopped as of a training in one process, LostError."""
    from gan_models.training.loop import Outcome, Stopped

    if word["kind"] == "stopped":
        raise Stopped(word["step"])
    if word["kind"] == "error" and word.get("lost"):
        raise LostError(word["sentence"])
    if word["kind"] == "error":
        raise (RequestError if word["exit_code"] == RequestError.exit_code else RunError)(word["sentence"])
    fields = word["outcome"]
    return Outcome(**{**fields, "unhealthy_steps": tuple(fields["unhealthy_steps"])})


def train_together(job: Job, count: int, reporter: Reporter) -> Outcome:
    """In `count` processes, one for each GPU if any; resumes and errs as one does. LostError: one has died."""
    with scratch_folder() as scratch:
        asked, said, log = (scratch / name for name in ("job.json", "said.jsonl", "torchrun.log"))
        asked.write_text(job.model_dump_json(), encoding="utf-8")
        torchrun = [
            "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "--log-dir", str(scratch)
        ]  # fmt: skip
        program = ["-m", "components.train_gan.rank", str(asked), str(said)]
        command = [sys.executable, *(torchrun if count > 1 else ()), *program]
        environment = {**os.environ, "RANK": "0", "LOCAL_RANK": "0", PARENT_VARIABLE: parent_mark()}
        with log.open("wb") as output:
            processes = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment
            )
            lead, told = Lead(said, reporter), False
            try:
                while processes.poll() is None:
                    lead.listen()
                    if reporter.stop_requested() and not told:
                        processes.terminate()  # torchrun passes it on, and waits for the checkpoint
                        told = True
                    time.sleep(POLL_SECONDS)
            finally:
                processes.terminate()
                processes.wait()
        word = lead.listen()
        if word is None:
            tail = " ".join(log.read_text(encoding="utf-8", errors="replace").split()[-40:])
            why = f": {tail}" if tail else ""
            raise LostError(f"a training process ended without a word (killed, or out of memory?){why}")
        return outcome_of(word)


class _Telling:
    """A reporter of the training loop that passes everything on; silent where there is no file."""

    def __init__(self, said: EventLog, stop: StopSignal) -> None:
        self._said, self._stop = said, stop

    def progress(self, step: int, figures: Mapping[str, float]) -> None:
        self._said.write("progress", step=step, figures=dict(figures))

    def tick(self, step: int, metrics: Mapping[str, float], grid: Path) -> None:
        self._said.write("tick", step=step, metrics=dict(metrics), grid=str(grid))

    def note(self, sentence: str) -> None:
        self._said.write("note", text=sentence)

    def stop_requested(self) -> bool:
        return self._stop.requested


def main(job_file: str, said_file: str) -> int:
    """0 where the training ended or was stopped in good order."""
    job = Job.model_validate_json(Path(job_file).read_text(encoding="utf-8"))
    said = EventLog(Path(said_file) if os.environ["RANK"] == "0" else None, "train_gan")
    stop = StopSignal()
    try:
        with watch_parent(os.environ.get(PARENT_VARIABLE, "")), stop_on_signals(stop):
            _train(job, said, stop)
        return 0
    except Exception as error:
        failure = failure_of(error, None)
        # What nobody raised on purpose (CUDA, NCCL, a disk that is full) may be over the next time.
        lost = isinstance(error, LostError) or not isinstance(error, RequestError | RunError)
        said.write("error", sentence=failure.sentence, exit_code=failure.exit_code, lost=lost)
        raise


def _train(job: Job, said: EventLog, stop: StopSignal) -> None:
    import torch

    from gan_models import ranks
    from gan_models.training.loop import Stopped

    device = torch.device("cpu")
    if torch.cuda.is_available():
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    stopped_at = None
    with ranks.joined(device), guarded(job.fence.check) if job.fence else nullcontext():
        try:
            said.write("outcome", outcome=vars(job.train(device, _Telling(said, stop))))
        except Stopped as stopped:
            stopped_at = stopped.step
            said.write("stopped", step=stopped_at)
    if stopped_at is not None and os.environ["RANK"] != "0" and not _is_told(stop):
        # Its node lives, and one that has ended well would not be started anew with the lead's.
        raise LostError(f"the lead was told to stop at step {stopped_at}, this process was not")


def _is_told(stop: StopSignal) -> bool:
    """Whether this process is told to stop, too: where all are, not all hear it in the same second."""
    end = time.monotonic() + HEARD_SECONDS
    while not stop.requested and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
    return stop.requested


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
