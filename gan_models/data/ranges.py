"""Which values of images are black and which are white: bytes, 10 to 16 bits, floats, a window of a scan.

Imported by the decoder processes, so it imports nothing.
"""

from __future__ import annotations

from typing import NamedTuple

DEEP_WHITE = 65535
WHITES = (255, 1023, 4095, 16383, DEEP_WHITE)
"""The largest values of 8, 10, 12, 14 and 16 bits, as scanners and cameras store them in 16."""


class Range(NamedTuple):
    """Values that become black and white, those between them in proportion."""

    black: float
    white: float
    cut: bool = False
    """Whether values beyond become black or white too; else an image that has such cannot be used."""

    def __str__(self) -> str:
        return f"{self.black:g} becomes black and {self.white:g} white"


class Ranges(NamedTuple):
    """Of images by how they store their values."""

    bytes: Range = Range(0, 255)
    deep: Range = Range(0, DEEP_WHITE)
    """Integers of more than 8 bits."""
    floats: Range | None = None
    """None: by each image alone, [0, 255] where it exceeds 1 and else [0, 1]."""


def kind_of(mode: str) -> str:
    """Which of `Ranges` holds for a Pillow mode."""
    if mode == "F":
        return "floats"
    return "deep" if mode == "I" or mode.startswith("I;16") else "bytes"


def usual_range(kind: str, low: float, high: float) -> Range | None:
    """The least of the usual ranges that holds all values; None where none does: there is no telling what is white."""
    if kind == "floats":
        usual = [Range(0, 1), Range(-1, 1), Range(0, 255)]
    else:
        usual = [Range(0, white) for white in (WHITES if kind == "deep" else WHITES[:1])]
    return next((each for each in usual if each.black <= low and high <= each.white), None)


def stated(asked: object) -> Ranges | None:
    """What `data.range` says without a look at the images; None where it takes one."""
    if isinstance(asked, tuple | list):
        low, high = asked
        window = Range(low, high, cut=True)
        return Ranges(window, window, window)
    return Ranges(floats=Range(0, 1)) if asked == "full" else None


def white_note(highest: float, white: float) -> str:
    """How integers of more than 8 bits are read, in a sentence."""
    return f"values of more than 8 bits, up to {highest:g}: {white:g} becomes white"
