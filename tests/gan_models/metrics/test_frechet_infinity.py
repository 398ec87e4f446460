"""FD-infinity: nearer to the truth than the distance of the same few images."""

import pytest
import torch
from torch import Tensor

from gan_models.metrics.extraction import Extracted
from gan_models.metrics.frechet import frechet_distance
from gan_models.metrics.frechet_infinity import frechet_infinity, images_needed
from gan_models.metrics.metric import Comparison
from gan_models.metrics.scores import METRICS

SIZE = 16


def gaussian(seed: int, count: int, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    draw = torch.randn(count, SIZE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return draw * scale + shift


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1.0, 0.2), (1.5, 0.1)])
def test_removes_most_of_the_bias_of_both_sides(scale: float, shift: float) -> None:
    truth = SIZE * (shift**2 + (scale - 1.0) ** 2)
    plain, extrapolated = [], []
    for trial in range(12):
        fake, real = gaussian(2 * trial, 260, scale, shift), gaussian(2 * trial + 1, 300)
        plain.append(frechet_distance(fake, real) - truth)
        extrapolated.append(frechet_infinity(fake, real).value - truth)
    bias, left = sum(plain) / 12, sum(extrapolated) / 12
    assert bias > 0.5
    assert abs(left) < 0.25 * bias


def test_the_line_is_that_through_what_was_drawn() -> None:
    fake, real = gaussian(0, 256), gaussian(1, 512)
    found = frechet_infinity(fake, real)
    assert (found.counts[0], found.counts[-1]) == (256, 64)
    assert found.distances[0] == pytest.approx(frechet_distance(fake, real))
    assert found.distances == sorted(found.distances)
    assert found.slope > 0
    assert frechet_infinity(fake, real) == found
    assert frechet_infinity(fake, real, seed=1).value != found.value


def test_features_that_are_wide_for_the_images_get_none() -> None:
    assert images_needed(SIZE) == 128
    sides = [Extracted(gaussian(seed, 127), None) for seed in (0, 1)]
    assert METRICS["FD-infinity"].of(Comparison(*sides)) is None
    with pytest.raises(ValueError, match="16 dimensions need 128 on either side"):
        frechet_infinity(gaussian(0, 127), gaussian(1, 500))
