"""Selection: the nearest to held-out images wins, collapsed generators never do."""

import csv
import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from components.artifacts import Choice, Curves, Training
from components.select_checkpoint import step
from components.stage.stage import RunContext, Stage, open_stage
from gan_models.data.shape import DataShape
from gan_models.data.table import ImageTable
from gan_models.errors import RequestError, RunError
from gan_models.families.building import build_generator
from gan_models.metrics import judge
from gan_models.recipes import load_recipe
from gan_models.recipes.schema import Evaluation, Selection
from gan_models.sampling.generator import GeneratorInfo, LoadedGenerator, Samples, load_generator, save_generator

RECIPE = load_recipe("vanilla", ["networks.generator.widths=[8]", "networks.latent=4"])


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


class NoisyDigits(LoadedGenerator):
    """Stands for a generator after so many steps: real digits, the noisier the further from step 200."""

    digits: torch.Tensor

    def sample(self, num: int, *, seed: int, labels: torch.Tensor | None = None, **_: object) -> Samples:
        latents = torch.randn(num, *self.digits.shape[1:], generator=torch.Generator().manual_seed(seed))
        noise = latents * abs(self.info.step - 200)
        inputs = {"latents": latents} | ({} if labels is None else {"labels": labels})
        return Samples((self.digits[:num] + noise).round().clamp(0, 255).to(torch.uint8), inputs)


