"""Writing a pipeline as Kubeflow's IR, with settings as the defaults of its parameters."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_models.atomic import write_text
from gan_models.errors import RequestError
from pipeline.definitions.stages import run_titles
from pipeline.request.plan import EXPERIMENT

if TYPE_CHECKING:
    from kfp.dsl.graph_component import GraphComponent


def check_output(output: Path) -> None:
    """RequestError for a file that Kubeflow would not take, or that cannot be written."""
    if output.suffix not in (".yaml", ".yml"):
        raise RequestError(f"--output {output}: Kubeflow takes a file whose name ends in .yaml")
    if not output.parent.is_dir() or not os.access(output.parent, os.W_OK):
        raise RequestError(f"--output {output}: {output.parent} is not a folder that can be written")


def about_run(name: str) -> dict[str, Any]:
    """The parameter `run` of a compiled file.

    Where a run is tracked is the business of whoever runs it: no address, so no password, goes into the file.
    """
    return {"name": name, "experiment": EXPERIMENT, "titles": run_titles()}


def write_pipeline(pipeline: GraphComponent, parameters: Mapping[str, Any], output: Path) -> None:
    """Compiles it, whole or not at all."""
    from kfp.compiler import Compiler

    with tempfile.TemporaryDirectory() as scratch:
        compiled = Path(scratch, "pipeline.yaml")
        Compiler().compile(pipeline, str(compiled), pipeline_parameters=dict(parameters))
        write_text(output, compiled.read_text(encoding="utf-8"))
