"""Authenticity: copies are told, made up images are not taken for them."""

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_models.metrics.authenticity import authenticity, authenticity_of
from gan_models.metrics.extraction import Extracted
from gan_models.metrics.memorisation import memorisation
from gan_models.metrics.metric import Comparison
from gan_models.metrics.scores import METRICS


def features(seed: int, count: int = 300) -> Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive(generated: np.ndarray, training: np.ndarray) -> float:
    made_up = 0
    for image in generated:
        distances = np.linalg.norm(training - image, axis=1)
        near = int(distances.argmin())
        others = np.delete(training, near, axis=0)
        made_up += distances[near] > np.linalg.norm(others - training[near], axis=1).min()
    return made_up / len(generated)


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.3, 1.0, 3.0])
def test_equals_a_naive_count(noise: float) -> None:
    training = features(0)
    generated = training[:120] + noise * features(1, 120)
    assert authenticity(generated, training) == naive(generated.numpy(), training.numpy())


def test_closed_forms() -> None:
    training = features(2)
    assert authenticity(training.repeat(2, 1), training) == 0.0
    assert authenticity(training + 1e-3 * features(3), training) < 0.05
    assert authenticity(training + 100.0, training) == 1.0
    assert 0.4 < authenticity(features(4, 1000), training) < 0.8  # new images of the same kind
    line = torch.tensor([[0.0], [1.0], [3.0]])
    assert authenticity(torch.tensor([[0.4], [-1.5], [4.5], [5.5]]), line) == 0.5


def test_training_images_that_come_twice_are_never_copied_but_by_themselves() -> None:
    twice = features(5).repeat(2, 1)
    assert authenticity(twice[:10], twice) == 0.0
    assert authenticity(twice[:10] + 0.1, twice) == 1.0


def test_the_search_is_shared_with_the_other_figures_of_memorisation(monkeypatch: pytest.MonkeyPatch) -> None:
    from gan_models.metrics import neighbours

    asked = []
    search = neighbours.nearest
    monkeypatch.setattr(neighbours, "nearest", lambda *sides, k=1: asked.append(len(sides[0])) or search(*sides, k=k))
    seen = Comparison(Extracted(features(6, 111), None), Extracted(features(7, 50), None), Extracted(features(8), None))
    memorisation(seen)
    assert authenticity_of(seen) == authenticity(features(6, 111), features(8))
    assert asked.count(111) == 2  # once for both, and once for the function
    assert METRICS["authenticity"].of(Comparison(seen.sample, seen.reference)) is None
