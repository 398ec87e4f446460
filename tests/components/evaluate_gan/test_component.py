"""The two judging stages as KFP components, one after the other, on colour images without labels."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from kfp import compiler, dsl
from PIL import Image

from components.evaluate_gan.component import evaluate_gan
from components.prepare_data import step as prepare
from components.select_checkpoint.component import select_checkpoint
from components.stage.stage import RunContext, open_stage
from gan_models.data.shape import DataShape
from gan_models.families.building import build_generator
from gan_models.metrics.extractors import EXTRACTORS
from gan_models.recipes import load_recipe
from gan_models.recipes.schema import Data
from gan_models.sampling.generator import GeneratorInfo, save_generator

COMPONENTS = Path(__file__).parents[3] / "components"


@pytest.fixture(autouse=True)
def run_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAN_PIPELINE_RUN", json.dumps({"state_dir": str(tmp_path / "state")}))
    monkeypatch.setenv("GAN_PIPELINE_CACHE", str(tmp_path / "cache"))


def colour_images(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    for number in range(40):
        small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        small.resize((16, 16), Image.Resampling.BICUBIC).save(folder / "images" / f"{number}.png")
    data = Data(source=f"folder:{folder / 'images'}", size=16, validation=0.25, test=0.25)
    with open_stage("prepare_data", RunContext(state_dir=str(folder / "state"))) as stage:
        prepare.run(prepare.Request(data=data, output=folder / "dataset"), stage)
    return folder / "dataset"


def artifact(kind: type[dsl.Artifact], path: Path) -> dsl.Artifact:
    return kind(name=path.name, uri=str(path), metadata={})


def outputs(folder: Path) -> dict[str, dsl.Artifact]:
    kinds = {"metrics": dsl.Metrics, "report": dsl.Artifact, "page": dsl.HTML, "summary": dsl.Markdown}
    kinds["confusion"] = dsl.ClassificationMetrics
    return {name: artifact(kind, folder / name) for name, kind in kinds.items()}


@pytest.mark.slow
@pytest.mark.skipif(not EXTRACTORS["efficientnet-lite0"].installed, reason="the extra `efficientnet` is not installed")
def test_colour_images_without_labels_are_judged_by_imagenet_features(tmp_path: Path) -> None:
    dataset = artifact(dsl.Dataset, colour_images(tmp_path))
    recipe = load_recipe("dcgan", ["networks.generator.width=4"])
    for number in (1, 2):
        torch.manual_seed(number)
        info = GeneratorInfo(
            recipe_name="dcgan", image_shape=(3, 16, 16), class_names=(), step=number, seed=0, data_fingerprint="f",
            diversity=1.0, collapsed=False,
        )  # fmt: skip
        folder = tmp_path / "training" / "generators" / f"step-{number:06d}"
        save_generator(folder, build_generator(recipe, DataShape((3, 16, 16), 0)).state_dict(), recipe, info)
    common = {"dataset": dataset, "seed": 0, "code_version": "1", "run": ""}
    evaluation = json.dumps({"samples": 8})
    selected = artifact(dsl.Model, tmp_path / "selected")
    select_checkpoint.python_func(
        training=artifact(dsl.Model, tmp_path / "training"), selection='{"samples": 6}', evaluation=evaluation,
        selected=selected, **common,
    )  # fmt: skip
    assert selected.metadata["metric"] == "FD-efficientnet-lite0"
    made = outputs(tmp_path)
    metrics = made["metrics"]
    evaluate_gan.python_func(generator=selected, evaluation=evaluation, **made, **common)
    assert "FD-efficientnet-lite0" in metrics.metadata
    assert (tmp_path / "page").read_text() == (tmp_path / "report" / "report.html").read_text()
    assert "| metric |" in (tmp_path / "summary").read_text()
    assert json.loads((tmp_path / "metrics").read_text()) == metrics.metadata
    assert made["confusion"].metadata == {}
    assert (tmp_path / "confusion").read_text() == "{}"
    findings = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert findings["classes"] is None
    assert findings["memorisation"]["searched"] == 8 < findings["real_sample"]["of"]
    assert Image.open(tmp_path / "report" / "nearest.png").mode == "RGB"


def test_wrong_requests_exit_with_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        evaluate_gan.python_func(
            generator=artifact(dsl.Model, tmp_path / "none"), dataset=artifact(dsl.Dataset, tmp_path / "none"),
            evaluation="{}", seed=0, code_version="1", run="", **outputs(tmp_path),
        )  # fmt: skip
    assert ended.value.code == 2
    assert "is not a prepared data set" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "component"), [("evaluate_gan", evaluate_gan), ("select_checkpoint", select_checkpoint)]
)
def test_compiles_installs_nothing_and_has_a_catalogue_entry(
    name: str, component: dsl.base_component.BaseComponent, tmp_path: Path
) -> None:
    compiler.Compiler().compile(component, str(tmp_path / "component.yaml"))
    assert "pip install" not in (tmp_path / "component.yaml").read_text()
    entry = yaml.safe_load((COMPONENTS / name / "metadata.yaml").read_text())
    assert entry["name"] == name
    assert (COMPONENTS / name / "README.md").read_text().startswith(f"# {name}")
