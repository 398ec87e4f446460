"""Which image goes to which split.

A split is decided by an image's own pixels: equal images always land together, and an image stays where it is when
others are added, so that what a generator was trained on never turns up in a later test split.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gan_models.data.table_file import SPLITS

DIGEST_TYPE = np.dtype("<u8")


def choose_rows(total: int, limit: int | None, seed: int) -> np.ndarray | None:
    """Positions of at most `limit` of `total` images, a random choice in ascending order; None for all of them."""
    if limit is None or limit >= total:
        return None
    return np.sort(np.random.default_rng(seed).choice(total, limit, replace=False))


def assign_splits(
    digests: np.ndarray,
    given: Sequence[str | None],
    given_splits: frozenset[str],
    shares: dict[str, float],
    seed: int,
) -> list[str]:
    """The split of each image.

    Args:
        digests: uint64 [N], a hash of each image's pixels.
        given: the split that the source itself gives to each image, or None.
        given_splits: all splits that the source gives; of the others, what `shares` asks for is taken from `train`.
        shares: of "validation" and "test", in [0, 1].
        seed: another seed makes another division.
    """
    position = _uniform(digests, seed)
    free = _cut(position, shares["test"], shares["validation"])
    if not given_splits:
        return free
    carved = _cut(position, *(0.0 if split in given_splits else shares[split] for split in ("test", "validation")))
    return [
        free[row] if split is None else carved[row] if split == "train" else split for row, split in enumerate(given)
    ]


def _cut(position: np.ndarray, test: float, validation: float) -> list[str]:
    """Splits of positions in [0, 1): test first, so that another share for validation leaves it as it is."""
    split = (position >= test).astype(np.int8) + (position >= test + validation)
    return [SPLITS[2 - index] for index in split.tolist()]


def _uniform(digests: np.ndarray, seed: int) -> np.ndarray:
    """Hashes and a seed mixed into float64 [N] in [0, 1): the finaliser of SplitMix64 (Steele et al. 2014)."""
    mixed = digests.astype(np.uint64) + np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
