"""Runs a pipeline on this machine: kfp.local in a process of its own, watched from here.

Who is who while a run is under way:

    command line        draws, sends the journals to MLflow, holds the lock of the work directory
      kfp_process       session of its own; kfp.local; its output and that of the stages is logs/pipeline.log
        sh              kfp's wrapper
          stage         one at a time; writes events, journals and artifacts

Ctrl-C reaches only the command line, which asks the stage to stop (SIGTERM), so that a stage always ends in the same,
orderly way. Whoever dies by SIGKILL takes its children along within a second or two.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Literal

import psutil

from components.context import RETRAINING_TITLES, TITLES, RunContext
from components.processes import parent_mark
from components.scratch import scratch_folder
from components.stage.failures import Interrupted
from components.stage.progress import EVENTS_VARIABLE, Event, EventReader
from components.stage.stopping import PARENT_VARIABLE
from gan_models.errors import RequestError, RunError
from pipeline.engines.docker.containers import ContainerOptions
from pipeline.engines.local.kfp_process import Definition, EngineRequest, EngineResult, is_stage, stage_processes
from pipeline.workdir import WorkDirectory

POLL_SECONDS = 0.1
LEFTOVER_SECONDS = 30.0
BETWEEN_STAGES_SECONDS = 1.0  # there may be no stage for so long without the pipeline being over

_ENGINE = "pipeline.engines.local.kfp_process"
_PROJECT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    status: Literal["finished", "failed", "interrupted"]
    exit_code: int = 0
    sentence: str = ""
    """What went wrong, for the user; empty when nothing did."""
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    """The folder of each output of the pipeline."""
    skipped: tuple[str, ...] = ()
    """Stages whose inputs had not changed."""

    def raise_unless_finished(self) -> None:
        """Turns a bad end into the exception that stands for it."""
        if self.status == "interrupted":
            raise Interrupted(self.sentence)
        if self.status == "failed":
            raise (RequestError if self.exit_code == RequestError.exit_code else RunError)(self.sentence)


def run_locally(
    arguments: Mapping[str, str | int | bool],
    workdir: WorkDirectory,
    context: RunContext,
    pipeline: Path | None = None,
    definition: Definition = "training",
    containers: ContainerOptions | None = None,
) -> Outcome:
    """Runs the training pipeline, or another one, to its end.

    Args:
        arguments: of the pipeline.
        workdir: where everything is kept; locked by the caller, its events file empty.
        context: given to the stages through their environment.
        pipeline: the YAML of a compiled pipeline.
        definition: which of our own pipelines, where it is not a compiled one.
        containers: what the stages run in (`pipeline.engines.docker.engine`); None: they are processes.
    """
    titles = RETRAINING_TITLES if definition == "retraining" else TITLES
    follower = _Follower(EventReader(workdir.events), titles)
    with scratch_folder() as scratch:
        result_file = scratch / "result.json"
        request = EngineRequest(
            pipeline=pipeline,
            definition=definition,
            arguments=dict(arguments),
            pipeline_root=workdir.artifacts,
            cache_root=workdir.cache,
            result=result_file,
            containers=containers,
        )
        request_file = scratch / "request.json"
        request_file.write_text(request.model_dump_json(), encoding="utf-8")
        with workdir.pipeline_log.open("ab") as log, _stop_signals() as signals:
            engine = subprocess.Popen(
                [sys.executable, "-m", _ENGINE, str(request_file), str(workdir.root)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(context, workdir, str(scratch)),
                start_new_session=True,
            )
            try:
                _follow(engine, follower, signals, 0.0 if containers else BETWEEN_STAGES_SECONDS)
            finally:
                _end(engine)
        if engine.returncode == 0 and result_file.is_file():
            result = EngineResult.model_validate_json(result_file.read_text(encoding="utf-8"))
            return Outcome("finished", artifacts=result.artifacts, skipped=follower.skipped)
    return _failure(follower, workdir, interrupted=bool(signals.count))


def _environment(context: RunContext, workdir: WorkDirectory, scratch: str) -> dict[str, str]:
    environment = {
        **os.environ,
        **context.to_environment(),
        EVENTS_VARIABLE: str(workdir.events),
        PARENT_VARIABLE: parent_mark(),
        "TMPDIR": scratch,  # kfp leaves a folder behind for every task
        "PYTHONSAFEPATH": "1",  # a folder `components` where the user happens to be is not ours
        "PYTHONUNBUFFERED": "1",
    }
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
        environment.pop(name, None)  # the context says it all
    if Path(sysconfig.get_path("purelib")) != _PROJECT:  # used from a checkout: the stages need to find it too
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_PROJECT), os.environ.get("PYTHONPATH")]))
    return environment


class _Follower:
    """Reads the events of a run and remembers which stages ran and what went wrong."""

    def __init__(self, reader: EventReader, titles: Mapping[str, str]) -> None:
        self._reader = reader
        self._titles = titles
        self.started: list[str] = []
        self.ended: list[str] = []
        self.error: Event | None = None

    def look(self) -> None:
        for event in self._reader.read():
            if event["kind"] == "start":
                self.started.append(event["stage"])
            elif event["kind"] == "end":
                self.ended.append(event["stage"])
            elif event["kind"] == "error" and self.error is None:
                self.error = event

    @property
    def skipped(self) -> tuple[str, ...]:
        """Of a finished run: kfp says nothing about a stage that it takes from its cache, it just never starts."""
        return tuple(stage for stage in self._titles if stage not in self.started)


@dataclass
class _Signals:
    count: int = 0


@contextmanager
def _stop_signals() -> Iterator[_Signals]:
    """Counts SIGINT, SIGTERM and SIGHUP instead of dying of them."""
    signals = _Signals()

    def note(number: int, frame: FrameType | None) -> None:
        signals.count += 1

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(engine: subprocess.Popen[bytes], follower: _Follower, signals: _Signals, patience: float) -> None:
    """Until the engine has ended: looks at the events, passes a request to stop on; a second request kills.

    Args:
        patience: seconds without a stage's process after which the engine itself is told to stop; with containers it
            is the one who passes that on.
    """
    told: set[int] = set()
    idle_since: float | None = None
    while engine.poll() is None:
        follower.look()
        if signals.count > 1:
            os.killpg(engine.pid, signal.SIGKILL)
        elif signals.count:
            stages = _ask_to_stop(engine, told)
            idle_since = None if stages else idle_since or time.monotonic()
            if idle_since and time.monotonic() - idle_since >= patience:
                engine.terminate()  # it was between two stages, or not yet at the first
        time.sleep(POLL_SECONDS)
    follower.look()


def _ask_to_stop(engine: subprocess.Popen[bytes], told: set[int]) -> list[psutil.Process]:
    try:
        stages = stage_processes(psutil.Process(engine.pid))
        for process in stages:
            if process.pid not in told:
                process.terminate()
                told.add(process.pid)
    except psutil.NoSuchProcess:
        return []
    return stages


def _end(engine: subprocess.Popen[bytes]) -> None:
    """Nothing of the engine outlives the run, whatever happened here."""
    if engine.poll() is None:
        os.killpg(engine.pid, signal.SIGKILL)
        engine.wait()


def _failure(follower: _Follower, workdir: WorkDirectory, interrupted: bool) -> Outcome:
    unfinished = [stage for stage in follower.started if stage not in follower.ended]
    stage = follower.error["stage"] if follower.error else (unfinished or follower.started or [""])[-1]
    if interrupted or (follower.error and follower.error.get("exit_code") == Interrupted.exit_code):
        said = follower.error["sentence"] if follower.error else "interrupted; the same command continues"
        return Outcome("interrupted", Interrupted.exit_code, f"{stage}: {said}" if stage else said)
    if follower.error:
        sentence = f"{stage}: {follower.error['sentence']}"
        log = follower.error.get("log")
        if log and str(log) not in sentence and Path(log).is_file():
            sentence += f" (log: {log})"
        code = int(follower.error.get("exit_code", 1))
        return Outcome("failed", code, sentence)
    what = f"{stage} ended without a word (killed, or out of memory?)" if stage else "the engine did not start"
    sentence = f"{what}: the same command continues; see {workdir.pipeline_log}"
    return Outcome("failed", RunError.exit_code, sentence)


def stop_leftovers(root: Path) -> None:
    """Ends what a killed command line has left running in a work directory; the caller holds its lock.

    Orphans notice on their own within seconds. Waiting for them here keeps two writers from ever meeting.
    """
    inside = json.dumps(f"{root / 'artifacts'}/")[:-1]  # as it stands in the JSON that kfp hands to a stage
    engines, stages = [], []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if command[1:3] == ["-m", _ENGINE] and command[-1] == str(root):
            engines.append(process)
        elif is_stage(command) and any(inside in part for part in command):
            stages.append(process)
    for leftovers in (engines, stages):  # in this order, so that no further stage starts
        for process in leftovers:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        for process in psutil.wait_procs(leftovers, timeout=LEFTOVER_SECONDS)[1]:
            process.kill()
