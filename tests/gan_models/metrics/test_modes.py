"""Modes found, and how evenly: counts that are known."""

import math

import numpy as np
import pytest
import torch

from gan_models.metrics.extraction import Extracted
from gan_models.metrics.metric import Comparison
from gan_models.metrics.modes import divergence
from gan_models.metrics.scores import METRICS


def of_classes(counts: list[int]) -> Extracted:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return Extracted(torch.zeros(len(labels), 1), torch.nn.functional.one_hot(labels, len(counts)).float())


def figures(sample: list[int], reference: list[int], training: list[int] | None = None) -> dict[str, float | None]:
    seen = Comparison(
        of_classes(sample), of_classes(reference), None if training is None else of_classes(training), own_classes=True
    )
    found = {name: METRICS[name].of(seen) for name in ("modes", "class-KL")}
    return {name: None if figure is None else figure.value for name, figure in found.items()}


def test_even_classes_are_all_found_and_diverge_by_nothing() -> None:
    assert figures([30] * 4, [10] * 4) == {"modes": 4, "class-KL": 0.0}


def test_half_of_the_classes_are_a_divergence_of_log_2() -> None:
    found = figures([50, 50, 0, 0], [25] * 4)
    assert found["modes"] == 2
    assert found["class-KL"] == pytest.approx(math.log(2))
    one = figures([100, 0, 0, 0], [25] * 4)
    assert one["class-KL"] == pytest.approx(math.log(4))


def test_uneven_data_ask_for_an_uneven_sample() -> None:
    assert figures([60, 30, 10], [12, 6, 2], [600, 300, 100])["class-KL"] == pytest.approx(0.0, abs=1e-12)
    even = figures([40, 40, 40], [12, 6, 12], [600, 300, 100])["class-KL"]
    assert even == pytest.approx(sum(math.log((1 / 3) / share) / 3 for share in (0.6, 0.3, 0.1)))


def test_a_class_that_no_real_image_is_taken_for_is_no_infinity() -> None:
    expected = 0.5 * math.log(0.5 / (20 / 20.5)) + 0.5 * math.log(0.5 / (0.5 / 20.5))
    assert divergence(np.array([5, 5]), np.array([20, 0])) == pytest.approx(expected)


def test_few_images_find_few_modes_and_that_says_nothing() -> None:
    assert figures([10] * 3 + [9], [10] * 4) == {"modes": None, "class-KL": None}
    assert figures([10] * 4, [9] * 4) == {"modes": 4, "class-KL": None}
