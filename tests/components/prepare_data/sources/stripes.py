"""The source `stripes:<count>`: drawn stripes, lying or upright. All that a package needs to add a source."""

from __future__ import annotations

import numpy as np
from PIL import Image

from components.prepare_data.sources.base import DrawnSource, SourceKind, SourceName
from gan_models.errors import RequestError


class StripesSource(DrawnSource):
    place = "stripes"
    class_names = ("lying", "upright")

    def __init__(self, total: int) -> None:
        self.total = total

    def label(self, row: int) -> int:
        return row % 2

    def draw(self, row: int) -> Image.Image:
        width, start = np.random.default_rng(row).uniform((0.3, 0.0), (1.5, 6.0))
        light = np.rint(127.5 + 127.5 * np.sin(width * np.arange(32) + start)).astype(np.uint8)
        upright = np.tile(light, (32, 1))
        return Image.fromarray(upright if self.label(row) else np.ascontiguousarray(upright.T))


class Stripes(SourceKind):
    rest = "count"
    packages = ("numpy",)

    def check(self, text: str, rest: str) -> None:
        if not rest.isdecimal():
            raise RequestError(f"data source {text!r} names no count: write stripes:<count>, as in stripes:500")

    def carries(self, name: SourceName) -> frozenset[str]:
        return frozenset({"labels"})

    def open(self, name: SourceName) -> StripesSource:
        return StripesSource(int(name.rest))


STRIPES = Stripes()
