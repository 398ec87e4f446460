"""Precision, recall, density, coverage: the reference package's figures, and what each of them notices."""

import numpy as np
import pytest
import torch
from prdc import compute_prdc

from gan_models.metrics import matrices
from gan_models.metrics.neighbours import nearest, neighbourhoods


def gaussian(seed: int, count: int, scale: float = 1.0, size: int = 12) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("count", "scale"), [(200, 1.0), (350, 0.6), (150, 1.7)])
def test_equals_prdc(k: int, count: int, scale: float) -> None:
    real, fake = gaussian(0, 250), gaussian(1, count, scale)
    expected = compute_prdc(real.numpy(), fake.numpy(), nearest_k=k)
    assert neighbourhoods(fake, real, k=k)._asdict() == pytest.approx(expected, abs=1e-12)


def test_equals_prdc_on_float32_features_far_from_the_origin() -> None:
    real, fake = (gaussian(seed, 200).float() * 0.1 + 100.0 for seed in (2, 3))
    expected = compute_prdc(real.numpy().astype("float64"), fake.numpy().astype("float64"), nearest_k=5)
    assert neighbourhoods(fake, real)._asdict() == pytest.approx(expected, abs=1e-12)


def test_does_not_depend_on_the_size_of_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = gaussian(4, 130), gaussian(5, 170)
    whole, neighbours = neighbourhoods(fake, real), nearest(fake, real, k=3)
    monkeypatch.setattr(matrices, "BLOCK_BYTES", 8 * 200 * 7)
    assert neighbourhoods(fake, real) == whole
    assert torch.equal(nearest(fake, real, k=3).indices, neighbours.indices)


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_a_unit_of_the_features_changes_nothing(scale: float) -> None:
    real, fake = gaussian(19, 120), gaussian(20, 100, 1.2)
    assert neighbourhoods(fake * scale, real * scale) == neighbourhoods(fake, real)
    np.testing.assert_allclose(nearest(fake * scale, real * scale).distances / scale, nearest(fake, real).distances)


def test_which_side_of_a_rim_is_told_beyond_the_digits_of_float32() -> None:
    """Balls to the next real image, and generated ones within or beyond them by a part in 10^10."""
    real = torch.zeros(40, 64, dtype=torch.float64)
    real[torch.arange(40), torch.arange(40)] = 10.0
    real[1::2] = real[::2]
    real[1::2, 63] = 1.0  # 20 pairs at a distance of 1
    beside = torch.zeros(20, 64, dtype=torch.float64)
    beside[:, 62] = torch.tensor([1 - 1e-10, 1 + 1e-10], dtype=torch.float64).repeat(10)
    figures = neighbourhoods(real[::2] + beside, real, k=1)
    assert figures.precision == 0.5
    assert figures.coverage == 0.25
    assert figures.density == 0.5
    assert neighbourhoods(real, real[::2] + beside, k=1).recall == 0.5
    assert nearest(real[::2] + beside, real).distances[:, 0].tolist() == pytest.approx(
        beside[:, 62].tolist(), abs=1e-12
    )


def test_a_training_s_precision_of_products_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = set()
    multiply = torch.addmm

    def watched(one: torch.Tensor, *others: torch.Tensor, alpha: float) -> torch.Tensor:
        if one.dtype == torch.float32:
            asked.add(torch.get_float32_matmul_precision())
        return multiply(one, *others, alpha=alpha)

    monkeypatch.setattr(torch, "addmm", watched)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        neighbourhoods(gaussian(0, 20), gaussian(1, 20))
        assert asked == {"highest"}
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_many_repeated_images_take_time_as_many_others_do() -> None:
    """Among 3,200 points some are always side by side along a direction: a search of all that are would never end."""
    half = gaussian(21, 800, size=512).float()
    repeated = neighbourhoods(half.repeat(2, 1), half.repeat(2, 1) + 0.0, k=5)
    assert repeated == pytest.approx((1.0, 1.0, 1.0, 1.0))


