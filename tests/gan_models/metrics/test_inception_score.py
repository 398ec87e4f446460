"""The Inception Score: its bounds, and torch-fidelity's figure on equal logits."""

import pytest
import torch
from torch_fidelity.metric_isc import isc_features_to_metric

from gan_models.metrics.inception_score import inception_score


@pytest.mark.parametrize("count", [10, 37, 1000])
def test_equals_torch_fidelity(count: int) -> None:
    logits = torch.randn(count, 10, generator=torch.Generator().manual_seed(count)) * 3
    expected = isc_features_to_metric(logits, splits=10, shuffle=True, rng_seed=2020)
    found = inception_score(logits, splits=10, seed=2020)
    assert found.value == pytest.approx(expected["inception_score_mean"], abs=1e-9)
    assert found.std == pytest.approx(expected["inception_score_std"], abs=1e-9)


def test_is_the_number_of_classes_for_sure_and_even_predictions() -> None:
    logits = 2000.0 * torch.eye(7).repeat(20, 1)  # so sure that the other probabilities underflow
    assert inception_score(logits, splits=1).value == pytest.approx(7.0)


def test_is_one_where_images_do_not_differ() -> None:
    assert inception_score(torch.ones(50, 7)).value == pytest.approx(1.0)


def test_ten_copied_images_beat_a_variety_of_doubtful_ones() -> None:
    # Why the score is never reported alone.
    copies = inception_score(9.0 * torch.eye(10).repeat(50, 1)).value
    doubtful = inception_score(torch.randn(500, 10, generator=torch.Generator().manual_seed(0)) * 4).value
    assert copies > doubtful


def test_refuses_fewer_images_than_splits() -> None:
    with pytest.raises(ValueError, match="9 images can't be scored in 10 splits"):
        inception_score(torch.zeros(9, 4))
