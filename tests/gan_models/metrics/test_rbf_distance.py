"""The Gaussian-kernel distance (CMMD): the published formula, written out."""

import numpy as np
import pytest
import torch

from gan_models.metrics import matrices
from gan_models.metrics.rbf_distance import rbf_distance


def features(seed: int, count: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(count, 24, generator=torch.Generator().manual_seed(seed)) + shift


def written_out(x: np.ndarray, y: np.ndarray) -> float:
    """Every pair, itself included: O(N^2) memory."""
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x.astype(np.float64), y.astype(np.float64)))

    def mean(one: np.ndarray, two: np.ndarray) -> float:
        return float(np.exp(-((one[:, None] - two[None]) ** 2).sum(axis=-1) / (2 * 10.0**2)).mean())

    return 1000.0 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))


@pytest.mark.parametrize("shift", [0.0, 0.5, 3.0])
def test_equals_the_formula_in_blocks_of_any_size(shift: float, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = features(0, 130, shift), features(1, 170)
    expected = written_out(x.numpy(), y.numpy())
    assert rbf_distance(x, y) == pytest.approx(expected, abs=1e-5, rel=1e-6)
    monkeypatch.setattr(matrices, "BLOCK_BYTES", 8 * 170 * 7)
    assert rbf_distance(x, y) == pytest.approx(expected, abs=1e-5, rel=1e-6)
    assert rbf_distance(y, x) == pytest.approx(expected, abs=1e-5, rel=1e-6)


def test_closed_forms() -> None:
    x = features(2, 40)
    assert rbf_distance(x, x) == pytest.approx(0.0, abs=1e-5)
    assert rbf_distance(x, 5.0 * x) == pytest.approx(0.0, abs=1e-5)  # of features only the direction counts
    one, other = torch.eye(3)[:1].repeat(4, 1), torch.eye(3)[1:2].repeat(9, 1)
    assert rbf_distance(one, other) == pytest.approx(2000.0 * (1.0 - np.exp(-2 / 200)), rel=1e-6)
    assert rbf_distance(torch.zeros(3, 2), torch.zeros(4, 2)) == 0.0


def test_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="24 and 3 dimensions"):
        rbf_distance(features(0, 5), torch.ones(5, 3))
    with pytest.raises(ValueError, match="images on both sides"):
        rbf_distance(torch.empty(0, 3), torch.ones(5, 3))
