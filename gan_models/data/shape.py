"""What networks need to know of the data they are built for. Needs no PyTorch."""

from __future__ import annotations

from typing import NamedTuple

COLOURS = {1: "grey", 3: "RGB", 4: "RGBA"}
"""What images are called, by their number of channels."""
CHANNELS = {"grey": 1, "rgb": 3, "rgba": 4}
"""By what `data.channels` calls them."""


class Size(NamedTuple):
    """Of an image or a feature map, in pixels. Written as a setting writes it: 32, or [32, 64] where it is oblong."""

    height: int
    width: int

    @classmethod
    def square(cls, side: int) -> Size:
        return cls(side, side)

    @classmethod
    def of(cls, image_shape: tuple[int, int, int]) -> Size:
        """Of images (C, H, W)."""
        return cls(*image_shape[1:])

    @property
    def shorter(self) -> int:
        """The side that networks are planned by, and that their maps are named after."""
        return min(self)

    @property
    def longer(self) -> int:
        return max(self)

    @property
    def is_square(self) -> bool:
        return self.height == self.width

    @property
    def places(self) -> int:
        """H * W."""
        return self.height * self.width

    def halved(self, times: int = 1) -> Size:
        """Each side so many times, rounded down."""
        return Size(self.height >> times, self.width >> times)

    def is_multiple_of(self, divisor: int) -> bool:
        return not (self.height % divisor or self.width % divisor)

    def with_shorter(self, side: int) -> Size:
        """Of the same form, as far as whole pixels allow."""
        return Size(*(round(each * side / self.shorter) for each in self))

    @property
    def across(self) -> str:
        """WIDTHxHEIGHT, as people say it of pictures."""
        return f"{self.width}x{self.height}"

    def __str__(self) -> str:
        return str(self.height) if self.is_square else f"[{self.height}, {self.width}]"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


class DataShape(NamedTuple):
    """Sizes that a network's layers depend on."""

    image: tuple[int, int, int]
    """(C, H, W)."""
    classes: int = 0
    """Number of classes, 0 when unlabelled."""
    domains: int = 0
    """Number of domains, 0 where the data has none."""
    words: int = 0
    """Size of the captions' vocabulary, 0 where the data has none. Word numbers go from 1 to this and 0 is padding, so
    an embedding of words has `words + 1` rows."""
    vocabulary: tuple[str, ...] = ()
    """Those words, for encoders that know what words mean; word number i + 1 is `vocabulary[i]`."""
    attributes: int = 0
    """Number of attributes that an image has or has not, 0 where the data says nothing of such."""
    embedding: int = 0
    """Width of the embeddings that images carry in place of texts, 0 where they carry none."""
