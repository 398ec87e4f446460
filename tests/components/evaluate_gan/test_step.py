"""The evaluation: names, what stands beside each figure, what is caught, and what reaches the run."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from kfp import dsl
from PIL import Image
from torch import Tensor

from components.evaluate_gan import step
from components.evaluate_gan.component import evaluate_gan
from components.evaluate_gan.findings import Findings
from components.stage.stage import RunContext, Stage, open_stage
from gan_models.data.shape import DataShape
from gan_models.data.table import ImageTable
from gan_models.errors import RequestError
from gan_models.families.building import build_generator
from gan_models.metrics import judge
from gan_models.metrics.metric import Metric
from gan_models.metrics.scores import METRICS
from gan_models.recipes import load_recipe
from gan_models.recipes.schema import Evaluation
from gan_models.sampling.generator import GeneratorInfo, LoadedGenerator, Samples, load_generator, save_generator

SMALL = ["networks.generator.width=4"]
Evaluate = Callable[..., Findings]
OUTPUTS = {
    "metrics": dsl.Metrics, "report": dsl.Artifact, "page": dsl.HTML, "summary": dsl.Markdown,
    "confusion": dsl.ClassificationMetrics,
}  # fmt: skip


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def generator(dataset: Path, tmp_path: Path) -> Path:
    """An untrained conditional generator."""
    metadata = ImageTable.open(dataset).metadata
    torch.manual_seed(0)
    recipe = load_recipe("cgan-projection", SMALL)
    info = GeneratorInfo(
        recipe_name="cgan-projection", image_shape=(1, 8, 8), class_names=metadata.class_names, step=6, seed=0,
        data_fingerprint=metadata.fingerprint, diversity=1.0, collapsed=False,
    )  # fmt: skip
    save_generator(tmp_path / "generator", build_generator(recipe, DataShape((1, 8, 8), 10)).state_dict(), recipe, info)
    return tmp_path / "generator"


@pytest.fixture
def evaluate(generator: Path, dataset: Path, cache: Path, tmp_path: Path) -> Evaluate:
    def call(samples: int = 150, data: Path = dataset, seed: int = 0, truncations: tuple[float, ...] = ()) -> Findings:
        request = step.Request(
            generator=generator, dataset=data, evaluation=Evaluation(samples=samples, truncations=truncations),
            output=tmp_path / "report", cache_dir=cache, seed=seed,
        )  # fmt: skip
        with open_stage("evaluate_gan", RunContext(state_dir=str(tmp_path / "state"))) as stage:
            return step.run(request, stage)

    return call


class Remembered(LoadedGenerator):
    """Stands for a generator that learnt images by heart: it gives back these, of the classes asked for."""

    images: Tensor
    known: Tensor

    def sample(self, num: int, *, seed: int, labels: Tensor | None = None, **_: object) -> Samples:
        assert labels is not None
        draw = torch.Generator().manual_seed(seed)
        rows = []
        for label in labels:
            of_class = torch.nonzero(self.known == label)[:, 0]
            rows.append(of_class[torch.randint(len(of_class), (1,), generator=draw)])
        return Samples(self.images[torch.cat(rows)], {"labels": labels})


@pytest.fixture
def remember(monkeypatch: pytest.MonkeyPatch, dataset: Path) -> Callable[[str, int], None]:
    """Lets the generator give back the first images of a split."""

    def set_up(split: str, count: int) -> None:
        loaded = ImageTable.open(dataset).split(split)
        assert loaded.labels is not None
        Remembered.images, Remembered.known = loaded.images[:count], loaded.labels[:count]

        def load(folder: Path, device: torch.device) -> Remembered:
            real = load_generator(folder)
            return Remembered(real.module, real.recipe, real.info, device)

        monkeypatch.setattr(judge, "load_generator", load)

    return set_up


def written(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "report" / "metrics.json").read_text())
    return document


def test_every_figure_names_extractor_split_and_count(evaluate: Evaluate, tmp_path: Path) -> None:
    result = evaluate()
    by_split = {"FD", "KID", "precision", "recall", "density", "coverage"}
    assert {f"{metric}-classifier" for metric in by_split} <= set(result.metrics)
    assert {"IS-classifier", "agreement-classifier"} <= set(result.metrics)
    assert "IS-classifier-std" not in result.metrics  # of one split
    assert not any("FID" in name for name in result.metrics)
    assert next(iter(result.headline)) == "FD-classifier"
    assert written(tmp_path)["metrics"] == pytest.approx(result.metrics)


def test_the_class_asked_for_stands_against_the_class_seen(
    evaluate: Evaluate, remember: Callable[[str, int], None]
) -> None:
    remember("train", 1000)
    found = evaluate().classes
    assert found is not None
    assert found.confusion is not None
    counts = torch.tensor(found.confusion)
    assert counts.shape == (10, 10)
    assert int(counts.sum()) == 150
    assert float(counts.diagonal().sum() / 150) == pytest.approx(found.agreement)
    assert (counts.sum(dim=0) / 150).tolist() == pytest.approx(found.generated_shares)


def test_kubeflow_is_shown_it(
    generator: Path, dataset: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAN_PIPELINE_CACHE", str(cache))
    made = {name: kind(name=name, uri=str(tmp_path / name), metadata={}) for name, kind in OUTPUTS.items()}
    evaluate_gan.python_func(
        generator=dsl.Model(uri=str(generator)), dataset=dsl.Dataset(uri=str(dataset)), seed=0, code_version="1",
        evaluation=json.dumps({"samples": 50}), run=json.dumps({"state_dir": str(tmp_path / "state")}), **made,
    )  # fmt: skip
    matrix = made["confusion"].metadata["confusionMatrix"]
    assert [spec["displayName"] for spec in matrix["annotationSpecs"]] == [str(digit) for digit in range(10)]
    assert sum(sum(row["row"]) for row in matrix["rows"]) == 50
    assert json.loads((tmp_path / "confusion").read_text()) == made["confusion"].metadata


def test_real_images_stand_beside_every_figure(evaluate: Evaluate, tmp_path: Path) -> None:
    evaluate()
    found = written(tmp_path)
    for row in found["rows"]:
        assert row["real"]["name"].startswith("real-")
        assert row["real"]["images"] == row["generated"]["images"] == 150
        assert row["generated_at_real"] is None
    worse = {row["metric"]: (row["generated"]["value"], row["real"]["value"]) for row in found["rows"]}
    assert worse["FD"][0] > 10 * worse["FD"][1]
    assert worse["coverage"][0] < worse["coverage"][1]


def test_fewer_real_images_than_generated_ones_are_matched_and_said(evaluate: Evaluate, tmp_path: Path) -> None:
    evaluate(samples=1600)
    found = written(tmp_path)
    training = found["real_sample"]["of"]
    assert training < 1600
    for row in found["rows"]:
        assert row["generated"]["images"] == 1600
        assert row["real"]["images"] == row["generated_at_real"]["images"] == training
    assert any(f"column of the first {training} generated ones" in note for note in found["notes"])
    assert f"first {training} generated" in (tmp_path / "report" / "report.md").read_text()


def test_everything_the_figures_depend_on_is_written(evaluate: Evaluate, tmp_path: Path) -> None:
    evaluate()
    found = written(tmp_path)
    assert len(found["protocol"]["extractor"]["weights_sha256"]) == 64
    assert found["protocol"]["extractor"]["accuracy"]["test"] > 0.9
    assert found["reference"]["split"] == "test"
    assert found["reference"]["images"] == 150
    assert found["protocol"]["parameters"] == {
        "is_splits": 1,
        "kid_subsets": 100,
        "kid_subset_size": 75,
        "neighbours": 5,
    }
    assert "environment.torch" in found["environment"]
    assert any("biased upwards when images are few" in note for note in found["notes"])
    assert any(note.startswith("The Inception Score is over 1 split, not 10") for note in found["notes"])
    assert any("can't be compared with published" in note for note in found["notes"])


def test_the_report_has_a_table_and_pictures_that_are_there(evaluate: Evaluate, tmp_path: Path) -> None:
    evaluate()
    text = (tmp_path / "report" / "report.md").read_text()
    assert "| metric | generated (150) | real (150) |" in text
    assert "Frechet distance (lower is better)" in text
    pictures = re.findall(r"\]\((.+\.png)\)", text)
    assert pictures == ["samples.png", "real.png", "nearest.png", "best.png", "worst.png", "classes.png"]
    for name in pictures:
        assert Image.open(tmp_path / "report" / name).width > 100
    page = (tmp_path / "report" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 5  # classes are a table of the page
    assert "http" not in page.replace("http-equiv", "")


def test_a_truncation_curve_joins_the_report_and_moves_no_figure(evaluate: Evaluate, tmp_path: Path) -> None:
    without = evaluate()
    assert written(tmp_path)["truncation"] == []
    assert evaluate(truncations=(0.5, 1.0)).model_copy(update={"truncation": []}) == without
    found = written(tmp_path)
    assert [point["threshold"] for point in found["truncation"]] == [None, 1.0, 0.5]
    assert found["truncation"][0]["fd"] == pytest.approx(found["metrics"]["FD-classifier"])
    assert found["truncation"][0]["inception_score"] == pytest.approx(found["metrics"]["IS-classifier"])
    text = (tmp_path / "report" / "report.md").read_text()
    assert "| latents cut off at | Inception Score | Frechet distance |" in text
    assert "](truncation.png)" in text
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Inception Score over Frechet distance by truncation threshold" in page


def test_a_generator_that_learnt_its_training_images_by_heart_is_caught(
    evaluate: Evaluate, remember: Callable[[str, int], None], tmp_path: Path
) -> None:
    remember("train", 10_000)
    evaluate()
    copying = written(tmp_path)
    assert copying["memorisation"]["distance_ratio"] < 0.01
    assert copying["classes"]["agreement"] > 0.95
    remember("validation", 10_000)
    evaluate()
    honest = written(tmp_path)
    assert 0.5 < honest["memorisation"]["distance_ratio"] < 1.5
    assert copying["memorisation"]["gap"] > honest["memorisation"]["gap"]
    nearest = Image.open(tmp_path / "report" / "nearest.png")
    assert nearest.width > nearest.height


def test_few_memorised_images_cover_little(
    evaluate: Evaluate, remember: Callable[[str, int], None], tmp_path: Path
) -> None:
    remember("train", 20)
    evaluate()
    figures = {row["metric"]: row for row in written(tmp_path)["rows"]}
    assert figures["precision"]["generated"]["value"] > 0.8
    for metric in ("recall", "coverage"):
        assert figures[metric]["generated"]["value"] < figures[metric]["real"]["value"] - 0.2


def test_figures_are_repeatable_and_depend_on_the_seed(evaluate: Evaluate) -> None:
    assert evaluate().metrics == evaluate().metrics
    assert evaluate().metrics != evaluate(seed=5).metrics


def test_headline_and_report_reach_the_run(evaluate: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: dict[str, Any] = {"files": []}
    logged["on the pipeline's page"] = []

    def log_artifact(_: Stage, path: Path, folder: str = "", *, of_pipeline: bool = False) -> None:
        logged["on the pipeline's page" if of_pipeline else "files"].append(Path(path).name)

    monkeypatch.setattr(Stage, "log_artifact", log_artifact)
    monkeypatch.setattr(Stage, "log_metrics", lambda _, metrics, step=0: logged.update(metrics=dict(metrics)))
    monkeypatch.setattr(
        Stage, "headline", lambda _, metrics, markdown, tags=None: logged.update(headline=metrics, markdown=markdown)
    )
    result = evaluate()
    assert {"metrics.json", "report.md", "report.html", "samples.png", "nearest.png"} <= set(logged["files"])
    assert logged["on the pipeline's page"] == ["report.html", "metrics.json"]
    assert logged["headline"] == {name: result.metrics[name] for name in result.headline}
    assert "| Frechet distance" in logged["markdown"]
    assert "real-FD-classifier" in logged["metrics"]


def test_a_metric_that_needs_more_images_has_no_figure_and_that_is_said(
    evaluate: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many, labelled = (Metric(title, "lower", lambda seen: 1.0, least=500) for title in ("rare thing", "other thing"))
    monkeypatch.setitem(METRICS._own, "rare", many)  # type: ignore[index]
    monkeypatch.setitem(METRICS._own, "other", replace(labelled, needs=("domains",)))  # type: ignore[index]
    assert not any(name.startswith(("rare", "other")) for name in evaluate().metrics)
    notes = written(tmp_path)["notes"]
    assert "No rare thing: that means something from 500 images on either side." in notes
    assert not any("other thing" in note for note in notes)


def test_one_image_and_other_data_are_refused(evaluate: Evaluate, dataset_9: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"evaluation\.samples must be at least 2"):
        evaluate(samples=1)
    with pytest.raises(RequestError, match="name the data set it was trained on"):
        evaluate(data=dataset_9)
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize("samples", [2, 7])
def test_a_handful_of_images_is_enough_to_run(evaluate: Evaluate, tmp_path: Path, samples: int) -> None:
    metrics = evaluate(samples=samples).metrics
    assert "FD-classifier" in metrics
    assert not [name for name in metrics if name.startswith(("IS", "KID", "precision", "recall", "smallest-class"))]
    notes = written(tmp_path)["notes"]
    assert "No Inception Score: that means something from 50 images on either side." in notes
    assert any(note.startswith(f"No share of the smallest class: {samples} images against") for note in notes)
