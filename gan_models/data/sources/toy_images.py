"""Data sets of which everything is known: how many modes there are, what each image shows, its true counterparts.

    toy:ring              a dot at a point of eight Gaussians on a circle; label: the mode
    toy:grid              the same with twenty-five Gaussians
    toy:stacked-mnist     three real digits in red, green and blue; label: the number they make, of 1,000
    toy:shapes            coloured shapes; label: the shape, domain: its colour, captions; attributes: large or not, and
                          the colour's two: warm (red, yellow) or not, bright (green, yellow) or not
    toy:outlined-shapes   the same shapes, in pairs with their outlines; label: the shape
    toy:coloured-digits   real digits in red, green or blue ink; label: the digit, domain: the ink, captions
    toy:inverted-digits   real digits, white on black or thick and dark on yellow; label: the digit, domain: the style

Drawn with fixed seeds, so that equal requests make equal tables. Digits are those of `mnist-5k`; of a real digit, no
two domains show a version: the domains are not paired.
"""

from abc import abstractmethod
from collections.abc import Sequence
from math import cos, pi, radians, sin
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from gan_models.data.decoding import Target, to_size
from gan_models.data.digit_styles import STYLES
from gan_models.data.sources.base import DrawnSource
from gan_models.data.sources.embedded import open_mnist_5k
from gan_models.data.sources.toy_catalogue import TOYS
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
        self.attribute_names = TOYS[name].attributes
        self.paired = TOYS[name].paired

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


SHAPES = ("circle", "cross", "square", "star", "triangle")
COLOURS = {"red": (255, 48, 48), "green": (48, 220, 48), "blue": (64, 96, 255), "yellow": (255, 224, 32)}
SIZES = {"small": 0.13, "large": 0.24}  # distance from the centre to the corners, as a share of the side
PLACES = {
    "in the middle": (0.5, 0.5),
    "on the left": (0.29, 0.5),
    "on the right": (0.71, 0.5),
    "at the top": (0.5, 0.29),
    "at the bottom": (0.5, 0.71),
}


class Factors(NamedTuple):
    """What a picture shows."""

    shape: str
    colour: str
    size: str
    place: str

    @property
    def caption(self) -> str:
        return f"a {self.size} {self.colour} {self.shape} {self.place}"

    @property
    def attributes(self) -> dict[str, bool]:
        """Each holds for half of the pictures, whatever the others are."""
        return {
            "bright": self.colour in ("green", "yellow"),
            "large": self.size == "large",
            "warm": self.colour in ("red", "yellow"),
        }


COMBINATIONS = [
    Factors(shape, colour, size, place) for place in PLACES for size in SIZES for colour in COLOURS for shape in SHAPES
]


def factors_of(row: int) -> Factors:
    """The factors of picture `row`: every combination equally often, in turn."""
    return COMBINATIONS[row % len(COMBINATIONS)]


class ShapeSource(ToySource):
    """Coloured shapes on a dark ground, drawn from factors that are all known: RGB, 128x128.

    In another domain everything but the colour (place to the pixel, shade) stays the same.
    """

    SIDE = 128
    FINER = 2  # drawn this many times larger, then averaged: smooth edges
    SEED = 20_140_610

    def __init__(self, name: str = "shapes") -> None:
        super().__init__(name, IMAGES, SHAPES)

    def label(self, row: int) -> int:
        return SHAPES.index(factors_of(row).shape)

    def domain(self, row: int) -> str | None:
        return factors_of(row).colour

    def caption(self, row: int) -> str | None:
        return factors_of(row).caption

    def attributes(self, row: int) -> Sequence[int] | None:
        held = factors_of(row).attributes
        return [int(held[name]) for name in self.attribute_names]

    def draw(self, row: int, domain: str | None = None) -> Image.Image:
        return self._drawn(row, domain)

    def _drawn(self, row: int, domain: str | None = None, *, outline_only: bool = False) -> Image.Image:
        factors = factors_of(row)
        jitter = np.random.default_rng([self.SEED, row]).uniform(-1.0, 1.0, 6)
        x, y = PLACES[factors.place] + 0.03 * jitter[:2]
        radius = SIZES[factors.size] * (1.0 + 0.08 * jitter[2])
        ink = np.array(COLOURS[domain or factors.colour]) * (0.93 + 0.07 * jitter[4])
        ground = round(20 + 20 * jitter[5])
        side = self.SIDE * self.FINER
        picture = Image.new("RGB", (side, side), (ground, ground, ground))
        corners = _corners(factors.shape, radians(10 * jitter[3]))
        outline = [(side * (x + radius * across), side * (y + radius * down)) for across, down in corners]
        colour = tuple(np.rint(ink).astype(int).tolist())
        if outline_only:
            picture.paste((0, 0, 0), (0, 0, side, side))
            ImageDraw.Draw(picture).line([*outline, *outline[:2]], fill=colour, width=4 * self.FINER, joint="curve")
        else:
            ImageDraw.Draw(picture).polygon(outline, fill=colour)
        return picture.reduce(self.FINER)


class OutlinedShapeSource(ShapeSource):
    """The same, each in a pair with its outline, in its colour on black; what the ground is like remains unsaid."""

    def __init__(self) -> None:
        super().__init__("outlined-shapes")

    def partner(self, row: int) -> Image.Image:
        return self._drawn(row, outline_only=True)


def _corners(shape: str, turn: float) -> list[tuple[float, float]]:
    """The outline within the unit circle, turned by an angle."""
    if shape == "circle":
        return _on_circle(64, 0.0)
    if shape == "square":
        return _on_circle(4, pi / 4 + turn)
    if shape == "triangle":
        return _on_circle(3, -pi / 2 + turn)
    if shape == "star":
        tips, notches = _on_circle(5, -pi / 2 + turn), _on_circle(5, -pi / 2 + pi / 5 + turn)
        return [corner for tip, (x, y) in zip(tips, notches, strict=True) for corner in (tip, (0.4 * x, 0.4 * y))]
    # A cross: its arms are a third of its width.
    arm, reach = 1 / 10**0.5, 3 / 10**0.5
    quarter = [(arm, reach), (arm, arm), (reach, arm)]
    turned = [(turn + step * -pi / 2, corner) for step in range(4) for corner in quarter]
    return [(x * cos(angle) - y * sin(angle), x * sin(angle) + y * cos(angle)) for angle, (x, y) in turned]


def _on_circle(count: int, start: float) -> list[tuple[float, float]]:
    angles = [start + 2 * pi * step / count for step in range(count)]
    return [(cos(angle), sin(angle)) for angle in angles]


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
    if name in ("ring", "grid"):
        return DotSource(RING if name == "ring" else GRID)
    made = {"stacked-mnist": StackedSource, "shapes": ShapeSource, "outlined-shapes": OutlinedShapeSource}.get(name)
    return made() if made else StyledDigitSource(name)


def counterparts(source: ToySource, paths: Sequence[str], domain: str, target: Target) -> np.ndarray:
    """What images of a table would truly look like in another domain, prepared as the table was.

    Args:
        paths: as the table has them, of rows of `source`.
        target: the table's size, channels and resize filter.

    Returns:
        uint8 [N, size, size, channels].
    """
    drawn = [source.draw(int(path.rpartition("/")[2]), domain).convert(target.mode) for path in paths]
    images = [np.asarray(to_size(image, target.size, target.resize, target.fit)) for image in drawn]
    return np.stack(images).reshape(len(images), *target.size, target.channels)
