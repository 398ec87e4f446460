"""The kernel distance: torch-fidelity's figure on equal features and subsets, and no bias."""

import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from gan_models.metrics.kernel_distance import kernel_distance


def features(seed: int, count: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(count, 32, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).relu() + shift


@pytest.mark.parametrize(("count", "size"), [(400, 20), (400, 200), (120, 120)])
def test_equals_torch_fidelity(count: int, size: int) -> None:
    first, second = features(0, count), features(1, count + 30, shift=0.2)
    expected = kid_features_to_metric(first, second, kid_subsets=20, kid_subset_size=size, rng_seed=2020, verbose=False)
    found = kernel_distance(first, second, subsets=20, subset_size=size, seed=2020)
    assert found.value == pytest.approx(expected["kernel_inception_distance_mean"], abs=1e-12)
    assert found.std == pytest.approx(expected["kernel_inception_distance_std"], abs=1e-12)


def test_of_one_distribution_is_zero_on_average_however_few_the_images() -> None:
    estimates = [
        kernel_distance(features(seed, 20), features(1000 + seed, 20), subsets=1, subset_size=20).value
        for seed in range(200)
    ]
    mean = sum(estimates) / len(estimates)
    spread = torch.tensor(estimates).std().item() / len(estimates) ** 0.5
    assert abs(mean) < 4 * spread
    assert min(estimates) < 0 < max(estimates)


def test_grows_with_the_shift() -> None:
    real = features(2, 300)
    distances = [
        kernel_distance(features(3, 300, shift), real, subset_size=300).value for shift in (0.0, 0.1, 0.3, 1.0)
    ]
    assert distances == sorted(distances)


def test_refuses_subsets_larger_than_a_side() -> None:
    with pytest.raises(ValueError, match="subsets of 1000 can't be drawn from 400 generated and 300 real"):
        kernel_distance(features(0, 400), features(1, 300))
