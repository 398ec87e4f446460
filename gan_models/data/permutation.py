"""A random order of very many things, a few of them at a time: nothing as long as the order is ever in memory."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

import numpy as np

_ROUNDS = 8


def permuted(places: np.ndarray, size: int, seed: Sequence[int]) -> np.ndarray:
    """What stands at some places, int64 [n], of a permutation of `size` things: int64 [n].

    A generalised Feistel network (Black and Rogaway 2002, "Ciphers with Arbitrary Finite Domains") over the pairs of
    Z_a x Z_b, the least rectangle about a square that holds `size`; a result outside is sent through again. Its rounds
    are SplitMix64's finaliser (Steele et al. 2014) with keys drawn from `seed`.

    Raises:
        ValueError: places outside of 0 to size - 1.
    """
    if len(places) and not (places.min() >= 0 and places.max() < size):
        raise ValueError(f"places from {places.min()} to {places.max()} of {size}")
    wide = np.uint64(isqrt(size - 1) + 1)
    high = np.uint64(-(-size // int(wide)))
    keys = np.random.SeedSequence(seed).generate_state(_ROUNDS, np.uint64)
    found = places.astype(np.uint64)
    outside = np.ones(len(found), bool)
    while outside.any():
        across: np.ndarray = found[outside] % wide
        up: np.ndarray = found[outside] // wide
        for number, key in enumerate(keys):
            if number % 2:
                up = (up + _mixed(across + key) % high) % high
            else:
                across = (across + _mixed(up + key) % wide) % wide
        found[outside] = across + wide * up
        outside = found >= np.uint64(size)
    return found.astype(np.int64)


def _mixed(values: np.ndarray) -> np.ndarray:
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        values = (values ^ (values >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(values ^ (values >> np.uint64(31)))
