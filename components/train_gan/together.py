"""Trains in several processes of this machine: torchrun starts them, the stage hears what their lead says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from components.processes import parent_mark
from components.scratch import scratch_folder
from components.stage.stopping import PARENT_VARIABLE
from components.train_gan.rank import Job, Lead, outcome_of
from gan_models.errors import RunError

if TYPE_CHECKING:
    from gan_models.training.loop import Outcome, Reporter

POLL_SECONDS = 0.1


def train_together(job: Job, count: int, reporter: Reporter) -> Outcome:
    """Trains `job` in `count` processes, one for each GPU where there are any; resumes as one process does.

    Raises:
        RequestError, RunError, Stopped: as a training in one process; RunError too when a process died.
    """
    with scratch_folder() as scratch:
        asked, said, log = (scratch / name for name in ("job.json", "said.jsonl", "torchrun.log"))
        asked.write_text(job.model_dump_json(), encoding="utf-8")
        command = [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count),
            "--log-dir", str(scratch), "-m", "components.train_gan.rank", str(asked), str(said),
        ]  # fmt: skip
        environment = {**os.environ, PARENT_VARIABLE: parent_mark()}
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
            raise RunError(f"a training process ended without a word (killed, or out of memory?): {tail}")
        return outcome_of(word)
