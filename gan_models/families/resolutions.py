"""Which square sizes convolutions make: a coarsest map of 4 to 7 pixels, doubled some times. Needs no PyTorch."""

from collections.abc import Sequence
from typing import NamedTuple

from gan_models.errors import RequestError

_COARSEST = range(4, 8)
LARGEST = 128


def sizes_up_to(largest: int) -> list[int]:
    """The sizes that a coarsest map doubles to, one time at least."""
    return sorted(base << doublings for base in _COARSEST for doublings in range(1, 9) if base << doublings <= largest)


SIZES = sizes_up_to(LARGEST)


class Plan(NamedTuple):
    """How a size is reached: `base`, the width of the coarsest map, and the number of `doublings` from it."""

    base: int
    doublings: int

    @property
    def maps(self) -> list[int]:
        """Sizes of the maps from the coarsest to the image's own."""
        return [self.base << level for level in range(self.doublings + 1)]


def check_size(size: int, does: str, sizes: Sequence[int] = SIZES) -> None:
    """Raises RequestError where `size` is none of `sizes`; `does` says how these come about."""
    if size not in sizes:
        near = sorted(sorted(sizes, key=lambda known: abs(known - size))[:2])
        raise RequestError(
            f"data.size={size}: {does}, so the nearest sizes it can make are "
            f"{' and '.join(map(str, near))} (all: {', '.join(map(str, sizes))})"
        )


def plan(size: int, family: str, largest: int = LARGEST) -> Plan:
    """The plan for a size; raises RequestError where no coarse map of 4 to 7 pixels doubles to it."""
    check_size(size, f"{family} doubles a 4 to 7 pixel map", sizes_up_to(largest))
    doublings = next(n for n in range(1, 9) if size >> n in _COARSEST and (size >> n) << n == size)
    return Plan(size >> doublings, doublings)


def doubled_widths(width: int, most: int, count: int) -> list[int]:
    """Channels of `count` maps from the finest to the coarsest, twice as many at each halving, at most `most`."""
    return [min(most, width << level) for level in range(count)]
