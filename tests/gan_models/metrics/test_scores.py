"""How the figures behave on real digits: what a reader of the literature expects of them."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from gan_models.data.table import ImageTable
from gan_models.metrics.classifier import Classifier
from gan_models.metrics.extraction import Extracted
from gan_models.metrics.frechet import frechet_distance
from gan_models.metrics.inception_score import inception_score
from gan_models.metrics.memorisation import Memorisation
from gan_models.metrics.memorisation import memorisation as memorisation_of
from gan_models.metrics.metric import Comparison, Parameters, Score
from gan_models.metrics.scores import METRICS, metric_key
from gan_models.metrics.scores import score as scores_of


@pytest.fixture(scope="module")
def judge(table: ImageTable, cache: Path) -> Classifier:
    return Classifier.for_table(table, cache=cache)


@pytest.fixture(scope="module")
def train(table: ImageTable) -> Tensor:
    return table.split("train").images


@pytest.fixture(scope="module")
def test(table: ImageTable) -> Tensor:
    return table.split("test").images


def score(sample: Extracted, reference: Extracted) -> dict[str, Score]:
    return scores_of(Comparison(sample, reference))


def memorisation(
    sample: Extracted, training: Extracted, held_out: Extracted, unseen: Extracted | None = None
) -> Memorisation:
    return memorisation_of(Comparison(sample, held_out, training, unseen))


def noisy(images: Tensor, sigma: float) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0)) * sigma
    return (images.float() + noise).round().clamp(0, 255).to(torch.uint8)


def test_frechet_distance_grows_with_noise(judge: Classifier, train: Tensor, test: Tensor) -> None:
    real = judge.features_and_logits(test).features
    distances = [
        frechet_distance(judge.features_and_logits(noisy(train[:300], sigma)).features, real)
        for sigma in (0, 20, 40, 80, 160)
    ]
    assert distances == sorted(distances)
    assert distances[-1] > 10 * distances[0]


def test_bias_of_the_frechet_distance_falls_with_the_number_of_images_and_that_of_kid_is_none(
    judge: Classifier, train: Tensor, test: Tensor
) -> None:
    real = judge.features_and_logits(test)
    scores = {n: score(judge.features_and_logits(train[:n]), real) for n in (50, 150, 1197)}
    distances = [found["FD"].value for found in scores.values()]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 3 * distances[-1]
    noise = scores[50]["KID"].std or 0.0
    assert all(abs(found["KID"].value) < 2 * noise for found in scores.values())


def test_missing_classes_are_seen_by_distance_recall_and_coverage_but_not_by_precision(
    judge: Classifier, table: ImageTable, test: Tensor
) -> None:
    split = table.split("train")
    assert split.labels is not None
    real = judge.features_and_logits(test)
    whole = score(judge.features_and_logits(split.images[:500]), real)
    half = score(judge.features_and_logits(split.images[split.labels < 5][:500]), real)
    assert half["FD"].value > 10 * whole["FD"].value
    assert half["IS"].value < 0.7 * whole["IS"].value
    assert half["recall"].value < 0.85 * whole["recall"].value
    assert half["coverage"].value < 0.7 * whole["coverage"].value
    assert half["precision"].value > 0.7


def test_ten_memorised_images_score_well_alone_and_are_caught(
    judge: Classifier, table: ImageTable, train: Tensor, test: Tensor
) -> None:
    labels = table.split("train").labels
    assert labels is not None
    one_of_each = torch.stack([train[labels == digit][0] for digit in range(10)])
    copies = judge.features_and_logits(one_of_each.repeat(30, 1, 1, 1))
    real, training = judge.features_and_logits(test), judge.features_and_logits(train)
    assert copies.logits is not None
    assert real.logits is not None
    assert inception_score(copies.logits).value > 0.95 * inception_score(real.logits).value
    found = score(copies, real)
    assert found["coverage"].value < 0.5
    assert found["recall"].value < 0.5
    assert (memorisation(copies, training, real).distance_ratio or 0.0) < 1e-3


def test_a_generator_that_repeats_its_training_images_has_a_gap(
    judge: Classifier, table: ImageTable, train: Tensor, test: Tensor
) -> None:
    training, held_out = judge.features_and_logits(train[:300]), judge.features_and_logits(test)
    unseen = judge.features_and_logits(table.split("validation").images)
    copying = memorisation(training, training, held_out, unseen)
    honest = memorisation(judge.features_and_logits(train[300:600]), training, held_out, unseen)
    assert copying.to_training == pytest.approx(0.0, abs=1e-9)
    assert copying.gap > 3 * abs(honest.gap)
    assert copying.gap > 3 * abs(copying.gap_of_real or 0.0)
    assert copying.distance_ratio == 0.0
    assert honest.distance_ratio is not None
    assert 0.7 < honest.distance_ratio < 1.3


def test_small_samples_lower_the_parameters() -> None:
    assert Parameters.of(5000, 2000, 5) == (10, 100, 1000, 5)
    assert Parameters.of(250, 120, 5) == (2, 100, 60, 5)
    assert Parameters.of(60, 120, 5) == (1, 100, 30, 5)


LEAST = {"IS": 50, "KID": 20, "precision": 20, "recall": 20, "density": 20, "coverage": 20, "FD-gap": 20,
         "FD-infinity": 100, "MMD-rbf": 100, "authenticity": 20, "modes": 100, "class-KL": 100}  # fmt: skip


@pytest.mark.parametrize("count", [2, 3, 5, 10, 19, 20, 49, 50, 99, 100, 150])
def test_from_two_images_on_a_figure_means_something_or_is_not_there(count: int) -> None:
    """Perfect images, of ten even classes: what is said of them is near what is said of many."""
    at = torch.arange(3 * count) % 10
    draw = torch.Generator().manual_seed(count)
    features = 3 * torch.eye(10)[at] + 0.3 * torch.randn(3 * count, 10, generator=draw)
    logits = 50.0 * torch.eye(10)[at]
    parts = [Extracted(features[part::3], logits[part::3], at[part::3]) for part in range(3)]
    seen = Comparison(parts[0], parts[1], training=parts[2], own_classes=True, asked=True, k=5)
    found = {name: figure for name, metric in METRICS.items() if (figure := metric.of(seen)) is not None}
    assert {name for name in LEAST if name in found} == {name for name, least in LEAST.items() if count >= least}
    assert ("smallest-class" in found) == (count >= 100)
    assert ("intra-FD" in found) == (count >= 300)
    if "authenticity" in found:
        assert found["authenticity"].value == pytest.approx(0.6, abs=0.35)
    if "MMD-rbf" in found:
        assert found["MMD-rbf"].value < 0.1
        assert abs(found["FD-infinity"].value) < 1.0  # FD itself: 1.0 at 100
        assert (found["modes"].value, found["class-KL"].value) == (10, 0.0)
    assert found["confidence"].value == found["agreement"].value == 1.0
    if "IS" in found:
        assert found["IS"].value == pytest.approx(10.0, rel=0.1)
        assert found["IS"].std is None
    if "KID" in found:
        assert abs(found["KID"].value) < 0.5
        assert found["KID"].std > 0.0
    if "recall" in found:
        assert min(found[name].value for name in ("precision", "recall", "coverage")) > 0.7
        assert found["density"].value == pytest.approx(1.0, abs=0.4)


def test_wide_balls_give_no_figure() -> None:
    sides = [Extracted(torch.randn(40, 4, generator=torch.Generator().manual_seed(seed)), None) for seed in (0, 1)]
    assert "recall" in score_at(Comparison(*sides, k=19))
    assert "recall" not in score_at(Comparison(*sides, k=20))


def score_at(seen: Comparison) -> set[str]:
    return {name for name, metric in METRICS.items() if metric.of(seen) is not None}


def test_the_ratio_of_distances_needs_held_out_images_that_are_no_training_images() -> None:
    icons = Extracted(torch.eye(10).repeat(5, 1), None)
    assert memorisation(icons, icons, icons).distance_ratio is None


def test_names_say_what_was_measured() -> None:
    assert metric_key("recall", "efficientnet-lite0") == "recall-efficientnet-lite0"
    assert metric_key("KID", "inception-2015") == "KID"
