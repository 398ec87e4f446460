"""What the pipeline costs beyond its stages: `gan-pipeline run` against the same five stage functions in one process.

Both start from nothing (new process, new work directory, new MLflow store), do the same work with the same settings
and track it in the same way; the clock runs from the start of the process to its end. Stages' caches outside the work
directory (the data set's classifier) are warmed by a first round that does not count.

    python benchmarks/overhead.py [--rounds 3] [--set training.steps=500 ...]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TARGET_SECONDS = 10.0
# Little work in the stages, and on one thread: what is looked for here must not drown in the noise of training.
SETTINGS = (
    "data.size=16",
    "networks.generator.width=16",
    "networks.discriminator.width=16",
    "training.steps=50",
    "training.tick=25",
    "training.keep=2",
    "training.threads=1",
    "selection.samples=200",
    "evaluation.samples=500",
)


def with_pipeline(folder: Path, data: str, settings: list[str]) -> list[str]:
    """The command that runs the five stages through kfp, each in a process of its own."""
    overrides = [word for setting in settings for word in ("--set", setting)]
    call = "from pipeline.cli import main; main()"
    return [sys.executable, "-c", call, "run", "--workdir", str(folder), "--data", data, *overrides]


def in_one_process(folder: Path, data: str, settings: list[str]) -> list[str]:
    """The command that calls the five stage functions one after the other."""
    overrides = [word for setting in settings for word in ("--set", setting)]
    return [sys.executable, __file__, "--call-stages", str(folder), "--data", data, *overrides]


def call_stages(folder: Path, data: str, settings: list[str]) -> None:
    """The five stages as functions, tracked as `gan-pipeline run` tracks them."""
    from components.evaluate_gan import step as evaluate_gan
    from components.export_samples import step as export_samples
    from components.prepare_data import step as prepare_data
    from components.select_checkpoint import step as select_checkpoint
    from components.stage.stage import PIPELINE, RunContext, open_stage
    from components.tracking.backend import default_address
    from components.tracking.relay import Relay
    from components.train_gan import step as train_gan
    from gan_models.metrics.locations import default_cache
    from gan_models.recipes import model_document
    from pipeline.request.plan import make_plan
    from pipeline.request.request import Request

    plan = make_plan(Request(data=data, overrides=tuple(settings)))
    recipe, seed, cache = plan.recipe, plan.seed, default_cache()
    dataset, training, selected, report, samples = (
        folder / name for name in ("dataset", "training", "selected", "report", "samples")
    )
    requests: list[tuple[Any, dict[str, Any]]] = [
        (prepare_data, {"data": recipe.data, "output": dataset}),
        (
            train_gan,
            {
                "model": model_document(recipe),
                "dataset": dataset,
                "output": training,
                "state_dir": folder,
                "seed": seed,
            },
        ),
        (
            select_checkpoint,
            {
                "training": training,
                "dataset": dataset,
                "selection": recipe.selection,
                "evaluation": recipe.evaluation,
                "output": selected,
                "cache_dir": cache,
                "seed": seed,
            },
        ),
        (
            evaluate_gan,
            {
                "generator": selected,
                "dataset": dataset,
                "evaluation": recipe.evaluation,
                "output": report,
                "cache_dir": cache,
                "seed": seed,
            },
        ),
        (
            export_samples,
            {
                "generator": selected,
                "report": report,
                "dataset": dataset,
                "export": recipe.export,
                "output": samples,
                "cache_dir": cache,
                "seed": seed,
            },
        ),
    ]
    folder.mkdir(parents=True)
    tracking = default_address(folder.parent)
    context = RunContext(tracking_uri=tracking, state_dir=str(folder), relay="external")
    with Relay(context) as relay:
        with open_stage(PIPELINE, context) as parent:
            parent.log_params({**recipe.model_dump(mode="json"), "seed": seed})
            for step, request in requests:
                name = step.__name__.split(".")[1]
                started = time.perf_counter()
                with open_stage(name, context) as stage:
                    step.run(step.Request(**request), stage)
                print(f"{name} {time.perf_counter() - started:.1f} s", file=sys.stderr)
        relay.drain(120)


def timed(command: Callable[[Path, str, list[str]], list[str]], data: str, settings: list[str]) -> float:
    """Seconds from the start of a process to its end, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = command(Path(folder, "run"), data, settings)
        environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        environment["OMP_NUM_THREADS"] = "1"
        started = time.perf_counter()
        subprocess.run(arguments, check=True, capture_output=True, env=environment)
        return time.perf_counter() - started


def main() -> int:
    """Prints both medians and their difference; 1 when it is above the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--call-stages", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.call_stages:
        call_stages(arguments.call_stages, arguments.data, arguments.settings)
        return 0
    settings = [*SETTINGS, *arguments.settings]
    ways = {"pipeline": with_pipeline, "one process": in_one_process}
    timed(in_one_process, arguments.data, settings)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        for name, command in ways.items():
            seconds[name].append(timed(command, arguments.data, settings))
            print(f"{name:<12} {seconds[name][-1]:6.1f} s", flush=True)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    overhead = medians["pipeline"] - medians["one process"]
    print(f"overhead     {overhead:6.1f} s (medians of {arguments.rounds}; target: at most {TARGET_SECONDS:.0f} s)")
    print(json.dumps({"seconds": medians, "overhead_seconds": overhead}))
    return int(overhead > TARGET_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
