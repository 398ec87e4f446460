"""Random numbers for images by their number: a seed and a number are an image, however many are drawn with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor


class Draws:
    """Of the images `first` to `first + num - 1` of a seed, each from a stream of its own.

    What image i is given depends on the seed, on i and on how many calls came before. Streams are parts of one counter
    (Philox; Salmon et al. 2011), so none overlaps another.

    Args:
        seed: from 0 on.
    """

    def __init__(self, seed: int, num: int, first: int = 0) -> None:
        self.numbers = torch.arange(first, first + num)
        """The number of each image, int64 [num]."""
        self._seeds: Sequence[int] = ()
        self._source = np.random.Philox(key=seed)
        self._calls = 0

    @classmethod
    def of_seeds(cls, seeds: Sequence[int]) -> Self:
        """Of image 0 of each of these seeds."""
        draws = cls(0, len(seeds))
        draws.numbers, draws._seeds = torch.zeros(len(seeds), dtype=torch.int64), seeds
        return draws

    def __len__(self) -> int:
        return len(self.numbers)

    def normal(self, *shape: int) -> Tensor:
        """From N(0, 1), float32 [num, *shape]."""
        return self._filled(shape, lambda stream, row: stream.standard_normal(out=row, dtype=np.float32))

    def uniform(self, *shape: int) -> Tensor:
        """From U[0, 1), float32 [num, *shape]."""
        return self._filled(shape, lambda stream, row: stream.random(out=row, dtype=np.float32))

    def streams(self) -> Iterator[np.random.Generator]:
        """That of each image in turn, to be used up before the next one is asked for."""
        stream, state = np.random.Generator(self._source), self._source.state
        call, self._calls = self._calls, self._calls + 1
        for place, number in enumerate(self.numbers.tolist()):
            if self._seeds:
                state["state"]["key"][:] = divmod(self._seeds[place], 1 << 64)[::-1]
            state["state"]["counter"][:] = (0, 0, number, call)
            state["buffer_pos"], state["has_uint32"] = len(state["buffer"]), 0  # nothing is left of the one before
            self._source.state = state
            yield stream

    def _filled(self, shape: tuple[int, ...], fill: Callable[[np.random.Generator, np.ndarray], object]) -> Tensor:
        rows = np.empty((len(self), *shape), np.float32)
        flat = rows.reshape(len(self), -1)
        for stream, row in zip(self.streams(), flat, strict=True):
            fill(stream, row)
        return torch.from_numpy(rows)
