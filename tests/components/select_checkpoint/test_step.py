"""Selection: the nearest to held-out images wins, collapsed generators never do."""

import csv
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from components.select_checkpoint import step
from components.shared.stage import RunContext, Stage, open_stage
from gan_models.data.table import ImageTable, to_float
from gan_models.errors import RequestError, RunError
from gan_models.networks import build_generator
from gan_models.recipes import load_recipe
from gan_models.recipes.schema import Evaluation, Selection
from gan_models.sampling.generator import GeneratorInfo, load_generator, save_generator

RECIPE = load_recipe("vanilla", ["networks.generator.widths=[8]", "networks.latent=4"])
SHAPE = (1, 8, 8)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def save(training: Path, number: int, spread: float, mean: torch.Tensor, collapsed: bool = False) -> None:
    """A generator of images around `mean`; the larger its spread, the worse."""
    torch.manual_seed(number)
    weights = build_generator(RECIPE, SHAPE, 10).state_dict()
    last = max((name for name in weights if name.endswith("bias")), key=list(weights).index)
    weights[last] = torch.atanh(mean.flatten().clamp(-0.99, 0.99))
    scale = last.replace("bias", "weight")
    weights[scale] = weights[scale] * spread
    info = GeneratorInfo(
        recipe_name="vanilla", image_shape=SHAPE, class_names=tuple("0123456789"), step=number, seed=0,
        data_fingerprint="f", diversity=0.01 if collapsed else 1.0, collapsed=collapsed,
    )  # fmt: skip
    save_generator(training / "generators" / f"step-{number:06d}", weights, RECIPE, info)


@pytest.fixture
def mean_digit(dataset: Path) -> torch.Tensor:
    return to_float(ImageTable.open(dataset).split("train").images).mean(dim=0)


def select(training: Path, dataset: Path, cache: Path, folder: Path, samples: int = 60) -> step.Result:
    request = step.Request(
        training=training, dataset=dataset, selection=Selection(samples=samples), evaluation=Evaluation(),
        output=folder / "selected", cache_dir=cache, seed=0,
    )  # fmt: skip
    with open_stage("select_checkpoint", RunContext(state_dir=str(folder / "state"))) as stage:
        return step.run(request, stage)


def test_the_generator_nearest_to_validation_images_is_handed_on(
    dataset: Path, mean_digit: torch.Tensor, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = {}
    monkeypatch.setattr(
        Stage, "log_checkpoint", lambda _, name, step, metrics: logged.update({name: (step, dict(metrics))})
    )
    for number, mean in ((100, -mean_digit), (200, mean_digit), (300, -mean_digit * 0)):
        save(tmp_path / "training", number, 1.0, mean)
    result = select(tmp_path / "training", dataset, cache, tmp_path)
    assert result.step == 200
    assert result.metric == "FD-classifier-validation-60"
    chosen = load_generator(tmp_path / "selected")
    original = load_generator(tmp_path / "training" / "generators" / "step-000200")
    assert chosen.info == original.info
    assert torch.equal(chosen.sample(4, seed=1).images, original.sample(4, seed=1).images)
    rows = list(csv.DictReader((tmp_path / "selected" / "selection.csv").open()))
    assert [int(row["step"]) for row in rows] == [100, 200, 300]
    assert min(rows, key=lambda row: float(row["score"]))["step"] == "200"
    written = json.loads((tmp_path / "selected" / "selection.json").read_text())
    assert written["step"] == 200
    assert written["extractor_details"]["name"] == "classifier"
    assert Image.open(tmp_path / "selected" / "selection.png").width > 300
    assert logged["step-000200"] == (200, {result.metric: result.score, "diversity": 1.0})
    assert len(logged) == 3


def test_a_collapsed_generator_is_refused_however_good_its_score(
    dataset: Path, mean_digit: torch.Tensor, cache: Path, tmp_path: Path
) -> None:
    save(tmp_path / "training", 100, 1.0, -mean_digit)
    save(tmp_path / "training", 200, 1.0, mean_digit, collapsed=True)
    result = select(tmp_path / "training", dataset, cache, tmp_path)
    assert (result.step, result.collapsed, result.candidates) == (100, 1, 2)


def test_all_collapsed_is_a_failed_run_that_leaves_nothing_behind(
    dataset: Path, mean_digit: torch.Tensor, cache: Path, tmp_path: Path
) -> None:
    for number in (100, 200):
        save(tmp_path / "training", number, 1.0, mean_digit, collapsed=True)
    with pytest.raises(RunError, match=r"all 2 checkpoints of .* have collapsed .* train again"):
        select(tmp_path / "training", dataset, cache, tmp_path)
    assert not (tmp_path / "selected").exists()


def test_scores_do_not_depend_on_what_else_was_kept(
    dataset: Path, mean_digit: torch.Tensor, cache: Path, tmp_path: Path
) -> None:
    save(tmp_path / "one", 100, 1.0, mean_digit)
    save(tmp_path / "two", 100, 1.0, mean_digit)
    save(tmp_path / "two", 50, 1.0, -mean_digit)
    alone, among = (select(tmp_path / name, dataset, cache, tmp_path / f"{name}-out") for name in ("one", "two"))
    assert alone.score == among.score


def test_a_folder_without_generators_is_refused(dataset: Path, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"has no generators/step-\*; run train_gan first"):
        select(tmp_path, dataset, cache, tmp_path)


def test_generators_of_other_data_are_refused(
    dataset_9: Path, mean_digit: torch.Tensor, cache: Path, tmp_path: Path
) -> None:
    save(tmp_path / "training", 100, 1.0, mean_digit)
    with pytest.raises(RequestError, match="name the data set it was trained on"):
        select(tmp_path / "training", dataset_9, cache, tmp_path)
