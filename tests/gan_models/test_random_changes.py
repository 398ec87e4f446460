"""Random changes of training images: what they may do to one, and that pairs stay pairs."""

from pathlib import Path

import pytest
import torch

from gan_models import ranks
from gan_models.errors import RequestError
from gan_models.random_changes import changed
from gan_models.recipes import load_recipe


def test_half_of_the_images_are_mirrored_and_nothing_else() -> None:
    torch.manual_seed(0)
    images = torch.rand(400, 3, 4, 4) * 2 - 1
    (found,) = changed([images], flip=True)
    same = (found == images).flatten(1).all(1)
    mirrored = (found == images.flip(3)).flatten(1).all(1)
    assert torch.equal(same, ~mirrored)
    assert float(mirrored.float().mean()) == pytest.approx(0.5, abs=0.08)


def test_a_crop_is_a_window_of_the_enlarged_image_at_any_place() -> None:
    """A horizontal ramp stays one: its slope tells the enlargement, its start the place."""
    torch.manual_seed(0)
    ramp = torch.linspace(-1, 1, 32).expand(500, 1, 32, 32)
    (found,) = changed([ramp], load_size=36)
    assert found.shape == ramp.shape
    rows = found[:, 0, 7, 4:-4]
    slopes = rows.diff(dim=1)
    torch.testing.assert_close(slopes, torch.full_like(slopes, 2 / 31 * 32 / 36), atol=1e-4, rtol=0)
    starts = ((rows[:, 0] - rows[:, 0].min()) / (2 / 31 * 32 / 36)).round()
    assert starts.unique().tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    counts = torch.bincount(starts.long())
    assert counts.min() > 70


def test_both_sides_of_a_pair_change_alike() -> None:
    torch.manual_seed(0)
    one = torch.rand(32, 3, 8, 8) * 2 - 1
    first, second = changed([one, -one], flip=True, load_size=10)
    torch.testing.assert_close(first, -second)
    assert not torch.allclose(first, one, atol=0.1)


def test_without_changes_images_are_as_they_are_and_no_random_number_is_drawn() -> None:
    images = torch.rand(4, 1, 8, 8)
    before = torch.get_rng_state()
    (found,) = changed([images], flip=False, load_size=8)
    assert found is images
    assert torch.equal(torch.get_rng_state(), before)


def test_ranks_change_their_rows_as_one_process_does(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand(8, 3, 8, 8) * 2 - 1
    torch.manual_seed(1)
    (whole,) = changed([images], flip=True, load_size=10)
    parts = []
    monkeypatch.setattr(ranks, "count", lambda: 2)
    for rank in range(2):
        monkeypatch.setattr(ranks, "share", lambda rows, rank=rank: rows.tensor_split(2)[rank])
        torch.manual_seed(1)
        parts += changed([images.tensor_split(2)[rank]], flip=True, load_size=10)
    assert torch.equal(torch.cat(parts), whole)


def test_oblong_images_keep_their_form_while_they_are_enlarged() -> None:
    """A ramp across a picture twice as wide as high: enlarged by a quarter both ways, its steps are 4/5 as large."""
    across = torch.linspace(-0.9, 0.9, 32).expand(64, 1, 16, 32)
    torch.manual_seed(0)
    (cut,) = changed([across], load_size=20)
    assert cut.shape == (64, 1, 16, 32)
    steps = cut[:, 0, 8, 9:24].diff(dim=1)
    torch.testing.assert_close(steps, torch.full_like(steps, 1.8 / 31 * 0.8), rtol=0.02, atol=0)


def test_images_are_not_made_smaller_than_what_is_cut_out() -> None:
    with pytest.raises(RequestError, match=r"training\.load_size=16 is smaller than data\.size=32"):
        load_recipe("dcgan", ["training.load_size=16"])


def test_a_training_with_changes_resumes_bit_for_bit(small_recipe, assert_resumes, tmp_path: Path) -> None:
    recipe = small_recipe("dcgan", "training.flip=true", "training.load_size=12")
    assert_resumes(recipe, tmp_path)
