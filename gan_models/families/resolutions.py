"""Which sizes convolutions make: a coarsest map of 4 to 7 pixels, doubled some times. Needs no PyTorch.

Oblong images are planned by their shorter side; the longer one doubles along with it from a map that is as oblong.
"""

from collections.abc import Sequence
from typing import NamedTuple

from gan_models.data.shape import Size
from gan_models.errors import RequestError

_COARSEST = range(4, 8)
LARGEST = 128


def sizes_up_to(largest: int) -> list[int]:
    """The sizes that a coarsest map doubles to, one time at least."""
    return sorted(base << doublings for base in _COARSEST for doublings in range(1, 9) if base << doublings <= largest)


SIZES = sizes_up_to(LARGEST)


class Plan(NamedTuple):
    """How a size is reached: `base`, the size of the coarsest map, and the number of `doublings` from it."""

    base: Size
    doublings: int

    @property
    def maps(self) -> list[int]:
        """Shorter sides of the maps from the coarsest to the image's own."""
        return [self.base.shorter << level for level in range(self.doublings + 1)]


def check_size(size: Size, does: str, sizes: Sequence[int] = SIZES) -> None:
    """Raises RequestError where the shorter side is none of `sizes`; `does` says how these come about."""
    short = size.shorter
    if short not in sizes:
        near = sorted(sorted(sizes, key=lambda known: abs(known - short))[:2])
        made = "sizes" if size.is_square else "shorter sides"
        raise RequestError(
            f"data.size={size}: {does}, so the nearest {made} it can make are "
            f"{' and '.join(map(str, near))} (all: {', '.join(map(str, sizes))})"
        )


def check_halvings(size: Size, times: int, does: str) -> None:
    """Raises RequestError where a side cannot be halved so many times; `does` says what wants it."""
    if not size.is_multiple_of(step := 1 << times):
        near = f"data.size={Size(*(max(step, round(side / step) * step) for side in size))}"
        multiples = "the size is a multiple" if size.is_square else "both sides are multiples"
        raise RequestError(f"data.size={size}: {does}, so {multiples} of {step}: use {near}")


def plan(size: Size, family: str, largest: int = LARGEST) -> Plan:
    """The plan for a size; raises RequestError where no coarse map of 4 to 7 pixels doubles to it."""
    check_size(size, f"{family} doubles a 4 to 7 pixel map", sizes_up_to(largest))
    short = size.shorter
    doublings = next(n for n in range(1, 9) if short >> n in _COARSEST and (short >> n) << n == short)
    check_halvings(size, doublings, f"{family} doubles a map of {short >> doublings} pixels {doublings} times")
    return Plan(size.halved(doublings), doublings)


def doubled_widths(width: int, most: int, count: int) -> list[int]:
    """Channels of `count` maps from the finest to the coarsest, twice as many at each halving, at most `most`."""
    return [min(most, width << level) for level in range(count)]
