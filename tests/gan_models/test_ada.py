"""ADA's pipeline: what moves where, what stays, and derivatives."""

import math

import pytest
import torch
from torch import Tensor

from gan_models.ada import _colour, _geometry, augmented, moved, recoloured
from gan_models.augmentations import augment


def inverse(*rows: list[float], count: int = 2) -> Tensor:
    return torch.tensor([*rows, [0.0, 0.0, 1.0]]).expand(count, -1, -1)


def smooth(size: int = 24) -> Tensor:
    """Two images of one wave each."""
    places = torch.linspace(-1, 1, size)
    return torch.stack(
        [(3 * places).sin()[:, None] * (2 * places).cos(), (2 * places + 1).sin() + 0 * places[:, None]]
    )[:, None].repeat(1, 3, 1, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_with_probability_0_nothing_changes(channels: int) -> None:
    images = torch.randn(4, channels, 16, 16)
    assert torch.equal(moved(images, _geometry(images, 0.0)), images)
    torch.testing.assert_close(augmented(images, 0.0), images)
    torch.testing.assert_close(augment(images, ["ada"], torch.zeros(())), images)


def test_the_resampling_itself_loses_nothing() -> None:
    images = torch.randn(2, 3, 16, 16)
    nearly = inverse([1.0, 0.0, 1e-7], [0.0, 1.0, 0.0])
    torch.testing.assert_close(moved(images, nearly), images, rtol=0, atol=1e-4)


def test_whole_pixels_are_moved_as_they_are_and_the_border_is_a_mirror() -> None:
    images = torch.randn(2, 1, 12, 12)
    shifted = moved(images, inverse([1.0, 0.0, -2.0], [0.0, 1.0, 0.0]))
    torch.testing.assert_close(shifted[..., 2:], images[..., :-2], rtol=0, atol=1e-4)
    torch.testing.assert_close(shifted[..., :2], images[..., [2, 1]], rtol=0, atol=1e-4)


def test_flips_and_quarter_turns() -> None:
    images = smooth()
    flipped = moved(images, inverse([-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]))
    torch.testing.assert_close(flipped, images.flip(3), rtol=0, atol=0.03)
    turned = moved(images, inverse([0.0, -1.0, 0.0], [1.0, 0.0, 0.0]))
    torch.testing.assert_close(turned, images.rot90(1, (2, 3)), rtol=0, atol=0.03)


def test_what_is_moved_there_and_back_is_where_it_was() -> None:
    images = smooth(32)
    angle = 0.6
    there = torch.tensor(
        [[math.cos(angle), -math.sin(angle), 1.3], [math.sin(angle), math.cos(angle), -0.4], [0, 0, 1]]
    )
    back = torch.linalg.inv(there)
    again = moved(moved(images, there.expand(2, -1, -1)), back.expand(2, -1, -1))
    torch.testing.assert_close(again[..., 10:-10, 10:-10], images[..., 10:-10, 10:-10], rtol=0, atol=0.01)


def test_colours_are_mapped_by_matrices() -> None:
    images = torch.randn(2, 3, 4, 4)
    matrix = torch.randn(2, 4, 4)
    expected = torch.einsum("bik,bkhw->bihw", matrix[:, :3], torch.cat([images, torch.ones(2, 1, 4, 4)], 1))
    torch.testing.assert_close(recoloured(images, matrix), expected)
    grey = images[:, :1]
    torch.testing.assert_close(recoloured(grey, matrix), expected.new_tensor(0) + recoloured(
        grey.expand(-1, 3, -1, -1), matrix
    ).mean(1, keepdim=True))  # fmt: skip


def test_every_colour_has_a_way_back_and_hue_keeps_grey_as_it_is() -> None:
    torch.manual_seed(0)
    matrices = _colour(torch.zeros(500, 3, 4, 4), 1.0)
    assert torch.linalg.det(matrices[:, :3, :3]).abs().min() > 1e-4
    # What luma flips, contrast and brightness do to grey is grey; hue and saturation do nothing to it.
    grey = matrices[:, :3, :3].sum(2)
    torch.testing.assert_close(grey, grey[:, :1].expand(-1, 3), rtol=0, atol=1e-4)


def test_each_change_comes_as_often_as_is_asked() -> None:
    torch.manual_seed(0)
    images = torch.zeros(4000, 1, 8, 8)
    for probability in (0.3, torch.tensor(0.3)):
        matrices = _geometry(images, probability)
        still = (matrices == torch.eye(3)).flatten(1).all(1).float().mean().item()
        # Flip and turn leave half and a quarter as they are, rotations are one change of two; translations of 0.5 / 8
        # pixels and more move an image.
        flip, turn, whole, others = 1 - 0.3 / 2, 1 - 0.3 * 3 / 4, 1 - 0.3 * 0.75, 0.7**4
        assert still == pytest.approx(flip * turn * whole * others, abs=0.03)
        brightness = (_colour(images, probability)[:, 0, 3] != 0).float().mean().item()
        assert brightness == pytest.approx(0.3, abs=0.03)


def test_gradients_lead_back_and_may_be_differentiated_again() -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    matrices = _geometry(images.detach().float(), 1.0).double()
    assert torch.autograd.gradcheck(lambda each: moved(each, matrices), images)
    assert torch.autograd.gradgradcheck(lambda each: moved(each, matrices).square(), images)
