"""The comparison of two generators: sure where there is a difference, unsure where there is none."""

import pytest
import torch

from gan_models.metrics.bootstrap import FALSE_PROMOTIONS, Difference, confidence_of, difference, resamples_for
from gan_models.metrics.extraction import Extracted
from gan_models.metrics.frechet import frechet_distance
from gan_models.metrics.metric import Comparison
from gan_models.metrics.scores import METRICS


def features(seed: int, shift: float = 0.0, count: int = 200) -> torch.Tensor:
    return torch.randn(count, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + shift


def difference_of_distances(first: torch.Tensor, second: torch.Tensor, real: torch.Tensor, seed: int) -> Difference:
    seen = Comparison(Extracted(first, None), Extracted(real, None))
    return difference(METRICS["FD"], seen, Extracted(second, None), seed=seed)


def test_the_difference_is_that_of_the_two_distances() -> None:
    first, second, real = features(0, 0.1), features(1, 0.5), features(2)
    found = difference_of_distances(first, second, real, seed=0)
    assert found.value == frechet_distance(first, real) - frechet_distance(second, real)
    assert found.low < found.value < found.high


def test_a_clear_difference_is_beyond_noise_and_its_sign_says_which_way() -> None:
    near, far, real = features(0, 0.1), features(1, 0.6), features(2)
    assert difference_of_distances(near, far, real, seed=0).high < 0
    assert difference_of_distances(far, near, real, seed=0).low > 0


def test_equal_generators_are_seldom_told_apart() -> None:
    """At 95 % one of twenty is; four of thirty would be a fault (p < 0.02 for more)."""
    told_apart = 0
    for trial in range(30):
        one, other, real = (features(1000 + 3 * trial + part) for part in range(3))
        found = difference_of_distances(one, other, real, seed=trial)
        told_apart += found.low > 0 or found.high < 0
    assert told_apart <= 4


def test_of_few_resamples_the_interval_is_wider_than_a_normal_one() -> None:
    first, second, real = (torch.cat([features(seed, 0.1)] * 256, dim=1) for seed in range(3))  # 2048 wide
    found = difference_of_distances(first, second, real, seed=0)
    assert found.resamples == 25
    assert (found.high - found.value) / found.error == pytest.approx(2.0639, abs=1e-3)  # t of 24 degrees, not 1.96


def test_over_all_nights_one_in_twenty_is_wrong() -> None:
    chances = [(1 - confidence_of(night)) / 2 for night in range(1, 100_000)]
    assert chances[0] == pytest.approx(0.025)
    assert 0.0499 < sum(chances) < FALSE_PROMOTIONS


def test_the_interval_is_as_wide_as_the_difference_varies() -> None:
    """Against what new draws of all three sets give: the standard deviation over many of them."""
    values = []
    for trial in range(120):
        one, other, real = features(3 * trial, 0.3), features(3 * trial + 1, 0.2), features(3 * trial + 2)
        values.append(frechet_distance(one, real) - frechet_distance(other, real))
    spread = float(torch.tensor(values).std())
    error = difference_of_distances(features(7, 0.3), features(8, 0.2), features(9), seed=0).error
    assert 0.6 * spread < error < 1.6 * spread


def test_the_same_image_from_the_same_latent_is_no_difference_at_all() -> None:
    same, real = features(0, 0.2), features(1)
    found = difference_of_distances(same, same, real, seed=0)
    assert (found.value, found.error) == (0.0, 0.0)


def test_domains_stay_with_their_images() -> None:
    """Two domains far apart: drawn with the domains of others, a translation would be as far from its own."""
    domains = torch.arange(200) % 2
    first, second, real = (Extracted(features(seed) + 50.0 * domains[:, None], None) for seed in range(3))
    seen = Comparison(first, real, domains=(domains, domains))
    found = difference(METRICS["FD-within-domains"], seen, second, seed=0)
    assert found.error < 0.5


def test_wide_features_get_fewer_resamples() -> None:
    assert (resamples_for(64), resamples_for(1280), resamples_for(2048)) == (200, 40, 25)
