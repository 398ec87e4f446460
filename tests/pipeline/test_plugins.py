"""A stage of another package, where no run is needed to see it: the others are in end_to_end/test_extending.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.extending import REPO, examples, install

STAGE = "gan-measure-contrast"
COMPILE = """
import sys, yaml
from kfp.compiler import Compiler
from pipeline.definitions.retraining import make_retraining_pipeline
Compiler().compile(make_retraining_pipeline(), sys.argv[1])
components = next(yaml.safe_load_all(open(sys.argv[1])))["components"]
tasks = components["comp-condition-2"]["dag"]["tasks"]
print(tasks["measure-contrast"]["inputs"]["artifacts"]["samples"]["taskOutputArtifact"]["producerTask"])
"""


def call(package: dict[str, str], folder: Path, program: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """A program where the package is installed."""
    path = f"{REPO}{os.pathsep}{install({STAGE: package}, folder / 'packages')}"
    command = [sys.executable, "-c", program, *map(str, words)]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)


def test_a_retraining_has_the_stage(tmp_path: Path) -> None:
    compiled = call(examples()[STAGE], tmp_path, COMPILE, tmp_path / "retraining.yaml")
    assert compiled.stdout == "export-samples\n", compiled.stderr


def test_a_stage_that_does_not_fit_is_refused_before_anything_runs(tmp_path: Path) -> None:
    package = examples()[STAGE]
    file = "measure_contrast/component.py"
    package[file] = package[file].replace("samples: Input", "sample: Input").replace("samples.path", "sample.path")
    words = ("run", "--data", "digits", "--workdir", tmp_path / "run")
    ended = call(package, tmp_path, "from pipeline.cli import main; main()", *words)
    assert ended.returncode == 2
    assert "the stage 'measure_contrast' asks for 'sample', which is neither a parameter" in ended.stderr
    assert not list((tmp_path / "run/artifacts").iterdir())
