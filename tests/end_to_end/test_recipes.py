"""Recipes of latents, images and texts through the whole pipeline: what is drawn decides what is exported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

NARROW = ["networks.generator.width=4", "networks.discriminator.width=4"]
TINY = [
    "data.max_images=400", "data.size=16", "training.steps=8", "training.tick=4", "training.batch_size=16",
    "training.keep=2", "training.threads=1", "selection.samples=40", "evaluation.samples=80", "export.samples=8",
]  # fmt: skip
ATTENTION = ["networks.generator.attention=[8]", "networks.discriminator.attention=[8]"]
LATENT_FIGURES = {"grid.png", "interpolation.png"}
KINDS = {
    "biggan": ("digits", NARROW + ATTENTION, LATENT_FIGURES),
    "cyclegan": ("toy:inverted-digits", NARROW, {"grid.png", "translations.png"}),
    "stackgan": ("toy:coloured-digits", NARROW, {"grid.png", "captions.png"}),
}
"""Recipe: data, what makes it small, figures that its export must hold."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("recipe", KINDS)
def test_a_recipe_of_each_kind_runs_from_images_to_figures(recipe: str, cache: Path, tmp_path: Path) -> None:
    data, small, figures = KINDS[recipe]
    settings = [word for setting in (*TINY, *small) for word in ("--set", setting)]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    done = subprocess.run(
        [sys.executable, "-c", "from pipeline.cli import main; main()", "run", "--recipe", recipe, "--data", data,
         "--workdir", str(tmp_path / "run"), "--json", *settings],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**kept, "GAN_PIPELINE_CACHE": str(cache), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["status"] == "finished"
    assert report["metrics"]
    samples = Path(report["artifacts"]["samples"])
    assert figures <= {file.name for file in samples.glob("*.png")}
    assert "![" in (Path(report["artifacts"]["evaluation"]) / "report.md").read_text()
