"""How a stage is told to stop, and what happens when the command that started it is gone.

SIGTERM and SIGINT ask for a stop. A stage that polls `Stage.stop_requested` (training does, at every step) saves its
state and raises `Interrupted` by itself; elsewhere, when it does not poll for a while after the signal, and at the
second signal, `Interrupted` is raised where the stage is. A stage whose starter died is told in the same way, by its
own watching thread. In a container it cannot see who started it; there its standard input is held open by the starter
and ends with it, or when the starter wants a stop. On another machine it can see but a file that the starter changes.
"""

import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from components.processes import is_alive
from components.stage.failures import Interrupted
from gan_models.atomic import write_text

PARENT_VARIABLE = "GAN_PIPELINE_PARENT"
STANDARD_INPUT = "stdin"  # in place of a parent's mark: stop when standard input ends
BEAT = "beat:"  # likewise, before the path of a file: stop when nobody is `beating` there
BEAT_SECONDS, BEAT_LIMIT_SECONDS = 5.0, 45.0  # network volumes show a change late
WATCH_SECONDS = 0.25
POLL_IS_ALIVE_SECONDS = 5.0  # a stage that polled this recently will probably notice by itself
PATIENCE_SECONDS = 10.0  # how long it has for that
HARD_EXIT_SECONDS = 20.0


class StopSignal:
    """Whether a stop was asked for, and whether anybody looks."""

    def __init__(self) -> None:
        self._requested = False
        self._noticed = False
        self._polled = float("-inf")

    @property
    def requested(self) -> bool:
        self._polled = time.monotonic()
        self._noticed = self._requested
        return self._requested

    def request(self) -> None:
        """Ask for a stop; raises `Interrupted` at the second request, or when nobody has looked for a while."""
        again, self._requested = self._requested, True
        if again or time.monotonic() - self._polled > POLL_IS_ALIVE_SECONDS:
            raise Interrupted

    def insist(self) -> None:
        """Raises `Interrupted` when a stop was asked for and nobody has looked since."""
        if self._requested and not self._noticed:
            raise Interrupted


@contextmanager
def stop_on_signals(stop: StopSignal) -> Iterator[None]:
    """SIGTERM and SIGINT ask `stop` to stop; no effect outside the main thread, where Python takes no signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        stop.request()
        previous.setdefault(signal.SIGALRM, signal.signal(signal.SIGALRM, lambda *_: stop.insist()))
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        if signal.SIGALRM in previous:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def watch_parent(mark: str) -> Iterator[None]:
    """While inside: when the process `mark` names is gone, ask this one to stop, and end it if it does not.

    Args:
        mark: `parent_mark()` of the process that started this one, STANDARD_INPUT, or BEAT and a file's path; empty:
            nobody to watch.
    """
    if not mark:
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_watch, args=(mark, over), name="parent-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


@contextmanager
def beating(file: Path) -> Iterator[None]:
    """While inside, a file changes all the time: whoever watches it knows that this process is alive."""
    over = threading.Event()

    def beat() -> None:
        while True:
            with suppress(OSError):  # a volume that is away; whoever watches is patient
                file.parent.mkdir(parents=True, exist_ok=True)
                write_text(file, uuid.uuid4().hex)
            if over.wait(BEAT_SECONDS):
                return

    thread = threading.Thread(target=beat, name="beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _until_silent(file: Path, over: threading.Event) -> None:
    """Returns when a file has not changed for a while, by this machine's clock alone."""
    seen, changed = "", time.monotonic()
    while time.monotonic() - changed < BEAT_LIMIT_SECONDS:
        with suppress(OSError, ValueError):
            if (beat := file.read_text(encoding="utf-8")) != seen:
                seen, changed = beat, time.monotonic()
        if over.wait(min(BEAT_SECONDS, BEAT_LIMIT_SECONDS) / 2):
            return


def _watch(mark: str, over: threading.Event) -> None:
    if mark == STANDARD_INPUT:
        while os.read(0, 1024):
            pass
    elif mark.startswith(BEAT):
        _until_silent(Path(mark.removeprefix(BEAT)), over)
    else:
        while is_alive(mark):
            if over.wait(WATCH_SECONDS):
                return
    if not over.is_set():
        os.kill(os.getpid(), signal.SIGTERM)  # its handler runs in the main thread
        if not over.wait(HARD_EXIT_SECONDS):
            os._exit(Interrupted.exit_code)
