"""Simulated colour hints: how many, where, and what they tell."""

import pytest
import torch

from gan_models.data.hints import (
    all_told,
    geometric_counts,
    grey_of,
    painted_hints,
    place_hints,
    simulate_hints,
    with_luminance,
)


def squares(batch: int, largest: int) -> tuple[torch.Tensor, torch.Tensor]:
    stream = torch.Generator().manual_seed(1)
    sizes = torch.randint(1, largest + 1, (batch, 30), generator=stream)
    return sizes, torch.randn(batch, 30, 2, generator=stream)


def test_the_number_of_hints_is_geometric() -> None:
    counts = geometric_counts(torch.rand(40_000, generator=torch.Generator().manual_seed(0)), 0.125)
    assert counts.double().mean() == pytest.approx(7.0, abs=0.12)
    for number in range(6):
        share = float((counts == number).double().mean())
        assert share == pytest.approx(0.125 * 0.875**number, abs=0.006)


def test_a_hint_is_the_mean_colour_of_its_square() -> None:
    images = torch.rand(6, 3, 16, 16) * 2 - 1
    hints = simulate_hints(images, torch.ones(6, dtype=torch.int64), *squares(6, 5))
    for image, hint in zip(images, hints, strict=True):
        rows, columns = torch.nonzero(hint[0], as_tuple=True)
        side = int(rows.max() - rows.min()) + 1
        assert 1 <= side <= 5
        assert int(columns.max() - columns.min()) + 1 == side
        assert len(rows) == side * side
        mean = image[:, rows, columns].mean(1)
        torch.testing.assert_close(hint[1:, rows, columns], mean[:, None].expand(3, len(rows)))
        assert (hint[1:, hint[0] == 0] == 0).all()


def test_as_many_hints_as_asked_for_and_none_for_zero() -> None:
    images = torch.rand(3, 3, 64, 64)
    hints = simulate_hints(images, torch.tensor([0, 1, 30]), *squares(3, 1))
    told = hints[:, 0].sum((1, 2))
    assert told[0] == 0
    assert told[1] == 1
    assert 20 < told[2] <= 30  # some fall on the same pixel
    inside = hints[2, 0].bool()
    assert torch.equal(hints[2, 1:, inside], images[2][:, inside])


def test_places_lie_around_the_middle_with_a_quarter_of_the_side() -> None:
    count = 2000
    hints = simulate_hints(torch.zeros(count, 3, 64, 64), torch.ones(count, dtype=torch.int64), *squares(count, 1))
    rows = torch.nonzero(hints[:, 0])[:, 1].double()
    assert rows.mean() == pytest.approx(31.5, abs=1.0)
    # Places beyond the rim are moved to it, which takes a little off the quarter.
    assert rows.std() / 63 == pytest.approx(0.25, abs=0.02)


def test_later_hints_cover_earlier_ones_and_telling_all_tells_the_image() -> None:
    images = torch.rand(1, 3, 4, 4)
    squares = torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    squares[..., :2, :2] = True
    hints = place_hints(all_told(images), squares, torch.ones_like(images))
    assert (hints[0, 1:, :2, :2] == 1).all()
    assert torch.equal(hints[0, 1:, 2:], images[0, :, 2:])


def test_grey_is_the_luminance_of_bt_601() -> None:
    colours = torch.tensor([[1.0, -1.0, -1.0], [0.0, 1.0, 0.0]])[:, :, None, None]
    torch.testing.assert_close(grey_of(colours).flatten(), torch.tensor([0.299 - 0.587 - 0.114, 0.587]))


def test_a_dot_of_paint_is_a_hint_where_it_covers_half_a_pixel() -> None:
    """A canvas of eight by eight for an image of four by four: two by two of the canvas are a pixel."""
    grey = torch.full((1, 1, 4, 4), 0.2)
    paint = torch.zeros(8, 8, 4, dtype=torch.uint8)
    red = torch.tensor([255, 0, 0, 255], dtype=torch.uint8)
    paint[2:4, 4:6] = red  # all of pixel (1, 2)
    paint[0, 0:2] = red  # half of pixel (0, 0)
    paint[6, 6] = red  # a quarter of pixel (3, 3)
    hints = painted_hints(paint, grey)
    assert hints.shape == (1, 4, 4, 4)
    assert hints[0, 0].nonzero().tolist() == [[0, 0], [1, 2]]
    for row, column in ((0, 0), (1, 2)):
        colour = hints[:, 1:, row : row + 1, column : column + 1]
        expected = with_luminance(torch.tensor([1.0, -1.0, -1.0]).reshape(1, 3, 1, 1), torch.full((1, 1, 1, 1), 0.2))
        torch.testing.assert_close(colour, expected)
        assert colour.flatten().argmax() == 0
    assert (hints[0, 1:][:, hints[0, 0] == 0] == 0).all()


def test_no_paint_is_no_hint() -> None:
    transparent_red = torch.tensor([255, 0, 0, 0], dtype=torch.uint8).expand(8, 8, 4)
    assert (painted_hints(transparent_red, torch.zeros(1, 1, 4, 4)) == 0).all()
