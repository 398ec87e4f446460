"""The process that starts the runs of this machine's schedules: `gan-pipeline scheduler`.

The store (pipeline.scheduling.store) knows what is due next, keeps what has come due, and outlives the process. The
loop below sleeps until then, starts what is written down and finds out what has died. What the commands change is in
the store, so it counts from the next look on.

A run is a process of its own (pipeline.cli.scheduled) that outlives this one when this one is killed, and says itself
how it ended; a scheduler that comes back leaves it alone. SIGTERM stops the runs too, which go on at the next start.
"""

import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import psutil
from filelock import Timeout

from components.processes import is_alive
from gan_models.errors import RequestError
from pipeline.scheduling.metrics import metrics_server
from pipeline.scheduling.notices import Teller
from pipeline.scheduling.schedule import Trouble
from pipeline.scheduling.store import GRACE_SECONDS, Claim, ScheduleStore
from pipeline.scheduling.watching import Watcher

POLL_SECONDS = 0.5
STOP_SECONDS = 90.0
PATIENCE = timedelta(minutes=10)
RUNNER = (sys.executable, "-m", "pipeline.cli.scheduled")

_logger = logging.getLogger("gan_pipeline.scheduler")


class LocalScheduler:
    """Serves one store until told to stop.

    Args:
        runner: does a run, given the store, the run's number and the file that its output goes to.
        grace: seconds after which what is found to be due is skipped.
        webhook_env: environment variable with the address to tell of troubles; of schedules that name none.
        metrics: `[HOST:]PORT` to answer a monitor at; empty: nowhere.
        patience: how long after its due time a run that has not begun is late.
    """

    def __init__(
        self,
        store: ScheduleStore,
        *,
        runner: Sequence[str] = RUNNER,
        grace: float = GRACE_SECONDS,
        webhook_env: str = "",
        metrics: str = "",
        patience: timedelta = PATIENCE,
    ) -> None:
        self._store, self._runner, self._grace = store, runner, grace
        self._teller, self._patience, self._metrics = Teller(store, webhook_env), patience, metrics
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._stop = threading.Event()

    def serve(self) -> None:
        """Until SIGTERM or SIGINT; RequestError where another scheduler serves this store."""
        try:
            lock = self._store.lock.acquire()
        except Timeout:
            raise RequestError(f"another scheduler serves {self._store.path}: stop it first, or give --store") from None
        with lock, ExitStack() as held:
            if self._metrics:
                _logger.info("metrics at %s", held.enter_context(metrics_server(self._store, self._metrics)))
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self._stop.set())
            _logger.info("serving %s", self._store.path)
            threading.Thread(target=self._teller.tell_until, args=(self._stop, POLL_SECONDS), daemon=True).start()
            watcher = Watcher(self._store)
            threading.Thread(target=watcher.look_until, args=(self._stop, POLL_SECONDS), daemon=True).start()
            while not self._stop.is_set():
                self._store.note_late(self._patience)
                following = self._store.next_due()
                if following is not None and following <= datetime.now(UTC):
                    self._store.record_due(grace=self._grace)
                self._store.claim_queued()
                self._look_after_runs()
                self._stop.wait(_seconds_until(following))
            self._stop_runs()
            _logger.info("stopped")

    # -- runs ---------------------------------------------------------------------------------------------------------

    def _look_after_runs(self) -> None:
        self._children = {number: child for number, child in self._children.items() if child.poll() is None}
        for claim in self._store.release_dead():
            _logger.warning("run %s of %s: its process was killed", claim.id, claim.schedule)
        for claim in self._store.waiting():
            if claim.id not in self._children:
                self._start(claim)

    def _start(self, claim: Claim) -> None:
        again = f", attempt {claim.attempts + 1}" if claim.attempts else ""
        _logger.info("run %s of %s, due %s%s", claim.id, claim.schedule, claim.due.isoformat(), again)
        folder = self._store.path.with_name(f"{self._store.path.stem}-logs") / claim.schedule
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / f"{claim.due:%Y%m%dT%H%M%S}-{claim.id}.log").open("ab") as log:
                self._children[claim.id] = subprocess.Popen(
                    [*self._runner, str(self._store.path), str(claim.id), log.name],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        except OSError as error:  # of memory, of processes: it stays claimed, and the next round tries again
            _logger.error("run %s of %s cannot be started: %s", claim.id, claim.schedule, error)
            trouble = Trouble("late", claim.due, f"run {claim.id} cannot be started: {error}")
            self._store.note(claim.schedule, claim.request, trouble)

    def _stop_runs(self) -> None:
        """Asks all runs to save what they have, those that an earlier scheduler started as well."""
        for child in self._children.values():
            if child.poll() is None:
                child.terminate()
        for claim in self._store.running():
            if claim.id not in self._children and is_alive(claim.runner):
                psutil.Process(int(claim.runner.partition(":")[0])).terminate()
        end = time.monotonic() + STOP_SECONDS
        while time.monotonic() < end and any(is_alive(claim.runner) for claim in self._store.running()):
            time.sleep(0.1)


def _seconds_until(moment: datetime | None) -> float:
    """At most until the next look at what the commands have changed."""
    if moment is None:
        return POLL_SECONDS
    return min(POLL_SECONDS, max(0.0, (moment - datetime.now(UTC)).total_seconds()))
