"""The process that holds kfp: runs one pipeline with `kfp.local` and writes what came out to a file.

It is a process of its own because kfp.local redirects `print` and the root logger, prints everything to standard
output and blocks in the stage it waits for; here all of that lands in the run's log, while the command line stays free
to draw, to track and to pass on signals. `pipeline.engines.local` starts it, with two arguments: a file that holds the
request, and the work directory, which tells whose engine it is.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import psutil
from pydantic import BaseModel

from pipeline.engines.docker.containers import ContainerOptions, StageContainers

Definition = Literal["training", "retraining"]

PARENT_SECONDS = 0.5  # between two looks at whether the command line still lives
STAGE_SECONDS = 30.0  # a stage that was told to stop has this long to save what it has


class EngineRequest(BaseModel):
    """What the command line asks for."""

    pipeline: Path | None = None
    """A compiled pipeline; None: the one that `definition` names."""
    definition: Definition = "training"
    """Of the pipelines defined here: `pipeline.definitions.training` or `pipeline.definitions.retraining`."""
    arguments: dict[str, str | int | bool]
    pipeline_root: Path
    cache_root: Path
    result: Path
    """Where the EngineResult goes."""
    containers: ContainerOptions | None = None
    """How the stages' containers are made; None: they are processes of this machine."""


class EngineResult(BaseModel):
    """What came out: the place and the metadata of each output artifact."""

    artifacts: dict[str, Path] = {}
    metadata: dict[str, dict[str, Any]] = {}


def stage_processes(root: psutil.Process) -> list[psutil.Process]:
    """The Python processes of running stages under `root`, without the shells that kfp wraps around them."""
    found = []
    try:
        children = root.children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    for process in children:
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if is_stage(command):
            found.append(process)
    return found


def is_stage(command: list[str]) -> bool:
    """Whether a command line is that of a stage's own process: `python -m kfp.dsl.executor_main ...`."""
    return command[1:3] == ["-m", "kfp.dsl.executor_main"]


def run_pipeline(request: EngineRequest, containers: StageContainers | None = None) -> EngineResult:
    """Runs the pipeline to its end, the stages in `containers` where there are any.

    Raises:
        RuntimeError: a stage failed; it has said why in its own words, on the events file and in the log.
    """
    from kfp import components, local

    if containers is not None:
        containers.install()
    # kfp.local deletes its workspace after every pipeline, so it gets one that nobody misses.
    local.init(
        runner=local.SubprocessRunner(use_venv=False) if containers is None else local.DockerRunner(),
        pipeline_root=str(request.pipeline_root),
        workspace_root=tempfile.mkdtemp(prefix="workspace-"),
        enable_caching=True,
        cache_root=str(request.cache_root),
    )
    if request.pipeline is None:
        module = importlib.import_module(f"pipeline.definitions.{request.definition}")
        pipeline = getattr(module, f"{request.definition}_pipeline")
    else:
        pipeline = components.load_component_from_file(str(request.pipeline))
    outputs: Mapping[str, Any] = pipeline(**request.arguments).outputs
    return EngineResult(
        artifacts={name: Path(artifact.path) for name, artifact in outputs.items()},
        metadata={name: dict(artifact.metadata) for name, artifact in outputs.items()},
    )


def _end_with(parent: int, containers: StageContainers | None) -> None:
    """Stops the stages and this process once the command line has died without a word (SIGKILL)."""
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    if containers is not None:
        containers.stop()  # the pipeline fails at that, and this process ends, unless the stage takes too long
        time.sleep(STAGE_SECONDS)
    stages = stage_processes(psutil.Process())
    for process in stages:
        process.terminate()
    psutil.wait_procs(stages, timeout=STAGE_SECONDS)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def main(path: str) -> int:
    """0 when the pipeline finished, 1 when a stage failed."""
    request = EngineRequest.model_validate_json(Path(path).read_text(encoding="utf-8"))
    containers = None
    if request.containers is not None:
        containers = stages = StageContainers(request.containers)
        signal.signal(signal.SIGTERM, lambda *_: stages.stop())
    threading.Thread(target=_end_with, args=(os.getppid(), containers), daemon=True).start()
    # A display name is for the UI of a cluster; that it means nothing here is no news.
    warnings.filterwarnings("ignore", message=".*have no effect in the current local runner.*")
    try:
        result = run_pipeline(request, containers)
    except RuntimeError as error:
        print(error, flush=True)  # noqa: T201  (standard output is the log)
        return 1
    request.result.write_text(json.dumps(result.model_dump(mode="json")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
