"""Augmentations change where things are, let gradients through, and treat every image by itself."""

import pytest
import torch

from gan_models.augmentations import AUGMENTATIONS, cutout, translation


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS))
def test_shape_stays_gradients_flow_and_draws_differ(name: str) -> None:
    torch.manual_seed(0)
    images = torch.rand(64, 3, 16, 16, requires_grad=True)
    changed = AUGMENTATIONS[name](images)
    assert changed.shape == images.shape
    (gradient,) = torch.autograd.grad(changed.sum(), images)
    assert (gradient.flatten(1).sum(1) > 0).all()
    assert not torch.equal(changed, AUGMENTATIONS[name](images))


def test_translation_moves_by_at_most_an_eighth_and_repeats_the_border() -> None:
    torch.manual_seed(0)
    image = torch.zeros(1, 1, 16, 16)
    image[0, 0, 8, 5] = 1
    shifted = translation(image.expand(500, 1, 16, 16))
    places = {tuple(torch.nonzero(one[0]).flatten().tolist()) for one in shifted}
    assert places == {(row, column) for row in range(6, 11) for column in range(3, 8)}
    assert (translation(torch.full((8, 1, 16, 16), 7.0)) == 7).all()


def test_cutout_blanks_a_square_of_half_the_size_or_what_the_border_leaves_of_it() -> None:
    torch.manual_seed(0)
    blank = (cutout(torch.ones(300, 1, 16, 16)) == 0).flatten(1).sum(1)
    assert blank.max() == 8 * 8
    assert blank.min() >= 4 * 4
