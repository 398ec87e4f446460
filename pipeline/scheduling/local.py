"""The process that starts the runs of this machine's schedules: `gan-pipeline scheduler`.

    APScheduler         knows when what is due; its job store, in the same SQLite file, outlives the process
    _Journal            is its executor: writes each due time down (pipeline.scheduling.store) and starts nothing
    the loop below      takes over what the commands changed, starts what is written down, finds out what has died

A run is a process of its own (pipeline.scheduling.run) that outlives this one when this one is killed, and says itself
how it ended; a scheduler that comes back leaves it alone. SIGTERM stops the runs too, which go on at the next start.
"""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from types import FrameType

import psutil
from apscheduler.executors.base import BaseExecutor
from apscheduler.job import Job
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from filelock import FileLock, Timeout

from components.processes import is_alive
from gan_models.errors import RequestError
from pipeline.scheduling.store import GRACE_SECONDS, Claim, Kept, ScheduleStore, first_due
from pipeline.scheduling.triggers import trigger_of

POLL_SECONDS = 0.5
STOP_SECONDS = 90.0
RUNNER = (sys.executable, "-m", "pipeline.scheduling.run")

_logger = logging.getLogger("gan_pipeline.scheduler")


def due(revision: int) -> None:
    """What a job of APScheduler names; the executor never calls it."""


class _Journal(BaseExecutor):  # type: ignore[misc]
    """Writes due times down."""

    def __init__(self, store: ScheduleStore, grace: float) -> None:
        super().__init__()
        self._store, self._grace = store, grace

    def _do_submit_job(self, job: Job, run_times: list[datetime]) -> None:
        try:
            self._store.record(job.id, job.kwargs["revision"], run_times, grace=self._grace)
        except sqlite3.Error:
            # APScheduler would go on to the next time and this one would be lost. Dying keeps it for the next start.
            _logger.critical("a due time of %s cannot be written down: giving up", job.id, exc_info=True)
            os._exit(1)
        self._run_job_success(job.id, [])


class LocalScheduler:
    """Serves one store until it is told to stop.

    Args:
        runner: the command that does a run; it is given the store and the number of the run.
    """

    def __init__(self, store: ScheduleStore, *, runner: Sequence[str] = RUNNER, grace: float = GRACE_SECONDS) -> None:
        self._store, self._runner, self._grace = store, runner, grace
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._stop = threading.Event()

    def serve(self) -> None:
        """Until SIGTERM or SIGINT.

        Raises:
            RequestError: another scheduler serves this store.
        """
        lock = FileLock(f"{self._store.path}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise RequestError(f"another scheduler serves {self._store.path}: stop it first, or give --store") from None
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._ask_to_stop)
            self._serve()
        finally:
            lock.release()

    def _serve(self) -> None:
        jobs = BackgroundScheduler(
            jobstores={"default": SQLAlchemyJobStore(f"sqlite:///{self._store.path}")},
            executors={"default": _Journal(self._store, self._grace)},
            job_defaults={"coalesce": False},
            timezone="UTC",
        )
        jobs.start(paused=True)  # not before it knows what was changed while it was away
        self._take_over(jobs)
        jobs.resume()
        _logger.info("serving %s", self._store.path)
        while not self._stop.is_set():
            self._take_over(jobs)
            self._look_after_runs()
            self._stop.wait(POLL_SECONDS)
        jobs.shutdown(wait=False)
        self._stop_runs()
        _logger.info("stopped")

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop.set()

    # -- what the commands have changed -------------------------------------------------------------------------------

    def _take_over(self, jobs: BackgroundScheduler) -> None:
        """Brings APScheduler's jobs up to the schedules; doing it again changes nothing."""
        known: dict[str, Job] = {job.id: job for job in jobs.get_jobs()}
        schedules = {kept.schedule.name: kept for kept in self._store.kept()}
        for name in known.keys() - schedules.keys():
            jobs.remove_job(name)
        for name, kept in schedules.items():
            job = known.get(name)
            if job is None:
                following = None if kept.paused else first_due(kept, kept.since)
                arguments = {"kwargs": {"revision": kept.revision}, "next_run_time": following}
                jobs.add_job(due, trigger_of(kept.schedule, kept.anchor), id=name, **arguments)
            else:
                self._bring_up(job, kept)

    def _bring_up(self, job: Job, kept: Kept) -> None:
        if job.kwargs["revision"] != kept.revision:
            self._settle(job, kept.changed)
            job.modify(
                trigger=trigger_of(kept.schedule, kept.anchor),
                kwargs={"revision": kept.revision},
                next_run_time=None if kept.paused else first_due(kept, max(kept.changed, kept.since)),
            )
        elif kept.paused and job.next_run_time is not None:
            self._settle(job, kept.paused)
            job.modify(next_run_time=None)
        elif not kept.paused and job.next_run_time is None:
            job.modify(next_run_time=first_due(kept, max(kept.changed, kept.since)))

    def _settle(self, job: Job, until: datetime) -> None:
        """Writes down what was due by the old times until they changed: an edit loses nothing."""
        dues, following = [], job.next_run_time
        while following is not None and following <= until:
            dues.append(following)
            following = job.trigger.get_next_fire_time(following, until)
        if dues:
            self._store.record(job.id, job.kwargs["revision"], dues, grace=self._grace)

    # -- runs ---------------------------------------------------------------------------------------------------------

    def _look_after_runs(self) -> None:
        for number in [number for number, child in self._children.items() if child.poll() is not None]:
            self._children.pop(number)
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
