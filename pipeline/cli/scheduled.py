"""One run of a schedule, in a process of its own: `python -m pipeline.cli.scheduled STORE RUN LOG`."""

from __future__ import annotations

import os
import sys

from pipeline.cli import call
from pipeline.request.request import Request
from pipeline.scheduling.run import do_run
from pipeline.scheduling.schedule import command_of

if __name__ == "__main__":
    status = do_run(sys.argv[1:], lambda kept: call(command_of(Request.parse(kept))))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
