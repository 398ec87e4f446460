"""Every example of docs/extending.md, written out, installed by pip, and run together; nothing here is changed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gan_models.files import INFO_FILE, RECIPE_FILE
from gan_models.plugins import GROUPS
from tests.extending import REPO, examples, install

pytestmark = pytest.mark.slow
SETTINGS = (
    "data.size=8",
    "networks.generator={family: resize, width: 8}",
    "networks.discriminator={family: dcgan, width: 8, norm: none}",
    "game={kind: instance-noise, noise: 0.2, loss: {name: hellinger, bound: 3}}",
    "regularizers=[{name: total-variation, weight: 0.1}]",
    "training.steps=20",
    "training.tick=20",
    "training.batch_size=16",
    "training.keep=1",
    "training.threads=1",
    "selection.samples=40",
    "evaluation.samples=50",
    "export.samples=8",
)
Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Call:
    """`gan-pipeline` where all packages are installed."""
    packages = examples()
    # A generator names its task, so the two examples meet where a generator's author would have them meet.
    networks = packages["gan-resize"]["resize/networks.py"]
    smooth = networks.replace("(LatentGenerator):\n", '(LatentGenerator):\n    task = "smooth"\n\n')
    assert smooth != networks
    packages["gan-resize"]["resize/networks.py"] = smooth
    installed = install(packages, tmp_path_factory.mktemp("packages"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "GAN_PIPELINE_"))}
    environment = {**kept, "PYTHONPATH": f"{REPO}{os.pathsep}{installed}", "OMP_NUM_THREADS": "1", "COLUMNS": "160"}

    def call(*words: str | Path) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-c", "from pipeline.cli import main; main()", *map(str, words)]
        return subprocess.run(program, env=environment, capture_output=True, text=True, timeout=400)

    return call


def test_there_is_an_example_of_every_group_of_as_few_files_as_the_page_says() -> None:
    packages = examples()
    files = {}
    for package in packages.values():
        (group,) = re.findall(r'entry-points\."(.*)"', package["pyproject.toml"])
        files[group] = sorted({Path(file).name for file in package} - {"pyproject.toml"})
    assert set(files) == set(GROUPS)
    folders = {group: names for group, names in files.items() if len(names) > 1}
    assert folders == {
        "gan_pipeline.families": ["networks.py", "spec.py"],
        "gan_pipeline.games": ["game.py", "spec.py"],
        "gan_pipeline.stages": ["component.py", "step.py"],
    }


def test_their_versions_are_part_of_the_code_version(call: Call) -> None:
    with_them, without = call("version").stdout, subprocess.run(
        [sys.executable, "-c", "from pipeline.cli import main; main()", "version"], capture_output=True, text=True
    ).stdout  # fmt: skip
    for name in examples():
        assert f"{name}==1.0" in with_them
        assert name not in without
    assert with_them.split()[1] != without.split()[1]


def test_what_they_add_is_explained_and_checked_like_ours(call: Call) -> None:
    shown = call("recipes", "show", "dcgan", "--set", "game.loss=hellinger").stdout
    assert "game.loss.bound = 5.0" in shown
    assert "logits beyond it count as it" in shown
    for setting, words in {
        "game.loss=helinger": "did you mean 'hellinger'?",
        "game.loss={name: hellinger, bound: 0}": "game.loss.bound",
        "networks.generator={family: resize, widht: 8}": "did you mean 'width'?",
        "regularizers=[{name: total-variation, player: discriminator}]": "'total-variation' belongs to the generator",
    }.items():
        refused = call("run", "--set", setting)
        assert refused.returncode == 2
        assert words in refused.stderr
    size = call("run", "--set", "data.size=10", "--set", "networks={generator: {family: resize}, discriminator: mlp}")
    assert (size.returncode, "use a multiple of 4" in size.stderr) == (2, True), size.stderr
    assert "write stripes:<count>, as in stripes:500" in call("run", "--data", "stripes:many").stderr


def test_one_run_goes_through_all_of_them(call: Call, tmp_path: Path) -> None:
    lines = tmp_path / "runs.jsonl"
    words = [word for setting in SETTINGS for word in ("--set", setting)]
    where = ("--workdir", tmp_path / "run", "--tracking-uri", f"lines:{lines}", "--engine", "nice", "--json")
    done = call("run", "--recipe", "dcgan", "--data", "stripes:300", *where, *words)
    assert done.returncode == 0, done.stderr
    results = tmp_path / "run/results"
    report = json.loads((results / "evaluation/metrics.json").read_text())
    # Metric and task.
    assert 0 <= report["metrics"]["brightness-classifier"] <= 1
    assert 0 <= report["metrics"]["step-50"] <= 1
    assert "difference in brightness" in (results / "evaluation/report.md").read_text()
    # Stage, with its title and its result.
    assert "✓ 6 measure contrast: " in done.stderr
    assert 0 < json.loads((results / "contrast/contrast.json").read_text())["mean"] <= 127.5
    # Tracker, which was sent what loss, regularizer and game measured.
    sent = [json.loads(line) for line in lines.read_text().splitlines()]
    assert {line["stage"] for line in sent} >= {"2 train", "4 evaluate", "6 measure contrast"}
    assert {"D/loss", "G/loss", "G/total-variation"} <= _metrics(sent)
    # Family and source, in what a generator says of itself.
    recipe = yaml.safe_load((results / "generator" / RECIPE_FILE).read_text())
    assert recipe["networks"]["generator"] == {"family": "resize", "width": 8, "init": "family"}
    assert json.loads((results / "generator" / INFO_FILE).read_text())["class_names"] == ["lying", "upright"]
    # Its samples are drawn afterwards, by a process that knows the package.
    drawn = call("sample", tmp_path / "run", "--num", "4", "-o", tmp_path / "four.png")
    assert drawn.returncode == 0, drawn.stderr
    again = call("run", "--recipe", "dcgan", "--data", "stripes:300", *where, *words)
    assert "✓ 6 measure contrast: unchanged" in again.stderr, again.stderr


def _metrics(sent: list[dict[str, Any]]) -> set[str]:
    return set(re.findall(r'"([DG]/[a-z_-]+)"', json.dumps(sent)))
