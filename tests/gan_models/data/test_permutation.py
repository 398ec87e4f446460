"""Orders that are never listed."""

import numpy as np
import pytest

from gan_models.data.permutation import permuted
from gan_models.data.table import EpochSampler


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 17, 1000, 1024, 65_537])
def test_everything_stands_somewhere_once(size: int) -> None:
    found = permuted(np.arange(size), size, [3, 0])
    assert np.array_equal(np.sort(found), np.arange(size))


def test_a_part_is_what_the_whole_says() -> None:
    whole = permuted(np.arange(5000), 5000, [1, 2])
    assert np.array_equal(permuted(np.arange(4990, 5000), 5000, [1, 2]), whole[4990:])
    assert not np.array_equal(permuted(np.arange(5000), 5000, [1, 3]), whole)
    assert not np.array_equal(permuted(np.arange(5000), 5000, [2, 2]), whole)


def test_it_looks_like_a_random_order() -> None:
    size, orders = 4000, 200
    drawn = np.stack([permuted(np.arange(size), size, [seed]) for seed in range(orders)])
    # Each thing is equally often in each tenth of the order: chi squared of 4000 x 10 counts.
    counts = np.stack([(drawn // (size // 10) == tenth).sum(0) for tenth in range(10)])
    chi = ((counts - orders / 10) ** 2 / (orders / 10)).sum()
    freedom = size * 9
    assert abs(chi - freedom) < 5 * np.sqrt(2 * freedom)
    # One thing in its own place, on average; and no memory of the one before.
    assert (drawn == np.arange(size)).sum(1).mean() == pytest.approx(1, abs=0.35)
    following = np.array([np.corrcoef(order[:-1], order[1:])[0, 1] for order in drawn])
    assert np.abs(following.mean()) < 5 / np.sqrt(size * orders)


def test_a_thousand_million_images_take_no_memory() -> None:
    sampler = EpochSampler(10**9, 64, seed=5)
    first = sampler.indices(10**6)
    assert len(set(first.tolist())) == 64
    assert first.max() < 10**9
    assert first.tolist() == EpochSampler(10**9, 64, seed=5).indices(10**6).tolist()
    assert sampler.indices(10**6 + sampler.steps_per_epoch).tolist() != first.tolist()
    assert sampler._order.numel() == 0


def test_the_order_of_smaller_sets_stays_what_it_was() -> None:
    """Trainings of earlier versions go on: these are NumPy's permutations, seeded by seed and epoch."""
    drawn = EpochSampler(10, 5, seed=7).indices(3)
    assert drawn.tolist() == np.random.default_rng([7, 1]).permutation(10)[5:].tolist()


@pytest.mark.parametrize("places", [[-1], [10]])
def test_places_outside_are_refused(places: list[int]) -> None:
    with pytest.raises(ValueError, match="of 10"):
        permuted(np.array(places), 10, [0])
