"""The Frechet distance: closed forms, the reference implementation, and the cases that break others."""

import numpy as np
import pytest
import scipy.linalg
import torch

from gan_models.metrics.frechet import Gaussian, frechet_distance

Array = np.ndarray


def random_covariance(seed: int, size: int, condition: float = 1e2) -> Array:
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.normal(size=(size, size)))[0]
    return (basis * np.geomspace(1.0, 1.0 / condition, size)) @ basis.T


def of_moments(mean: Array, covariance: Array) -> Gaussian:
    variances, directions = torch.linalg.eigh(torch.from_numpy(covariance + covariance.T) / 2)
    kept = variances > len(variances) * torch.finfo(torch.float64).eps * variances.abs().max()
    return Gaussian(torch.from_numpy(mean), (directions[:, kept] * variances[kept].sqrt()).T)


def between(first: Array, second: Array, shift: Array | float = 0.0) -> float:
    zero = np.zeros(len(first))
    return frechet_distance(of_moments(zero, first), of_moments(zero + shift, second))


def test_of_commuting_covariances_is_the_difference_of_their_roots() -> None:
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(24, 24)))[0]
    a, b = np.geomspace(1, 1e-3, 24), np.geomspace(2e-2, 3, 24)
    shift = np.linspace(-1, 1, 24)
    expected = (shift**2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert between((basis * a) @ basis.T, (basis * b) @ basis.T, shift) == pytest.approx(expected, rel=1e-12)


def test_of_a_scaled_covariance_is_its_trace() -> None:
    covariance = random_covariance(1, 16)
    assert between(covariance, 4 * covariance) == pytest.approx(np.trace(covariance), rel=1e-12)


def test_of_a_linear_map_is_known() -> None:
    covariance, transport = random_covariance(2, 16), random_covariance(3, 16, condition=10)
    mapped = transport @ covariance @ transport
    expected = np.trace(covariance) + np.trace(mapped) - 2 * np.trace(transport @ covariance)
    assert between(covariance, mapped) == pytest.approx(expected, rel=1e-12)


def test_of_rank_one_covariances() -> None:
    u, v = np.random.default_rng(4).normal(size=(2, 12))
    expected = u @ u + v @ v - 2 * abs(u @ v)
    assert between(np.outer(u, u), np.outer(v, v)) == pytest.approx(expected, rel=1e-12)


def test_of_two_dimensions() -> None:
    a, b = random_covariance(5, 2), random_covariance(6, 2)
    root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a) * np.linalg.det(b)))
    assert between(a, b) == pytest.approx(np.trace(a) + np.trace(b) - 2 * root, rel=1e-12)


def test_agrees_with_the_matrix_square_root() -> None:
    rng = np.random.default_rng(7)
    mix = rng.normal(size=(48, 48)) * np.geomspace(1, 1e-2, 48)
    first, second = rng.normal(size=(400, 48)) @ mix, rng.normal(size=(300, 48)) @ mix.T + 0.1
    a, b = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    shift = first.mean(axis=0) - second.mean(axis=0)
    expected = shift @ shift + np.trace(a + b - 2 * scipy.linalg.sqrtm(a @ b).real)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-9)
    moments = of_moments(first.mean(axis=0), a), of_moments(second.mean(axis=0), b)
    assert frechet_distance(*moments) == pytest.approx(expected, rel=1e-9)


def test_of_fewer_images_than_dimensions_is_exact() -> None:
    # An isometry into more dimensions, where the covariances become singular, changes no distance.
    rng = np.random.default_rng(8)
    first, second = rng.normal(size=(20, 8)), rng.normal(size=(30, 8)) * 2 + 1
    isometry = np.linalg.qr(rng.normal(size=(64, 8)))[0].T
    assert frechet_distance(first @ isometry, second @ isometry) == pytest.approx(
        frechet_distance(first, second), rel=1e-12
    )


def test_of_more_rows_than_fit_one_block_equals_that_of_one_block(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    first, second = rng.normal(size=(500, 6)), rng.normal(size=(400, 6)) * 1.5
    whole = frechet_distance(first, second)
    monkeypatch.setattr("gan_models.metrics.frechet._ROWS_AT_A_TIME", 64)
    assert frechet_distance(first, second) == pytest.approx(whole, rel=1e-12)


def test_of_a_set_to_itself_is_zero_and_order_does_not_matter() -> None:
    rng = np.random.default_rng(10)
    first, second = rng.normal(size=(100, 16)), rng.normal(size=(120, 16)) + 1
    assert frechet_distance(first, first) == pytest.approx(0.0, abs=1e-12)
    assert frechet_distance(first, second) == pytest.approx(frechet_distance(second, first), rel=1e-12)


def test_dead_features_do_not_matter() -> None:
    rng = np.random.default_rng(11)
    first, second = rng.normal(size=(100, 5)), rng.normal(size=(80, 5)) + 1
    dead_first, dead_second = (np.pad(rows, ((0, 0), (0, 3))) for rows in (first, second))
    assert frechet_distance(dead_first, dead_second) == pytest.approx(frechet_distance(first, second), rel=1e-12)


def test_refuses_what_has_no_covariance() -> None:
    with pytest.raises(ValueError, match="at least 2 images"):
        frechet_distance(np.ones((1, 4)), np.ones((5, 4)))
    with pytest.raises(ValueError, match="NaN or Inf"):
        frechet_distance(np.full((3, 4), np.nan), np.ones((5, 4)))
    with pytest.raises(ValueError, match="3 and 4 dimensions"):
        frechet_distance(np.random.default_rng(0).normal(size=(9, 3)), np.random.default_rng(0).normal(size=(9, 4)))
