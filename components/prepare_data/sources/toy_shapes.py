"""Coloured shapes on a dark ground, drawn from factors that are all known: shape, colour, size and place."""

from __future__ import annotations

from math import cos, pi, radians, sin
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

SHAPES = ("circle", "cross", "square", "star", "triangle")
COLOURS = {"red": (255, 48, 48), "green": (48, 220, 48), "blue": (64, 96, 255), "yellow": (255, 224, 32)}
SIZES = {"small": 0.13, "large": 0.24}
"""Distance from the centre to the corners, as a share of the side."""
PLACES = {
    "in the middle": (0.5, 0.5),
    "on the left": (0.29, 0.5),
    "on the right": (0.71, 0.5),
    "at the top": (0.5, 0.29),
    "at the bottom": (0.5, 0.71),
}
COMBINATIONS = len(SHAPES) * len(COLOURS) * len(SIZES) * len(PLACES)
SIDE = 128
_FINER = 2
"""Drawn this many times larger, then averaged: smooth edges."""
_SEED = 20_140_610


class Factors(NamedTuple):
    """What a picture shows."""

    shape: str
    colour: str
    size: str
    place: str

    @property
    def caption(self) -> str:
        return f"a {self.size} {self.colour} {self.shape} {self.place}"


def factors_of(row: int) -> Factors:
    """The factors of picture `row`: every combination equally often, in turn."""
    row, shape = divmod(row, len(SHAPES))
    row, colour = divmod(row, len(COLOURS))
    row, size = divmod(row, len(SIZES))
    return Factors(SHAPES[shape], tuple(COLOURS)[colour], tuple(SIZES)[size], tuple(PLACES)[row % len(PLACES)])


def draw(row: int, colour: str | None = None) -> Image.Image:
    """Picture `row`, RGB, 128x128; in another colour, everything else (place to the pixel, shade) stays the same."""
    factors = factors_of(row)
    jitter = np.random.default_rng([_SEED, row]).uniform(-1.0, 1.0, 6)
    x, y = PLACES[factors.place] + 0.03 * jitter[:2]
    radius = SIZES[factors.size] * (1.0 + 0.08 * jitter[2])
    ink = np.array(COLOURS[colour or factors.colour]) * (0.93 + 0.07 * jitter[4])
    ground = round(20 + 20 * jitter[5])
    side = SIDE * _FINER
    picture = Image.new("RGB", (side, side), (ground, ground, ground))
    corners = _corners(factors.shape, radians(10 * jitter[3]))
    outline = [(side * (x + radius * across), side * (y + radius * down)) for across, down in corners]
    ImageDraw.Draw(picture).polygon(outline, fill=tuple(np.rint(ink).astype(int).tolist()))
    return picture.reduce(_FINER)


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
