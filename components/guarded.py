"""Runs a program that must not outlive whoever started it: `python -m components.guarded PROGRAM ARGUMENT ...`.

Whoever starts this holds the other end of its standard input, and makes it the first of a session of its own. When that
end closes, the program and all that it started are told to end, and are killed where they do not.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from types import FrameType

PATIENCE_SECONDS = 10.0


def main(command: list[str]) -> int:
    """The program's own exit code."""

    def stay(number: int, frame: FrameType | None) -> None:
        """Those who stop the whole group wait for this process, which waits for the program."""

    signal.signal(signal.SIGTERM, stay)
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=_watch, args=(program,), daemon=True).start()
    return program.wait()


def _watch(program: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGTERM)
    try:
        program.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