def test_precision_notices_bad_images_and_recall_missing_ones() -> None:
    real = torch.cat([gaussian(6, 200) + 20, gaussian(7, 200) - 20])
    half = neighbourhoods(gaussian(8, 400) + 20, real)
    assert half.precision > 0.85
    assert 0.35 < half.recall < 0.55
    with_noise = neighbourhoods(torch.cat([gaussian(9, 200) + 20, gaussian(10, 200) + 500]), real)
    assert 0.4 < with_noise.precision < 0.55


def test_outliers_raise_recall_but_not_coverage() -> None:
    # One far outlier on either side gives the generated manifold a ball over everything (Naeem et al. 2020, figure 2).
    real, collapsed = gaussian(11, 200), gaussian(12, 199, scale=0.01)
    outliers = torch.cat([collapsed, torch.full((6, 12), 50.0), torch.full((6, 12), -50.0)])
    assert neighbourhoods(outliers, real, k=11).recall > 0.9
    assert neighbourhoods(outliers, real, k=11).coverage < 0.6


def test_a_few_memorised_images_are_precise_but_cover_little() -> None:
    real = gaussian(13, 300)
    figures = neighbourhoods(real[:10].repeat(30, 1), real)
    assert figures.precision == 1.0
    assert figures.coverage < 0.3
    assert figures.recall < 0.1


def noisy(features: torch.Tensor, seed: int) -> torch.Tensor:
    """As another batch size would have given them."""
    return features * (1 + 1e-6 * torch.randn(features.shape, generator=torch.Generator().manual_seed(seed)))


@pytest.mark.parametrize("copies", [1, 2, 5, 40])
@pytest.mark.parametrize("rounding", [False, True])
def test_a_set_against_itself_has_one_in_all_however_often_it_repeats_itself(copies: int, rounding: bool) -> None:
    real = gaussian(16, 60, size=64).repeat(copies, 1).float()
    fake = noisy(real, 0) if rounding else real.clone()
    fake = fake[torch.randperm(len(fake), generator=torch.Generator().manual_seed(1))]
    assert neighbourhoods(fake, noisy(real, 2) if rounding else real) == pytest.approx((1.0, 1.0, 1.0, 1.0))


def test_a_perfect_generator_of_ten_icons_is_perfect() -> None:
    icons = gaussian(17, 10, size=64).relu()
    rows = [torch.randint(10, (500,), generator=torch.Generator().manual_seed(seed)) for seed in (3, 4)]
    real, fake = (noisy(icons[chosen].float(), seed) for seed, chosen in enumerate(rows))
    figures = neighbourhoods(fake, real)
    assert figures[:2] == (1.0, 1.0)
    assert figures.coverage == 1.0
    assert figures.density == pytest.approx(1.0, abs=0.02)
    one = neighbourhoods(icons[:1].repeat(500, 1), real)  # collapsed to one of them
    assert one.precision == 1.0
    assert one.coverage == one.recall == pytest.approx(float((rows[0] == 0).double().mean()))


def test_equal_images_are_at_distance_zero() -> None:
    real = gaussian(18, 50, size=64).float()
    assert (nearest(noisy(real, 5), real).distances == 0).all()


def test_nearest_finds_the_same_rows_as_a_full_sort() -> None:
    queries, gallery = gaussian(14, 20), gaussian(15, 60)
    distances = np.linalg.norm(queries.numpy()[:, None] - gallery.numpy()[None], axis=-1)
    found = nearest(queries, gallery, k=4)
    np.testing.assert_array_equal(found.indices.numpy(), distances.argsort(axis=1)[:, :4])
    np.testing.assert_allclose(found.distances.numpy(), np.sort(distances, axis=1)[:, :4], rtol=1e-10)


def test_refuses_more_neighbours_than_there_are() -> None:
    with pytest.raises(ValueError, match="5 images have no 5-th nearest neighbour"):
        neighbourhoods(gaussian(0, 5), gaussian(1, 50), k=5)
