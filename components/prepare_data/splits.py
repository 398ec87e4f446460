"""Which image goes to which split, and which images are there twice.

A split is decided by an image's own pixels: equal images always land together, and an image stays where it is when
others are added, so that what a generator was trained on never turns up in a later test split.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Duplicate:
    """A row that equals an earlier one, pixel by pixel."""

    row: int
    first: int
    """The row it equals: the first of those in the earliest split."""
    removed: bool
    """Whether it lies in a later split than `first`: a leak."""


class DuplicateFinder:
    """Remembers 17 bytes of every image, and finds equal ones by their 64-bit hashes.

    Two different images share a hash with a probability of 3e-6 among ten million.
    """

    def __init__(self) -> None:
        self._digests = array("Q")
        self._labels = array("q")
        self._splits = bytearray()

    def add(self, digests: np.ndarray, labels: Sequence[int | None], splits: Sequence[str]) -> None:
        """One batch of rows, in the order of the table."""
        self._digests.frombytes(digests.astype(np.uint64).tobytes())
        self._labels.extend(-1 if label is None else label for label in labels)
        self._splits.extend(SPLITS.index(split) for split in splits)

    def find(self) -> tuple[list[Duplicate], int]:
        """All duplicates by row, and how many groups of equal images carry different labels."""
        digests, splits = np.frombuffer(self._digests, np.uint64), np.frombuffer(self._splits, np.uint8)
        labels = np.frombuffer(self._labels, np.int64)
        # Within a group of equal images: the earliest split first, then the order of the table.
        order = np.lexsort((np.arange(len(digests)), splits, digests))
        starts = np.flatnonzero(np.r_[True, digests[order][1:] != digests[order][:-1]]) if len(order) else order
        sizes = np.diff(np.r_[starts, len(order)])
        found: list[Duplicate] = []
        conflicts = 0
        for start, size in zip(starts[sizes > 1].tolist(), sizes[sizes > 1].tolist(), strict=True):
            first, *others = order[start : start + size].tolist()
            found += [Duplicate(row, first, bool(splits[row] != splits[first])) for row in others]
            conflicts += any(labels[row] != labels[first] for row in others)
        return sorted(found, key=lambda duplicate: duplicate.row), conflicts
