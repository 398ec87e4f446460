"""A metric that an installed package adds: one record, and it is measured, written and shown like our own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gan_models.data.shape import DataShape
from gan_models.data.table import ImageTable
from gan_models.families.building import build_generator
from gan_models.recipes import load_recipe
from gan_models.sampling.generator import GeneratorInfo, save_generator
from tests.extending import examples, install

EVALUATE = """\
import sys
from pathlib import Path

from components.context import RunContext
from components.evaluate_gan import step
from components.evaluate_gan.findings import Findings
from components.stage.stage import open_stage
from gan_models.recipes.schema import Evaluation
from pipeline.results import print_results

folder, dataset = Path(sys.argv[1]), Path(sys.argv[2])
request = step.Request(
    generator=folder / "generator", dataset=dataset, evaluation=Evaluation(samples=60),
    output=folder / "report", cache_dir=folder / "cache", seed=0,
)
with open_stage("evaluate_gan", RunContext(state_dir=str(folder / "state"))) as stage:
    step.run(request, stage)
print_results(Findings.read(folder / "report"), folder, sys.stdout)
"""


@pytest.mark.slow
def test_it_reaches_the_files_the_report_and_the_table(dataset: Path, tmp_path: Path) -> None:
    metadata = ImageTable.open(dataset).metadata
    torch.manual_seed(0)
    recipe = load_recipe("dcgan", ["networks.generator.width=4"])
    info = GeneratorInfo(
        recipe_name="dcgan", image_shape=(1, 8, 8), class_names=metadata.class_names, step=6, seed=0,
        data_fingerprint=metadata.fingerprint, diversity=1.0, collapsed=False,
    )  # fmt: skip
    save_generator(tmp_path / "generator", build_generator(recipe, DataShape((1, 8, 8), 10)).state_dict(), recipe, info)
    environment = {
        **os.environ,
        "PYTHONPATH": str(install({"gan-brightness": examples()["gan-brightness"]}, tmp_path / "site")),
        "COLUMNS": "120",
    }
    done = subprocess.run(
        [sys.executable, "-c", EVALUATE, str(tmp_path), str(dataset)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "report" / "metrics.json").read_text())
    name = "brightness-classifier"
    assert 0 < found["comparison_metrics"][f"real-{name}"] < found["metrics"][name] < 1
    assert name in found["headline"]
    assert [row["better"] for row in found["rows"] if row["metric"] == "brightness"] == ["lower"]
    assert "| difference in brightness (lower is better) |" in (tmp_path / "report" / "report.md").read_text()
    assert "difference in brightness" in (tmp_path / "report" / "report.html").read_text()
    (line,) = [line for line in done.stdout.splitlines() if name in line]
    assert "lower" in line
