"""Splits by content."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_models.data.preparing.splits import Copies, assign_splits, choose_rows

DIGESTS = np.random.default_rng(0).integers(0, 2**64, 20_000, np.uint64)
SHARES = {"validation": 0.1, "test": 0.2}


def split(digests: np.ndarray, seed: int = 0, shares: dict[str, float] | None = None) -> list[str]:
    return assign_splits(digests, [None] * len(digests), frozenset(), shares or SHARES, seed)


def test_shares_are_met() -> None:
    splits = split(DIGESTS)
    for name, share in (("train", 0.7), ("validation", 0.1), ("test", 0.2)):
        assert splits.count(name) / len(splits) == pytest.approx(share, abs=0.01)


def test_seeds_are_independent() -> None:
    first, second = np.array(split(DIGESTS, 0)), np.array(split(DIGESTS, 1))
    both = np.mean((first == "test") & (second == "test"))
    assert both == pytest.approx(0.04, abs=0.01)


@given(st.integers(0, 2**63), st.integers(1, 19_999))
def test_an_image_keeps_its_split_when_others_come_and_go(seed: int, keep: int) -> None:
    assert split(DIGESTS[:keep], seed) == split(DIGESTS, seed)[:keep]


def test_test_split_does_not_move_with_the_validation_share() -> None:
    before, after = split(DIGESTS), split(DIGESTS, shares={"validation": 0.3, "test": 0.2})
    assert [name == "test" for name in before] == [name == "test" for name in after]


def test_copies_that_are_kept_have_places_of_their_own_and_keep_them() -> None:
    copies, repeated = Copies(), np.append(np.full(4000, 77, np.uint64), DIGESTS[:4000])
    splits = split(copies.apart(repeated))
    for side in (splits[:4000], splits[4000:]):
        assert side.count("test") / 4000 == pytest.approx(0.2, abs=0.02)
    assert splits[4000:] == split(DIGESTS[:4000])
    again = Copies()
    assert split(np.concatenate([again.apart(repeated[:1500]), again.apart(repeated[1500:])])) == splits


def test_given_splits_are_honoured_and_completed_from_training_images() -> None:
    given = ["train", "test"] * 10_000
    splits = assign_splits(DIGESTS, given, frozenset({"train", "test"}), SHARES, 0)
    assert all(now == "test" for now, was in zip(splits, given, strict=True) if was == "test")
    assert {now for now, was in zip(splits, given, strict=True) if was == "train"} == {"train", "validation"}
    assert splits.count("validation") / 10_000 == pytest.approx(0.1, abs=0.01)


def test_a_limit_takes_a_random_part_in_order() -> None:
    rows = choose_rows(1000, 100, seed=3)
    assert rows is not None
    assert len(set(rows.tolist())) == 100
    assert (np.diff(rows) > 0).all()
    assert rows.max() > 800
    assert choose_rows(1000, 1000, 3) is None
    assert choose_rows(1000, None, 3) is None
    assert np.array_equal(rows, choose_rows(1000, 100, seed=3))
