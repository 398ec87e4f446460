"""`gan-pipeline compile`: the training pipeline as Kubeflow's intermediate representation, ready to run as it is."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import typer

from gan_models.atomic import write_text
from gan_models.errors import RequestError
from pipeline.definitions.stages import run_titles
from pipeline.request.place import EXPERIMENT, default_name
from pipeline.request.plan import make_plan
from pipeline.request.request import Request


def compile_command(output: Path, request: Request) -> int:
    """Writes the YAML; equal settings give equal bytes."""
    if output.suffix not in (".yaml", ".yml"):
        raise RequestError(f"--output {output}: Kubeflow takes a file whose name ends in .yaml")
    if not output.parent.is_dir() or not os.access(output.parent, os.W_OK):
        raise RequestError(f"--output {output}: {output.parent} is not a folder that can be written")
    plan = make_plan(request)

    from kfp.compiler import Compiler

    from pipeline.definitions.training import training_pipeline

    # Where a run is tracked is the business of whoever runs it: no address, so no password, goes into the file.
    about = json.dumps({"name": default_name(plan), "experiment": EXPERIMENT, "titles": run_titles()})
    with tempfile.TemporaryDirectory() as scratch:
        compiled = Path(scratch, "pipeline.yaml")
        Compiler().compile(training_pipeline, str(compiled), pipeline_parameters={**plan.parameters(), "run": about})
        write_text(output, compiled.read_text(encoding="utf-8"))
    typer.echo(f"{output}: {plan.recipe.name} on {plan.recipe.data.source}, seed {plan.seed}", err=True)
    return 0
