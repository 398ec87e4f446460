"""A stage and an engine of other packages, found by their entry points: nothing of the project is changed for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]
SETTINGS = [
    "data.size=8",
    "networks.generator.width=8",
    "networks.discriminator.width=8",
    "training.steps=20",
    "training.tick=20",
    "training.batch_size=16",
    "training.keep=1",
    "training.threads=1",
    "selection.samples=50",
    "evaluation.samples=100",
    "export.samples=8",
]
RUN = ["run", "--data", "digits", "--json", *(word for setting in SETTINGS for word in ("--set", setting))]

STAGE = {
    "brightness/__init__.py": """\
from pipeline.definitions.stages import Stage

STAGE = Stage("brightness.component:measure_brightness", "measure brightness", results={"brightness": "brightness"})
""",
    "brightness/component.py": """\
from kfp import dsl
from kfp.dsl import Artifact, Input, Output


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def measure_brightness(samples: Input[Artifact], code_version: str, run: str, brightness: Output[Artifact]) -> None:
    from pathlib import Path

    from brightness import step
    from components.stage.stage import run_component

    run_component(
        "measure_brightness", lambda stage: step.run(Path(samples.path), Path(brightness.path), stage), run=run
    )
""",
    "brightness/step.py": """\
import json
from pathlib import Path

from PIL import Image, ImageStat

from components.stage.stage import Stage


def run(samples: Path, output: Path, stage: Stage) -> None:
    \"\"\"Writes the mean brightness of the exported samples, from 0 to 255, and logs it.\"\"\"
    files = sorted((samples / "images").glob("*.png"))
    mean = sum(ImageStat.Stat(Image.open(file).convert("L")).mean[0] for file in files) / len(files)
    output.mkdir(parents=True)
    (output / "brightness.json").write_text(json.dumps({"mean": mean}))
    stage.log_metrics({"brightness/mean": mean})
    stage.note(f"the {len(files)} samples have a mean brightness of {mean:.1f}")
""",
    "my_stages-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: my-stages\nVersion: 1.0\n",
    "my_stages-1.0.dist-info/entry_points.txt": """\
[gan_pipeline.stages]
measure_brightness = brightness:STAGE
""",
}

ENGINE = {
    "nice/__init__.py": """\
import os

from pipeline.engines.local.engine import LocalEngine
from pipeline.engines.protocol import Job, Outcome


class NiceEngine(LocalEngine):
    \"\"\"The local engine, with the lowest priority.\"\"\"

    def run(self, job: Job) -> Outcome:
        os.nice(19)
        return super().run(job)


ENGINE = NiceEngine()
""",
    "nice-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: nice\nVersion: 1.0\n",
    "nice-1.0.dist-info/entry_points.txt": "[gan_pipeline.engines]\nnice = nice:ENGINE\n",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """A Python of its own with both packages, for whatever one may run in it."""
    packages = write(tmp_path_factory.mktemp("packages"), STAGE | ENGINE)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "GAN_PIPELINE_"))}
    environment = {**kept, "PYTHONPATH": f"{REPO}{os.pathsep}{packages}", "OMP_NUM_THREADS": "1"}

    def call(
        *arguments: str | Path, program: str = "from pipeline.cli import main; main()"
    ) -> subprocess.CompletedProcess:
        words = [sys.executable, "-c", program, *map(str, arguments)]
        return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=400)

    return call


def test_they_are_part_of_the_version(call: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert call("version").stdout.endswith(" (with my-stages==1.0, nice==1.0)\n")


@pytest.mark.slow
def test_a_run_has_the_stage_and_is_done_by_the_engine(
    call: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    first = call(*RUN, "--workdir", tmp_path / "run", "--engine", "nice")
    assert first.returncode == 0, first.stderr
    assert "✓ 6 measure brightness: " in first.stderr
    assert "the 8 samples have a mean brightness of " in first.stderr
    folder = Path(json.loads(first.stdout.splitlines()[-1])["artifacts"]["brightness"])
    assert folder == tmp_path / "run/results/brightness"
    assert 0 < json.loads((folder / "brightness.json").read_text())["mean"] < 255
    again = call(*RUN, "--workdir", tmp_path / "run")
    assert "✓ 6 measure brightness: unchanged" in again.stderr
    runs = call(tmp_path / "mlflow.db", program=SHOW_RUNS).stdout.splitlines()
    assert "6 measure brightness" in runs


SHOW_RUNS = """
import sys, mlflow
mlflow.set_tracking_uri(f"sqlite:///{sys.argv[1]}")
print(*mlflow.search_runs(search_all_experiments=True)["tags.mlflow.runName"], sep="\\n")
"""

COMPILE = """
import sys, yaml
from kfp.compiler import Compiler
from pipeline.definitions.retraining import retraining_pipeline
Compiler().compile(retraining_pipeline, sys.argv[1])
components = next(yaml.safe_load_all(open(sys.argv[1])))["components"]
tasks = components["comp-condition-2"]["dag"]["tasks"]
print(tasks["measure-brightness"]["inputs"]["artifacts"]["samples"]["taskOutputArtifact"]["producerTask"])
"""


def test_a_retraining_has_the_stage(call: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    compiled = call(tmp_path / "retraining.yaml", program=COMPILE)
    assert compiled.stdout == "export-samples\n", compiled.stderr


def test_a_stage_that_does_not_fit_is_refused_before_anything_runs(tmp_path: Path) -> None:
    files = STAGE | {"brightness/component.py": STAGE["brightness/component.py"].replace("samples", "sample")}
    packages = write(tmp_path / "packages", files)
    ended = subprocess.run(
        [sys.executable, "-c", "from pipeline.cli import main; main()", *RUN[:3], "--workdir", tmp_path / "run"],
        env={**os.environ, "PYTHONPATH": f"{REPO}{os.pathsep}{packages}"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2
    assert "the stage 'measure_brightness' asks for 'sample', which is neither a parameter" in ended.stderr
    assert not list((tmp_path / "run/artifacts").iterdir())
