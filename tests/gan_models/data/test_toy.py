"""Ring and grid: their modes, their densities, and samples that follow them."""

import numpy as np
import pytest

from gan_models.data.toy import GRID, RING, Mixture

MIXTURES = pytest.mark.parametrize("mixture", [RING, GRID], ids=lambda mixture: mixture.name)


def test_modes_are_where_the_papers_have_them() -> None:
    centres = np.array(RING.centres)
    assert centres.shape == (8, 2)
    assert np.hypot(*centres.T) == pytest.approx(np.full(8, 2.0))
    assert np.hypot(*(centres - np.roll(centres, 1, 0)).T) == pytest.approx(np.full(8, 4 * np.sin(np.pi / 8)))
    assert sorted(GRID.centres) == [(2.0 * x, 2.0 * y) for x in range(-2, 3) for y in range(-2, 3)]
    assert (RING.deviation, GRID.deviation) == (0.02, 0.05)


@MIXTURES
def test_samples_follow_the_mixture(mixture: Mixture) -> None:
    points, modes = mixture.draw(20_000, seed=3)
    assert points.dtype == np.float32
    count = len(mixture.centres)
    shares = np.bincount(modes, minlength=count) / len(modes)
    assert shares == pytest.approx(np.full(count, 1 / count), rel=0.15)
    nearest, distance = mixture.nearest(points)
    assert np.array_equal(nearest, modes)
    # Distances from a round Gaussian's centre are Rayleigh distributed: 1 - exp(-9/2) of them are within 3.
    assert (distance < 3).mean() == pytest.approx(1 - np.exp(-4.5), abs=0.003)
    assert (distance < 1).mean() == pytest.approx(1 - np.exp(-0.5), abs=0.01)


@MIXTURES
def test_density_is_the_sum_over_modes(mixture: Mixture) -> None:
    points = mixture.draw(5, seed=0)[0].astype(np.float64)
    variance = mixture.deviation**2
    for point, density in zip(points, mixture.density(points), strict=True):
        by_hand = [
            np.exp(-((point[0] - x) ** 2 + (point[1] - y) ** 2) / (2 * variance)) / (2 * np.pi * variance)
            for x, y in mixture.centres
        ]
        assert density == pytest.approx(np.mean(by_hand))


@MIXTURES
def test_density_integrates_to_the_masses_of_the_bins(mixture: Mixture) -> None:
    edges = np.linspace(-5, 5, 11) + 0.013  # modes cut into unequal parts
    masses = mixture.masses(edges.tolist())
    assert masses.sum() == pytest.approx(1.0)
    x, y = mixture.centres[0]
    fine = np.linspace(-6, 6, 301) * mixture.deviation
    step = fine[1] - fine[0]
    points = np.stack(np.meshgrid(x + fine, y + fine, indexing="ij"), -1).reshape(-1, 2)
    by_sum, _, _ = np.histogram2d(*points.T, bins=[edges] * 2, weights=mixture.density(points) * step**2)
    near = by_sum > 0
    assert masses[near].sum() == pytest.approx(by_sum.sum(), rel=1e-3)
    assert by_sum.sum() == pytest.approx(1 / len(mixture.centres), rel=1e-3)
    assert masses[near] == pytest.approx(by_sum[near], abs=2e-3)


def test_points_are_a_function_of_the_seed() -> None:
    for mixture in (RING, GRID):
        assert np.array_equal(mixture.draw(100, 1)[0], mixture.draw(100, 1)[0])
        assert not np.array_equal(mixture.draw(100, 1)[0], mixture.draw(100, 2)[0])
