"""Pixel norm against its formula."""

import pytest
import torch

from gan_models.layers.normalization import PixelNorm


@pytest.mark.parametrize("shape", [(3, 7), (3, 7, 4, 5)])
def test_follows_the_formula_place_by_place(shape: tuple[int, ...]) -> None:
    a = torch.randn(shape, dtype=torch.float32)
    expected = a / (a.square().sum(1, keepdim=True) / shape[1] + 1e-8).sqrt()
    torch.testing.assert_close(PixelNorm()(a), expected)


def test_every_feature_vector_gets_length_root_c_and_zeros_stay_zeros() -> None:
    normal = PixelNorm()(torch.cat([torch.randn(2, 16, 3, 3) * 5, torch.zeros(1, 16, 3, 3)]))
    torch.testing.assert_close(normal[:2].norm(dim=1), torch.full((2, 3, 3), 4.0), rtol=1e-4, atol=0)
    assert not normal[2].any()


def test_keeps_half_precision_and_neighbours_apart() -> None:
    a = torch.randn(2, 8, 2, 2)
    assert PixelNorm()(a.bfloat16()).dtype == torch.bfloat16
    changed = a.clone()
    changed[1] += 1
    assert torch.equal(PixelNorm()(a)[0], PixelNorm()(changed)[0])
