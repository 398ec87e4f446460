"""Intervals: Wilson's against SciPy, resampled distances against what fresh samples do."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from scipy.stats import binomtest

from components.evaluate_gan import intervals as module
from components.evaluate_gan.findings import Interval, Intervals, Reading
from components.evaluate_gan.intervals import wilson
from gan_models.metrics.extraction import Extracted
from gan_models.metrics.frechet import frechet_distance


@pytest.mark.parametrize(("hits", "count"), [(0, 20), (7, 20), (20, 20), (900, 1000)])
def test_wilson_s_interval_is_scipy_s(hits: int, count: int) -> None:
    expected = binomtest(hits, count).proportion_ci(method="wilson")
    found = wilson(hits / count, count)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert (found.low == 0) == (hits == 0)
    assert (found.high == 1) == (hits == count)


class Sides(NamedTuple):
    """As of `Material` what distances need."""

    generated: Extracted
    real: Extracted
    reference: Extracted


def drawn(count: int, dimensions: int, seed: int, shift: float = 0.0) -> Extracted:
    return Extracted(torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed)) + shift, None)


def of_distance(sides: Sides) -> Intervals:
    def reading(images: Extracted) -> Reading:
        value = frechet_distance(images.gaussian, sides.reference.gaussian)
        return Reading(name="", value=value, std=None, images=len(images))

    return module._of_distance(reading(sides.generated), reading(sides.real), sides, seed=0)["FD"]  # type: ignore[arg-type]


@pytest.mark.parametrize("dimensions", [8, 300])
def test_a_shifted_sample_is_surely_farther_and_an_equal_one_is_not(dimensions: int) -> None:
    reference, real = drawn(600, dimensions, 1), drawn(600, dimensions, 2)
    shifted = of_distance(Sides(drawn(600, dimensions, 3, 0.5), real, reference))
    equal = of_distance(Sides(drawn(600, dimensions, 4), real, reference))
    assert shifted.difference is not None
    assert shifted.difference.low > 0
    assert equal.difference is not None
    assert equal.difference.low < 0 < equal.difference.high
    assert ("half-samples" in shifted.how) == (dimensions == 8)


def width(interval: Interval | None) -> float:
    assert interval is not None
    return interval.high - interval.low


def test_more_images_make_it_narrower_and_fresh_samples_fall_inside() -> None:
    few = of_distance(Sides(drawn(200, 8, 3, 0.3), drawn(200, 8, 2), drawn(200, 8, 1)))
    many = of_distance(Sides(drawn(3200, 8, 3, 0.3), drawn(3200, 8, 2), drawn(3200, 8, 1)))
    assert 2 < width(few.generated) / width(many.generated) < 8  # of 4
    assert few.generated is not None
    fresh = [frechet_distance(drawn(200, 8, 10 + n, 0.3).features, drawn(200, 8, 50 + n).features) for n in range(20)]
    # Both ends of the comparison vary: 95 % around one draw hold another in 83 % of cases, about 17 of 20.
    assert sum(few.generated.low <= value <= few.generated.high for value in fresh) >= 13


def test_fewer_real_images_than_generated_ones_are_compared_with_as_many() -> None:
    sides = Sides(drawn(800, 8, 3, 0.5), drawn(300, 8, 2), drawn(600, 8, 1))
    found = of_distance(sides)
    assert found.difference is not None
    at_equal = frechet_distance(sides.generated.part(0, 300).gaussian, sides.reference.gaussian)
    middle = (found.difference.low + found.difference.high) / 2
    assert middle == pytest.approx(at_equal - frechet_distance(sides.real.gaussian, sides.reference.gaussian))


def test_a_handful_of_images_has_none() -> None:
    sides = Sides(drawn(50, 8, 3), drawn(50, 8, 2), drawn(50, 8, 1))
    reading = Reading(name="", value=1.0, std=None, images=50)
    assert module._of_distance(reading, reading, sides, seed=0) == {}  # type: ignore[arg-type]
