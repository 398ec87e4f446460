"""Trainings that several processes cannot share are refused with the recipe, before anything is prepared."""

from __future__ import annotations

import pytest

from gan_models.errors import RequestError
from gan_models.recipes import load_recipe


def test_one_process_takes_any_game_and_batch() -> None:
    load_recipe("cyclegan", ["training.batch_size=15"]).check_ranks(1)


def test_a_game_with_state_of_its_own_is_refused() -> None:
    with pytest.raises(RequestError, match=r"game\.kind=cycle keeps state of its own"):
        load_recipe("cyclegan", ["training.ranks=2", "training.batch_size=16"])


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(RequestError, match=r"training\.batch_size=15 .* use 14"):
        load_recipe("dcgan", ["training.ranks=2", "training.batch_size=15"])
