"""Lab: known numbers of known colours, there and back, gradients, bins."""

import pytest
import torch
from torch import Tensor

from gan_models.data.lab import (
    BINS,
    bin_of,
    grey_of_equal_lightness,
    lab_of,
    lightness_of,
    middle_of,
    rgb_of,
)

# As scikit-image's rgb2lab has them (D65, two degrees), for sRGB from 0 to 1.
KNOWN = {
    (1.0, 0.0, 0.0): (53.2406, 80.0923, 67.2028),
    (0.0, 1.0, 0.0): (87.7351, -86.1830, 83.1797),
    (0.0, 0.0, 1.0): (32.2957, 79.1856, -107.8573),
    (1.0, 1.0, 0.0): (97.1395, -21.5547, 94.4781),
    (1.0, 1.0, 1.0): (100.0, -0.0025, 0.0047),
    (0.0, 0.0, 0.0): (0.0, 0.0, 0.0),
    (0.5, 0.5, 0.5): (53.3890, -0.0015, 0.0028),
    (0.2, 0.4, 0.6): (42.0080, -0.1540, -32.8429),
    (0.01, 0.02, 0.03): (1.3001, -0.3124, -1.1998),
}
COLOURS = torch.tensor(list(KNOWN)).T[None, :, :, None] * 2 - 1  # [1, 3, N, 1]


def every_colour(levels: int) -> Tensor:
    level = torch.linspace(-1, 1, levels)
    return torch.cartesian_prod(level, level, level).T[None, :, :, None]


def test_known_colours_have_known_numbers() -> None:
    found = lab_of(COLOURS)[0, :, :, 0].T
    torch.testing.assert_close(found, torch.tensor(list(KNOWN.values())), atol=2e-3, rtol=0)


def test_the_way_back() -> None:
    colours = every_colour(12)
    torch.testing.assert_close(rgb_of(lab_of(colours)), colours, atol=2e-4, rtol=0)
    lab = torch.tensor([[50.0, 20.0, -30.0], [75.0, -40.0, 60.0]]).T[None, :, :, None]
    expected = torch.tensor([[0.49636, 0.42926, 0.66684], [0.55924, 0.79103, 0.25007]]) * 2 - 1
    torch.testing.assert_close(rgb_of(lab)[0, :, :, 0].T, expected, atol=2e-4, rtol=0)


def test_what_srgb_cannot_show_is_cut_off_and_nothing_is_infinite() -> None:
    lab = torch.randn(2, 3, 8, 8) * torch.tensor([50.0, 110.0, 110.0])[:, None, None]
    lab.requires_grad_()
    shown = rgb_of(lab)
    assert shown.abs().max() <= 1
    shown.sum().backward()
    assert lab.grad is not None
    assert torch.isfinite(lab.grad).all()


def test_gradients_are_those_of_finite_differences() -> None:
    colours = (torch.rand(1, 3, 2, 2, dtype=torch.float64) * 1.6 - 0.8).requires_grad_()
    assert torch.autograd.gradcheck(lab_of, [colours], atol=1e-4)
    black = torch.full((1, 3, 1, 1), -1.0, requires_grad=True)
    lab_of(black).sum().backward()
    assert black.grad is not None
    assert torch.isfinite(black.grad).all()


def test_grey_of_equal_lightness_has_it_and_no_colour() -> None:
    grey = grey_of_equal_lightness(COLOURS)
    torch.testing.assert_close(lightness_of(grey), lab_of(COLOURS)[:, :1], atol=1e-3, rtol=0)
    assert lab_of(grey.expand_as(COLOURS))[:, 1:].abs().max() < 0.01
    torch.testing.assert_close(grey_of_equal_lightness(grey.expand_as(COLOURS)), grey, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("ab", "number"), [((0, 0), 11 * 23 + 11), ((-110, -110), 0), ((110, 110), 528), ((4.9, 5.1), 11 * 23 + 12),
                       ((-34, 78), 8 * 23 + 19), ((200, 0), 22 * 23 + 11)],
)  # fmt: skip
def test_bins_are_squares_of_ten(ab: tuple[float, float], number: int) -> None:
    assert bin_of(torch.tensor(ab, dtype=torch.float32)[None, :, None, None]).tolist() == [[[number]]]


def test_the_middle_of_a_bin_is_in_it_and_no_further_than_five() -> None:
    bins = torch.arange(BINS)[None, None]
    assert torch.equal(bin_of(middle_of(bins)), bins)
    ab = lab_of(every_colour(16))[:, 1:]
    assert (middle_of(bin_of(ab)) - ab).abs().max() <= 5.0001
    assert bin_of(ab).unique().numel() <= 261
