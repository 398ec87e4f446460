"""The process that holds kfp: runs one pipeline with `kfp.local` and writes what came out to a file.

It is a process of its own because kfp.local redirects `print` and the root logger, prints everything to standard
output and blocks in the stage it waits for; here all of that lands in the run's log, while the command line stays free
to draw, to track and to pass on signals. `pipeline.engines.local` starts it, with two arguments: a file that holds the
request, and the work directory, which tells whose engine it is.
"""

import os
import signal
import sys
import tempfile
import threading
import time
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from components.context import PIPELINE
from components.stage.progress import EventLog
from gan_models.errors import RequestError
from pipeline.definitions.stages import Definition, load_pipeline
from pipeline.engines.local.processes import Stages

PARENT_SECONDS = 0.5  # between two looks at whether the command line still lives
STAGE_SECONDS = 30.0  # a stage that was told to stop has this long to save what it has


class EngineRequest(BaseModel):
    """What the command line asks for: of a `pipeline.engines.protocol.Job`, and how its stages are run."""

    pipeline: Path | None
    definition: Definition
    arguments: dict[str, Any]
    parallel: int
    workers: int
    pipeline_root: Path
    cache_root: Path
    result: Path  # where the output artifacts' places go, as `Result`
    stages: str  # a class as `Stages` describes it, as "module:class"; it is made from `options`
    options: dict[str, Any]


Result = TypeAdapter(dict[str, Path])  # the place of each output artifact


def run_pipeline(request: EngineRequest, stages: Stages) -> dict[str, Path]:
    """Runs the pipeline; RuntimeError where a stage failed, which has said why on the events file and in the log."""
    from kfp import components, local

    # kfp.local deletes its workspace after every pipeline, so it gets one that nobody misses.
    local.init(
        runner=stages.runner(),
        pipeline_root=str(request.pipeline_root),
        workspace_root=tempfile.mkdtemp(prefix="workspace-"),
        enable_caching=True,
        cache_root=str(request.cache_root),
    )
    if request.pipeline is None:
        pipeline = load_pipeline(request.definition, request.parallel, request.workers)
    else:
        pipeline = components.load_component_from_file(str(request.pipeline))
    return {name: Path(artifact.path) for name, artifact in pipeline(**request.arguments).outputs.items()}


def _end_with(parent: int, stages: Stages) -> None:
    """Stops the stages and this process once the command line has died without a word (SIGKILL)."""
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    stages.stop()  # the pipeline fails at that, and this process ends, unless the stage takes too long
    time.sleep(STAGE_SECONDS)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def main(path: str) -> int:
    """0 when the pipeline finished, 1 when a stage failed."""
    request = EngineRequest.model_validate_json(Path(path).read_text(encoding="utf-8"))
    module, _, name = request.stages.partition(":")
    stages: Stages = getattr(import_module(module), name)(request.options)
    signal.signal(signal.SIGTERM, lambda *_: stages.stop())
    threading.Thread(target=_end_with, args=(os.getppid(), stages), daemon=True).start()
    # A display name is for the UI of a cluster; that it means nothing here is no news.
    warnings.filterwarnings("ignore", message=".*have no effect in the current local runner.*")
    try:
        result = run_pipeline(request, stages)
    except RequestError as error:  # of a package's stage that does not fit
        EventLog.from_environment(PIPELINE).write("error", sentence=str(error), exit_code=error.exit_code)
        return error.exit_code
    except RuntimeError as error:
        print(error, flush=True)  # noqa: T201  (standard output is the log)
        return 1
    request.result.write_bytes(Result.dump_json(result))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
