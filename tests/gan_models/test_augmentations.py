"""Augmentations are the authors' formulas, let gradients through twice, and treat every image by itself."""

import pytest
import torch
from torch import Tensor

from gan_models.augmentations import AUGMENTATIONS, augment, color, cutout, shift, translation


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_shape_stays_gradients_flow_and_draws_differ(name: str) -> None:
    images = torch.rand(64, 3, 16, 16, requires_grad=True)
    changed = AUGMENTATIONS[name](images, 1.0)
    assert changed.shape == images.shape
    (gradient,) = torch.autograd.grad(changed.sum(), images)
    assert (gradient.flatten(1).abs().sum(1) > 0).all()
    assert not torch.equal(changed, AUGMENTATIONS[name](images, 1.0))


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_a_penalty_on_ds_gradient_is_differentiable_through_it(name: str) -> None:
    images = torch.rand(4, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(3, 8, 8, dtype=torch.float64, requires_grad=True)

    def penalty(images: Tensor, weight: Tensor) -> Tensor:
        torch.manual_seed(1)
        judged = (AUGMENTATIONS[name](images, 0.7) * weight).square().sum()
        (gradient,) = torch.autograd.grad(judged, images, create_graph=True)
        return gradient.square().sum()

    assert torch.autograd.gradcheck(penalty, (images, weight), fast_mode=True)


@pytest.mark.parametrize("name", ["color", "cutout", "shift", "translation"])  # the others are many changes in one
def test_an_image_is_changed_with_the_probability_that_is_asked_for(name: str) -> None:
    images = torch.rand(2000, 3, 8, 8)
    changed = (augment(images, [name], 0.3) != images).flatten(1).any(1)
    always = (augment(images, [name]) != images).flatten(1).any(1).float().mean().item()
    assert changed.float().mean().item() == pytest.approx(0.3 * always, abs=0.04)
    assert augment(images, [name], 0.0) is images


def test_color_is_brightness_then_saturation_then_contrast() -> None:
    """Image by image, as the authors' code writes them."""
    images = torch.rand(5, 3, 4, 4) * 2 - 1
    torch.manual_seed(3)
    changed = color(images)
    torch.manual_seed(3)
    brightness, saturation, contrast = (torch.rand(5) for _ in range(3))
    for index, image in enumerate(images):
        expected = image + (brightness[index] - 0.5)
        grey = (expected[0] + expected[1] + expected[2]) / 3
        expected = torch.stack([(channel - grey) * (2 * saturation[index]) + grey for channel in expected])
        expected = (expected - expected.mean()) * (contrast[index] + 0.5) + expected.mean()
        torch.testing.assert_close(changed[index], expected)


def test_saturation_leaves_grey_images_grey() -> None:
    changed = color(torch.rand(8, 1, 6, 6).expand(-1, 3, -1, -1))
    torch.testing.assert_close(changed[:, :1].expand(-1, 3, -1, -1), changed)


@pytest.mark.parametrize("name", ["color", "ada"])
def test_changes_of_colour_leave_what_is_transparent_alone(name: str) -> None:
    """The opacity moves with the image, and is neither brightened nor mixed with the colours."""
    images = torch.rand(64, 4, 8, 8) * 2 - 1
    images[:, 3] = 0.25
    torch.manual_seed(0)
    changed = augment(images, [name])
    torch.testing.assert_close(changed[:, 3], images[:, 3])
    torch.manual_seed(0)
    torch.testing.assert_close(changed[:, :3], augment(images[:, :3], [name]))


def test_r3gans_pipeline_is_adas_with_colour_half_as_often_and_a_square_cut_out() -> None:
    """Of flat grey images, whose size only brightness and contrast change."""
    flat = torch.full((2000, 3, 8, 8), 0.5)
    changed = AUGMENTATIONS["ada-cutout"](flat, 1.0)
    squares = (changed == 0).all(1).flatten(1).sum(1)
    assert squares.max() == 16
    assert squares.min() == 4
    left = changed.flatten(1).abs().amax(1)
    assert ((left - 0.5).abs() < 1e-3).float().mean().item() == pytest.approx(0.5 * 0.5, abs=0.04)
    whole = AUGMENTATIONS["ada"](flat, 1.0)
    assert ((whole.flatten(1).abs().amax(1) - 0.5).abs() < 1e-3).float().mean() < 0.01
    assert torch.equal(augment(flat, ["ada-cutout"], 0.0), flat)


@pytest.mark.parametrize(("size", "reach"), [(16, 2), (28, 4), (20, 3)])  # 3.5 and 2.5 are rounded up
def test_translation_moves_by_at_most_an_eighth_and_brings_in_grey(size: int, reach: int) -> None:
    image = torch.zeros(1, 1, size, size)
    image[0, 0, 8, 5] = 1
    moved = translation(image.expand(1500, 1, size, size))
    places = {tuple(torch.nonzero(one[0]).flatten().tolist()) for one in moved}
    around = range(-reach, reach + 1)
    assert places == {(8 + down, 5 + right) for down in around for right in around}

    full = translation(torch.full((300, 1, size, size), 7.0))
    rows, columns = ((full[:, 0].amax(axis) == 0).sum(1) for axis in (2, 1))
    assert sorted(set(rows.tolist())) == sorted(set(columns.tolist())) == list(range(reach + 1))
    whole = (size - rows) * (size - columns)
    assert torch.equal((full == 7).flatten(1).sum(1), whole), "something other than grey came in"


def test_shift_repeats_the_border_instead() -> None:
    image = torch.zeros(1, 1, 16, 16)
    image[0, 0, 8, 5] = 1
    shifted = shift(image.expand(500, 1, 16, 16))
    places = {tuple(torch.nonzero(one[0]).flatten().tolist()) for one in shifted}
    assert places == {(row, column) for row in range(6, 11) for column in range(3, 8)}
    assert (shift(torch.full((8, 1, 16, 16), 7.0)) == 7).all()


def test_cutout_blanks_a_square_of_half_the_size_or_what_the_border_leaves_of_it() -> None:
    blank = (cutout(torch.ones(1000, 1, 16, 16)) == 0)[:, 0]
    counts = blank.flatten(1).sum(1)
    assert counts.max() == 8 * 8
    assert counts.min() == 4 * 4
    # The centre may lie one place beyond the last, where the side is even: the last four rows alone are blank then.
    first = blank.any(2).float().argmax(1)
    assert sorted(set(first.tolist())) == list(range(13))


def test_an_odd_square_has_its_centre_on_a_pixel() -> None:
    """A side of 5 of 9 pixels (4.5 rounded up)."""
    blank = (cutout(torch.ones(1000, 1, 9, 9)) == 0)[:, 0]
    heights = blank.any(2).sum(1)
    assert sorted(set(heights.tolist())) == [3, 4, 5]
    # Nine centres, of which one at either end leaves three rows and one beside it four.
    assert (heights == 5).float().mean().item() == pytest.approx(5 / 9, abs=0.05)
