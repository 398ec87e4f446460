"""The interval of one figure: it holds the truth as often as it says, where the truth is known."""

import pytest
import torch
from torch import Tensor

from gan_models.metrics.extraction import Extracted
from gan_models.metrics.frechet import frechet_distance
from gan_models.metrics.intervals import interval, real_against_real
from gan_models.metrics.metric import Comparison
from gan_models.metrics.scores import METRICS

SIZE = 4


def gaussian(seed: int, count: int, shift: float = 0.0) -> Extracted:
    draw = torch.randn(count, SIZE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Extracted(draw + shift, None)


def compared(trial: int, shift: float, count: int = 200) -> Comparison:
    return Comparison(gaussian(2 * trial, count, shift), gaussian(2 * trial + 1, count))


@pytest.mark.parametrize(("shift", "least"), [(0.3, 33), (1.0, 33), (0.0, 36)])
def test_the_true_distance_is_within_as_often_as_it_says(shift: float, least: int) -> None:
    """At 95 %, 38 of 40 trials; fewer than 33 would be a fault (p < 0.01). Of equal sets it is wider than need be."""
    truth, held = SIZE * shift**2, 0
    for trial in range(40):
        found = interval(METRICS["FD"], compared(trial, shift), seed=trial, resamples=50, corrected=True)
        held += found.low <= truth <= found.high
    assert held >= least


@pytest.mark.parametrize("name", ["FD", "precision", "recall", "coverage", "MMD-rbf"])
def test_the_error_is_how_much_new_images_change_the_figure(name: str) -> None:
    metric = METRICS[name]
    values = [score.value for trial in range(60) if (score := metric.of(compared(trial, 0.6))) is not None]
    found = interval(metric, compared(1000, 0.6), seed=0, resamples=60)
    assert 0.5 * torch.tensor(values).std() < found.error < 1.8 * torch.tensor(values).std()
    assert found.low < sum(values) / 60 < found.high


def resampled_with_replacement(side: Tensor, stream: torch.Generator) -> Tensor:
    return side[torch.randint(len(side), (len(side),), generator=stream)]


def test_resamples_with_repeated_images_would_lie_above_the_truth() -> None:
    """What half-samples are taken for: the percentiles of the usual bootstrap hold the truth too seldom."""
    held, truth = 0, SIZE * 0.3**2
    for trial in range(20):
        seen, stream = compared(trial, 0.3, count=40), torch.Generator().manual_seed(trial)
        drawn = [
            frechet_distance(
                *(resampled_with_replacement(side.features, stream) for side in (seen.sample, seen.reference))
            )
            for _ in range(100)
        ]
        low, high = torch.tensor(drawn).quantile(torch.tensor([0.025, 0.975])).tolist()
        held += low <= truth <= high
    ours = sum(
        (found := interval(METRICS["FD"], compared(trial, 0.3, 40), seed=trial, resamples=50, corrected=True)).low
        <= truth
        <= found.high
        for trial in range(20)
    )
    assert held < 15
    assert ours >= 17


def test_an_interval_is_of_the_figure_that_is_reported() -> None:
    seen = compared(7, 0.5)
    plain = interval(METRICS["FD"], seen, seed=0, resamples=20)
    assert plain.value == frechet_distance(seen.sample.features, seen.reference.features)
    assert plain == interval(METRICS["FD"], seen, seed=0, resamples=20)
    assert (plain.high - plain.value) / plain.error == pytest.approx(2.093, abs=1e-3)  # t of 19 degrees
    assert interval(METRICS["FD"], seen, seed=0, resamples=20, corrected=True).value < plain.value
    wider = interval(METRICS["FD"], seen, seed=0, resamples=20, confidence=0.99)
    assert wider.low < plain.low


def test_half_of_the_images_must_allow_the_figure() -> None:
    with pytest.raises(ValueError, match=r"precision of 15 images against 15 has no interval"):
        interval(METRICS["precision"], compared(0, 0.0, 30), seed=0, resamples=5)


def test_real_images_against_real_ones_are_near() -> None:
    seen = compared(3, 2.0, 200)
    found = real_against_real(METRICS["FD"], seen, seed=0)
    assert found is not None
    assert found.value < 0.3 < frechet_distance(seen.sample.features, seen.reference.features)
    assert found.std is not None
    assert real_against_real(METRICS["precision"], compared(0, 0.0, 30), seed=0) is None


def test_domains_stay_with_their_images() -> None:
    """Images of two domains far apart, each translated perfectly: drawn with others' domains they would be far off."""
    domains = torch.arange(200) % 2
    sides = [gaussian(seed, 200).features + 50.0 * domains[:, None] for seed in (0, 1)]
    seen = Comparison(*(Extracted(side, None) for side in sides), domains=(domains, domains))
    metric = METRICS["FD-within-domains"]
    assert interval(metric, seen, seed=0, resamples=5).high < 2.0
    found = real_against_real(metric, seen, seed=0)
    assert found is not None
    assert found.value < 2.0