@pytest.fixture(autouse=True)
def noisy_digits(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    NoisyDigits.digits = ImageTable.open(dataset).split("train").images

    def load(folder: Path, device: torch.device) -> NoisyDigits:
        loaded = load_generator(folder)
        return NoisyDigits(loaded.module, loaded.recipe, loaded.info, device)

    monkeypatch.setattr(judge, "load_generator", load)


def save(training: Path, number: int, collapsed: bool = False) -> None:
    info = GeneratorInfo(
        recipe_name="vanilla", image_shape=(1, 8, 8), class_names=tuple("0123456789"), step=number, seed=0,
        data_fingerprint="f", diversity=0.01 if collapsed else 1.0, collapsed=collapsed,
    )  # fmt: skip
    torch.manual_seed(number)
    weights = build_generator(RECIPE, DataShape((1, 8, 8), 10)).state_dict()
    save_generator(training / "generators" / f"step-{number:06d}", weights, RECIPE, info)


def select(training: Path, dataset: Path, cache: Path, folder: Path, samples: int = 60) -> Choice:
    request = step.Request(
        training=training, dataset=dataset, selection=Selection(samples=samples), evaluation=Evaluation(),
        output=folder / "selected", cache_dir=cache, seed=0,
    )  # fmt: skip
    with open_stage("select_checkpoint", RunContext(state_dir=str(folder / "state"))) as stage:
        return step.run(request, stage)


def test_the_generator_nearest_to_validation_images_is_handed_on(
    dataset: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged = {}
    monkeypatch.setattr(
        Stage, "log_checkpoint", lambda _, name, step, metrics: logged.update({name: (step, dict(metrics))})
    )
    for number in (100, 190, 300):
        save(tmp_path / "training", number)
    result = select(tmp_path / "training", dataset, cache, tmp_path)
    assert result.step == 190
    assert result.metric == "FD-classifier"
    assert result.protocol.sentence.startswith("60 images against ")
    assert result.protocol.reference.split == "validation"
    chosen = load_generator(tmp_path / "selected")
    original = load_generator(tmp_path / "training" / "generators" / "step-000190")
    assert chosen.info == original.info
    assert torch.equal(chosen.sample(4, seed=1).images, original.sample(4, seed=1).images)
    rows = list(csv.DictReader((tmp_path / "selected" / "selection.csv").open()))
    assert [int(row["step"]) for row in rows] == [100, 190, 300]
    assert min(rows, key=lambda row: float(row["score"]))["step"] == "190"
    written = json.loads((tmp_path / "selected" / "selection.json").read_text())
    assert written["step"] == 190
    assert written["protocol"]["extractor"]["name"] == "classifier"
    assert Image.open(tmp_path / "selected" / "selection.png").width > 300
    assert logged["step-000190"] == (190, {result.metric: result.score, "diversity": 1.0})
    assert len(logged) == 3


def test_what_the_report_tells_of_the_training_is_handed_on(dataset: Path, cache: Path, tmp_path: Path) -> None:
    save(tmp_path / "training", 100)
    select(tmp_path / "training", dataset, cache, tmp_path)
    assert Curves.read(tmp_path / "selected").steps == []  # generators without a past are enough to choose from
    assert not (tmp_path / "selected" / "training.json").exists()
    (tmp_path / "training" / "history.csv").write_text("step,D/loss\n50.0,0.5\n100.0,0.25\n")
    ended = Training(
        recipe="vanilla", recipe_digest="d", data_fingerprint="f", seed=0, steps=100, seconds=1.5, collapsed=False,
        unhealthy_steps=(), generators=1, last_metrics={}, environment={},
    )  # fmt: skip
    ended.write(tmp_path / "training")
    chosen = select(tmp_path / "training", dataset, cache, tmp_path)
    assert Curves.read(tmp_path / "selected") == Curves(steps=[50, 100], series={"D/loss": [0.5, 0.25]})
    assert Training.read(tmp_path / "selected") == ended
    assert chosen.seconds is not None


def test_a_collapsed_generator_is_refused_however_good_its_score(dataset: Path, cache: Path, tmp_path: Path) -> None:
    save(tmp_path / "training", 100)
    save(tmp_path / "training", 200, collapsed=True)
    result = select(tmp_path / "training", dataset, cache, tmp_path)
    assert (result.step, result.collapsed, result.candidates) == (100, 1, 2)


def test_a_generator_that_is_not_finite_is_left_out_and_said_so(
    dataset: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (100, 200, 300):
        save(tmp_path / "training", number)
    spoil(tmp_path / "training/generators/step-000200")
    with pytest.raises(RequestError, match=r"weights \S+ hold NaN or infinite values"):
        load_generator(tmp_path / "training/generators/step-000200")
    assert select(tmp_path / "training", dataset, cache, tmp_path).step in (100, 300)
    assert "left out, because their weights are not finite: step-000200" in capsys.readouterr().err
    for number in (100, 300):
        spoil(tmp_path / f"training/generators/step-000{number}")
    with pytest.raises(RunError, match=r"no checkpoint of .* has finite weights"):
        select(tmp_path / "training", dataset, cache, tmp_path)


def spoil(folder: Path) -> None:
    weights = load_file(folder / "generator.safetensors")
    next(each for each in weights.values() if each.is_floating_point()).view(-1)[0] = math.inf
    save_file(weights, folder / "generator.safetensors")


def test_all_collapsed_is_a_failed_run_that_leaves_nothing_behind(dataset: Path, cache: Path, tmp_path: Path) -> None:
    for number in (100, 200):
        save(tmp_path / "training", number, collapsed=True)
    with pytest.raises(RunError, match=r"all 2 checkpoints of .* have collapsed .* train again"):
        select(tmp_path / "training", dataset, cache, tmp_path)
    assert not (tmp_path / "selected").exists()


def test_a_score_that_is_no_number_is_not_called_a_collapse(
    dataset: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path / "training", 100)
    save(tmp_path / "training", 200, collapsed=True)
    scored = step._scored
    monkeypatch.setattr(step, "_scored", lambda *given: scored(*given)._replace(score=math.nan))
    with pytest.raises(
        RunError, match=r"has a score: FD-classifier is no number by \d+ images .* raise selection.samples"
    ):
        select(tmp_path / "training", dataset, cache, tmp_path)


def test_scores_do_not_depend_on_what_else_was_kept(dataset: Path, cache: Path, tmp_path: Path) -> None:
    save(tmp_path / "one", 100)
    save(tmp_path / "two", 100)
    save(tmp_path / "two", 50)
    alone, among = (select(tmp_path / name, dataset, cache, tmp_path / f"{name}-out") for name in ("one", "two"))
    assert alone.score == among.score


def test_a_folder_without_generators_is_refused(dataset: Path, cache: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"has no generators/step-\*; run train_gan first"):
        select(tmp_path, dataset, cache, tmp_path)


def test_generators_of_other_data_are_refused(dataset_9: Path, cache: Path, tmp_path: Path) -> None:
    save(tmp_path / "training", 100)
    with pytest.raises(RequestError, match="name the data set it was trained on"):
        select(tmp_path / "training", dataset_9, cache, tmp_path)


def test_one_sample_is_refused(dataset: Path, cache: Path, tmp_path: Path) -> None:
    save(tmp_path / "training", 100)
    with pytest.raises(RequestError, match=r"selection\.samples must be at least 2"):
        select(tmp_path / "training", dataset, cache, tmp_path, samples=1)
