"""The four distances: closed forms, and the parallel lines on which only earth mover's is continuous."""

from itertools import permutations
from math import inf, log

import numpy as np
import pytest

from gan_models.metrics.distributions import (
    earth_movers,
    histogram,
    jensen_shannon,
    kullback_leibler,
    total_variation,
)

LINES = np.linspace(-1.0, 1.0, 401)
"""Places along x that a line may stand at."""


def line(theta: float, bins: int = 50) -> np.ndarray:
    """P_theta, (theta, Z) with Z uniform on [0, 1], as probabilities of [places along x, bins along z]."""
    p = np.zeros((len(LINES), bins))
    p[np.abs(LINES - theta).argmin()] = 1 / bins
    return p


def points(theta: float, seed: int, count: int = 200) -> np.ndarray:
    """A sample of P_theta: equally spaced along the line, in random order."""
    z = np.random.default_rng(seed).permutation((np.arange(count) + 0.5) / count)
    return np.stack([np.full(count, theta), z], axis=1)


@pytest.mark.parametrize("theta", [-1.0, -0.25, 0.005, 0.5, 1.0])
def test_parallel_lines_apart(theta: float) -> None:
    """Arjovsky, Chintala, Bottou 2017, example 1."""
    p, q = line(0.0), line(theta)
    assert total_variation(p, q) == pytest.approx(1.0)
    assert kullback_leibler(p, q) == kullback_leibler(q, p) == inf
    assert jensen_shannon(p, q) == pytest.approx(log(2.0))
    assert earth_movers(points(0.0, 1), points(theta, 2)) == pytest.approx(abs(theta))


def test_parallel_lines_together() -> None:
    p = line(0.0)
    assert total_variation(p, p) == kullback_leibler(p, p) == jensen_shannon(p, p) == 0.0
    assert earth_movers(points(0.0, 1), points(0.0, 2)) == pytest.approx(0.0)


def test_only_earth_movers_is_continuous_where_the_lines_meet() -> None:
    steps = [0.5, 0.1, 0.02, 0.005]
    moved = [earth_movers(points(0.0, 1), points(theta, 2)) for theta in steps]
    assert moved == pytest.approx(steps)
    assert moved[-1] < 0.01
    for distance in (total_variation, jensen_shannon, kullback_leibler):
        values = [distance(line(0.0), line(theta)) for theta in steps]
        assert min(values) > 0.69 > distance(line(0.0), line(0.0))
        assert len(set(values)) == 1  # no gradient tells which way the other line is


def test_closed_forms() -> None:
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.25, 0.5])
    assert total_variation(p, q) == pytest.approx(0.5)
    assert kullback_leibler(p, q) == pytest.approx(log(2))
    assert kullback_leibler(q, p) == inf
    middle = [0.375, 0.375, 0.25]
    by_hand = 0.5 * 2 * 0.5 * log(0.5 / middle[0]) + 0.5 * (2 * 0.25 * log(0.25 / middle[0]) + 0.5 * log(0.5 / 0.25))
    assert jensen_shannon(p, q) == jensen_shannon(q, p) == pytest.approx(by_hand)


def test_pinskers_inequality_holds() -> None:
    stream = np.random.default_rng(0)
    for _ in range(50):
        p, q = stream.dirichlet(np.ones(7), 2)
        assert total_variation(p, q) <= (kullback_leibler(p, q) / 2) ** 0.5
        assert jensen_shannon(p, q) <= log(2) * total_variation(p, q) + 1e-12


def test_earth_movers_against_every_matching() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 6, 2))
    lengths = [np.linalg.norm(x - y[list(order)], axis=1).mean() for order in permutations(range(6))]
    assert earth_movers(x, y) == pytest.approx(min(lengths))


def test_earth_movers_of_a_translation_is_its_length() -> None:
    x = np.random.default_rng(0).normal(size=(100, 2))
    assert earth_movers(x, x[::-1] + np.array([3.0, 4.0])) == pytest.approx(5.0)
    with pytest.raises(ValueError, match="equal size"):
        earth_movers(x, x[:-1])


def test_histogram_loses_nothing() -> None:
    sample = np.array([[0.5, 0.5], [0.5, 1.5], [1.5, 0.5], [9.0, 0.5]])
    assert histogram(sample, [0.0, 1.0, 2.0]).tolist() == [0.25, 0.25, 0.25, 0.0, 0.25]
    assert histogram(sample, [0.0, 1.0, 2.0], prior=1.0).tolist() == pytest.approx([2 / 9, 2 / 9, 2 / 9, 1 / 9, 2 / 9])
