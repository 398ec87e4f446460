"""Runs a pipeline on this machine: kfp.local in a process of its own, watched from here.

Who is who while a run is under way:

    command line        draws, sends the journals to MLflow, holds the lock of the work directory
      kfp_process       session of its own; kfp.local; its output and that of the stages is logs/pipeline.log
        sh              kfp's wrapper
          stage         one at a time; writes events, journals and artifacts

Ctrl-C reaches only the command line, which asks kfp_process to stop the stage (SIGTERM), so that a stage always ends in
the same, orderly way. Whoever dies by SIGKILL takes its children along within a second or two.
"""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from components.context import RunContext
from components.processes import parent_mark
from components.scratch import scratch_folder
from components.stage.failures import Interrupted
from components.stage.progress import EVENTS_VARIABLE, Event, EventReader
from components.stage.stopping import PARENT_VARIABLE
from gan_models.errors import RequestError, RunError
from pipeline.engines.local.kfp_process import EngineRequest, Result
from pipeline.engines.local.processes import POLL_SECONDS, StageProcesses, Stages, is_stage
from pipeline.engines.protocol import Engine, Job, Launch, Outcome
from pipeline.scheduling.schedule import Scheduler
from pipeline.workdir import WorkDirectory

LEFTOVER_SECONDS = 30.0

_ENGINE = "pipeline.engines.local.kfp_process"
_PROJECT = Path(__file__).resolve().parents[3]


class LocalEngine(Engine):
    """Stages are processes of this machine."""

    def ready(self, image: str | None) -> Launch:
        if image is not None:
            raise RequestError("--image names what the stages run in, so it needs --engine docker")
        return self.run

    def run(self, job: Job) -> Outcome:
        """Runs a pipeline to its end."""
        return run_with_kfp(job, StageProcesses, {})

    def scheduler(self, store: Path, say: Callable[[str], None]) -> Scheduler:
        from pipeline.scheduling.store import ScheduleStore

        return ScheduleStore(store)


LOCAL = LocalEngine()


def run_with_kfp(job: Job, stages: type[Stages], options: Mapping[str, Any]) -> Outcome:
    """Runs a pipeline to its end by `kfp.local`, in a process of its own.

    Args:
        stages: how they are run; made in that process.
        options: that it is made from; they go there as JSON.
    """
    workdir = job.workdir
    with scratch_folder() as scratch:
        request = EngineRequest(
            pipeline=job.pipeline,
            definition=job.definition,
            arguments=dict(job.arguments),
            parallel=job.parallel,
            workers=job.workers,
            pipeline_root=workdir.artifacts,
            cache_root=workdir.cache,
            result=scratch / "result.json",
            stages=f"{stages.__module__}:{stages.__qualname__}",
            options=dict(options),
        )
        request_file = scratch / "request.json"
        request_file.write_text(request.model_dump_json(), encoding="utf-8")
        with workdir.pipeline_log.open("ab") as log, _stop_signals() as signals:
            engine = subprocess.Popen(
                [sys.executable, "-m", _ENGINE, str(request_file), str(workdir.root)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=_environment(job.context, workdir, str(scratch)),
                start_new_session=True,
            )
            _await(engine, signals)
        events = EventReader(workdir.events).read()
        if engine.returncode == 0 and request.result.is_file():
            return Outcome("finished", artifacts=Result.validate_json(request.result.read_bytes()))
    return _failure(events, workdir, interrupted=bool(signals))


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


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Notes each SIGINT, SIGTERM and SIGHUP instead of dying of it."""
    signals: list[int] = []
    stopping = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {each: signal.signal(each, lambda number, frame: signals.append(number)) for each in stopping}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _await(engine: subprocess.Popen[bytes], signals: list[int]) -> None:
    """Until the engine has ended: passes a request to stop on; a second request kills. Nothing of it outlives this."""
    told = False
    try:
        while engine.poll() is None and len(signals) < 2:
            if signals and not told:
                engine.terminate()
                told = True
            time.sleep(POLL_SECONDS)
    finally:
        if engine.poll() is None:
            os.killpg(engine.pid, signal.SIGKILL)
            engine.wait()


def _stages(events: list[Event], kind: str) -> list[str]:
    return [event["stage"] for event in events if event["kind"] == kind]


def _failure(events: list[Event], workdir: WorkDirectory, interrupted: bool) -> Outcome:
    error = next((event for event in events if event["kind"] == "error"), None)
    started, ended = _stages(events, "start"), _stages(events, "end")
    unfinished = [stage for stage in started if stage not in ended]
    stage = error["stage"] if error else (unfinished or started or [""])[-1]
    if interrupted or (error and error.get("exit_code") == Interrupted.exit_code):
        said = error["sentence"] if error else "interrupted; the same command continues"
        return Outcome("interrupted", Interrupted.exit_code, f"{stage}: {said}" if stage else said)
    if error:
        sentence, log = f"{stage}: {error['sentence']}", error.get("log")
        if log and str(log) not in sentence and Path(log).is_file():
            sentence += f" (log: {log})"
        return Outcome("failed", int(error.get("exit_code", 1)), sentence)
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
