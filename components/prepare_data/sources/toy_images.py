"""Data sets of which everything is known: how many modes there are, what each image shows, its true counterparts.

    toy:ring              a dot at a point of eight Gaussians on a circle; label: the mode
    toy:grid              the same with twenty-five Gaussians
    toy:stacked-mnist     three real digits in red, green and blue; label: the number they make, of 1,000
    toy:shapes            coloured shapes; label: the shape, domain: its colour, captions
    toy:coloured-digits   real digits in red, green or blue ink; label: the digit, domain: the ink, captions
    toy:inverted-digits   real digits, white on black or thick and dark on yellow; label: the digit, domain: the style

Drawn with fixed seeds, so that equal requests make equal tables. Digits are those of `mnist-5k`; of a real digit, no
two domains show a version: the domains are not paired.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from PIL import Image

from components.prepare_data.decoding import Target, to_square
from components.prepare_data.sources import toy_shapes
from components.prepare_data.sources.base import DrawnSource
from components.prepare_data.sources.embedded import open_mnist_5k
from components.prepare_data.sources.toy_catalogue import TOYS
from gan_models.data.digit_styles import STYLES
from gan_models.data.toy import GRID, RING, Mixture

IMAGES = 5_000
STACKED_IMAGES = 20_000
_SEED = 2014
DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class ToySource(DrawnSource):
    """One of `TOYS`."""

    def __init__(self, name: str, total: int, class_names: Sequence[str]) -> None:
        self.place = name
        self.total = total
        self.class_names = tuple(class_names)
        self.domain_names = TOYS[name].domains
        self.has_captions = TOYS[name].captions

    @abstractmethod
    def draw(self, row: int, domain: str | None = None) -> Image.Image:
        """The image of a row; in `domain`, its true counterpart there."""


class DotSource(ToySource):
    """A soft dot, its centre a point of a mixture: grey, 64x64, two standard deviations of the dot are four pixels."""

    SIDE = 64
    RADIUS = 2.0

    def __init__(self, mixture: Mixture) -> None:
        super().__init__(mixture.name, IMAGES, [str(mode) for mode in range(len(mixture.centres))])
        points, self._modes = mixture.draw(IMAGES, _SEED)
        reach = 1.25 * np.abs(mixture.centres).max()
        self._centres = (points / reach + 1.0) / 2.0 * self.SIDE - 0.5

    def label(self, row: int) -> int:
        return int(self._modes[row])

    def draw(self, row: int, domain: str | None = None) -> Image.Image:
        squares = [(np.arange(self.SIDE) - centre) ** 2 for centre in self._centres[row]]
        light = np.exp(-(squares[0][None, :] + squares[1][:, None]) / (2 * self.RADIUS**2))
        return Image.fromarray(np.rint(255 * light).astype(np.uint8))


class StackedSource(ToySource):
    """Three digits of `mnist-5k`, drawn independently, one for each colour channel (Metz et al. 2017, section 3.3)."""

    def __init__(self) -> None:
        super().__init__("stacked-mnist", STACKED_IMAGES, [f"{number:03}" for number in range(1000)])
        self._digits = open_mnist_5k()
        self._rows = np.random.default_rng(_SEED).integers(self._digits.total, size=(STACKED_IMAGES, 3))

    def label(self, row: int) -> int:
        hundreds, tens, ones = self._digits.labels[self._rows[row]].tolist()
        return int(100 * hundreds + 10 * tens + ones)

    def caption(self, row: int) -> str | None:
        return " ".join(f"{self.label(row):03}")

    def draw(self, row: int, domain: str | None = None) -> Image.Image:
        return Image.fromarray(np.stack(list(self._digits.images[self._rows[row]]), axis=-1))


class ShapeSource(ToySource):
    """Coloured shapes with factor labels."""

    def __init__(self) -> None:
        super().__init__("shapes", IMAGES, toy_shapes.SHAPES)

    def label(self, row: int) -> int:
        return toy_shapes.SHAPES.index(toy_shapes.factors_of(row).shape)

    def domain(self, row: int) -> str | None:
        return toy_shapes.factors_of(row).colour

    def caption(self, row: int) -> str | None:
        return toy_shapes.factors_of(row).caption

    def draw(self, row: int, domain: str | None = None) -> Image.Image:
        return toy_shapes.draw(row, domain)


class StyledDigitSource(ToySource):
    """The digits of `mnist-5k`, each in one style, which takes turns from row to row."""

    def __init__(self, name: str) -> None:
        self._digits = open_mnist_5k()
        super().__init__(name, self._digits.total, self._digits.class_names)

    def label(self, row: int) -> int:
        return int(self._digits.labels[row])

    def domain(self, row: int) -> str | None:
        return self.domain_names[row % len(self.domain_names)]

    def caption(self, row: int) -> str | None:
        return f"a {self.domain(row)} {DIGIT_WORDS[self.label(row)]}"

    def draw(self, row: int, domain: str | None = None) -> Image.Image:
        style = STYLES[domain or self.domain_names[row % len(self.domain_names)]]
        return Image.fromarray(style(self._digits.images[row][None])[0])


def open_toy(name: str) -> ToySource:
    """One of `TOYS`; nothing is drawn yet."""
    if name == "ring":
        return DotSource(RING)
    if name == "grid":
        return DotSource(GRID)
    if name == "stacked-mnist":
        return StackedSource()
    if name == "shapes":
        return ShapeSource()
    return StyledDigitSource(name)


def counterparts(source: ToySource, paths: Sequence[str], domain: str, target: Target) -> np.ndarray:
    """What images of a table would truly look like in another domain, prepared as the table was.

    Args:
        paths: as the table has them, of rows of `source`.
        target: the table's size, channels and resize filter.

    Returns:
        uint8 [N, size, size, channels].
    """
    drawn = [source.draw(int(path.rpartition("/")[2]), domain).convert(target.mode) for path in paths]
    images = [np.asarray(to_square(image, target.size, target.resize, target.fit)) for image in drawn]
    return np.stack(images).reshape(len(images), target.size, target.size, target.channels)
