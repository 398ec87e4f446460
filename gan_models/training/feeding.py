"""The batches of a training, in order, those of images that are not in memory loaded while others are worked on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from gan_models import ranks
from gan_models.data.table import AnySplit, Split
from gan_models.games.base import Batch, Sampler

AHEAD = 4
"""Batches that are loaded before they are asked for."""


class Feed:
    """Batches by size and number, a pure function of both.

    Attributes:
        waited: seconds that `batch` has taken where it could not be ready.
    """

    def __init__(self, split: AnySplit, samplers: Mapping[int, Sampler], needs: frozenset[str]) -> None:
        self.split = split
        self.samplers = samplers
        self.needs = needs
        self.waited = 0.0
        # One thread: batches are loaded in the order in which they will be asked for.
        self._thread = None if isinstance(split, Split) else ThreadPoolExecutor(1, thread_name_prefix="feed")
        self._coming: deque[tuple[tuple[int, int], Future[Batch]]] = deque()

    def batch(self, size: int, number: int) -> Batch:
        """This process's share of batch `number` (counted from 0) of `size` images."""
        if self._thread is None:
            return self._load(size, number)
        began = time.monotonic()
        if self._coming and self._coming[0][0] != (size, number):  # another size, or somewhere else in the order
            self._forget()
        following = number + len(self._coming)
        for wanted in range(following, number + 1 + AHEAD):
            self._coming.append(((size, wanted), self._thread.submit(self._load, size, wanted)))
        loaded = self._coming.popleft()[1].result()
        self.waited += time.monotonic() - began
        return loaded

    def _load(self, size: int, number: int) -> Batch:
        return Batch.of(self.split, ranks.share(self.samplers[size].indices(number)), self.needs)

    def _forget(self) -> None:
        for _, future in self._coming:
            future.cancel()
        self._coming.clear()

    def close(self) -> None:
        """Ends the thread."""
        self._forget()
        if self._thread is not None:
            self._thread.shutdown()
