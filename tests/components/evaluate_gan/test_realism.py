"""The realism of single images, on points whose balls are known."""

import pytest
import torch

from components.evaluate_gan.realism import realism


def test_the_paper_s_definition_on_random_points() -> None:
    draw = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(n, 3, generator=draw, dtype=torch.float64) for n in (40, 15))
    between = torch.cdist(real, real, compute_mode="donot_use_mm_for_euclid_dist")
    radii = between.sort(dim=1).values[:, 4]  # the point itself first
    kept = [i for i in range(40) if radii[i] <= radii.median()]
    expected = [max(float(radii[i] / (one - real[i]).norm()) for i in kept) for one in fake]
    assert realism(fake, real, k=4).tolist() == pytest.approx(expected, rel=1e-6)


def test_an_image_among_real_ones_has_one_and_more_and_falls_with_the_distance() -> None:
    real = torch.arange(10, dtype=torch.float64)[:, None]
    scores = realism(torch.tensor([[4.5], [20.0], [50.0], [5.0]]), real, k=1).tolist()
    assert scores[0] == pytest.approx(2.0)
    assert scores[1] == pytest.approx(1 / 11)
    assert scores[1] > scores[2]
    assert scores[3] == float("inf")  # a copy


def test_too_few_real_images_are_refused() -> None:
    with pytest.raises(ValueError, match="nearest neighbours"):
        realism(torch.zeros(3, 2), torch.randn(4, 2), k=4)
