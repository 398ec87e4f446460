"""Charts as SVG inside the page: colours are the page's, in light and in dark; nothing is loaded, nothing runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, tostring

from markupsafe import Markup

_WIDTH, _HEIGHT = 520, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 14, 42
_TICKS = 4
_MANY = 6  # of a class, as the style sheet has colours: line-0 to line-5


class Line(NamedTuple):
    """Values over steps; None or what is not finite is a gap."""

    name: str
    steps: Sequence[float]
    values: Sequence[float | None]


class Mark(NamedTuple):
    """A point that is pointed out."""

    step: float
    value: float
    kind: str  # "point", "chosen" or "refused"


class Whisker(NamedTuple):
    """A value with its interval."""

    value: float
    low: float | None = None
    high: float | None = None


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    axis: str = "step",
    marks: Sequence[Mark] = (),
    logarithmic: bool = False,
    within: Sequence[float] = (),
) -> Markup:
    """Lines over steps, with marks.

    Args:
        title: what a screen reader says.
        within: values that the upward axis holds in any case.
    """
    points = [
        [(x, y) for x, y in zip(line.steps, line.values, strict=True) if y is not None and math.isfinite(y)]
        for line in lines
    ]
    everything = [point for line in points for point in line] + [(mark.step, mark.value) for mark in marks]
    if not everything:
        return Markup("")
    upward = [*(y for _, y in everything), *within]
    lowest = min(upward)
    logarithmic = logarithmic and lowest > 0
    scale = _Scale(
        (min(x for x, _ in everything), max(x for x, _ in everything)),
        (lowest, max(upward)),
        logarithmic,
    )
    svg = _canvas(title, _WIDTH, _HEIGHT)
    _axes(svg, scale, axis)
    for number, line in enumerate(points):
        if line:
            _path(svg, [scale.place(x, y) for x, y in line], number)
    for mark in marks:
        _mark(svg, scale.place(mark.step, mark.value), mark)
    return _text_of(svg)


def scatter_path(title: str, points: Sequence[tuple[float, float, str]], x_axis: str, y_axis: str) -> Markup:
    """Points (x, y, label) in their order, joined."""
    xs, ys = [x for x, _, _ in points], [y for _, y, _ in points]
    scale = _Scale((min(xs), max(xs)), (min(ys), max(ys)), False, margin=0.08)
    svg = _canvas(title, _WIDTH, _HEIGHT)
    _axes(svg, scale, x_axis, y_axis)
    places = [scale.place(x, y) for x, y, _ in points]
    _path(svg, places, 0)
    for (x, y), (_, _, label) in zip(places, points, strict=True):
        near_edge = x > _WIDTH - 90
        SubElement(svg, "circle", {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "4", "class": "dot-0"})
        text = SubElement(
            svg, "text", {"x": f"{x - 8 if near_edge else x + 8:.1f}", "y": f"{y - 6:.1f}",
                          "class": "end" if near_edge else ""},
        )  # fmt: skip
        text.text = label
    return _text_of(svg)


def whiskers(title: str, ours: Whisker, real: Whisker, *, share: bool = False) -> Markup:
    """The generator's value above that of real images, on one scale that begins at 0; to 1 for shares."""
    rows = [(ours, "ours"), (real, "real")]
    ends = [end for one, _ in rows for end in (one.value, one.low, one.high) if end is not None]
    low, high = (0.0, 1.0) if share else (min(0.0, *ends), max(0.0, *ends) * 1.05)
    if share:
        low, high = min(low, *ends), max(high, *ends)
    width, height = 180, 34
    span = (high - low) or 1.0

    def place(value: float) -> float:
        return 6 + (width - 12) * (value - low) / span

    svg = _canvas(title, width, height)
    _line(svg, place(0.0 if low <= 0 <= high else low), 2, place(0.0 if low <= 0 <= high else low), height - 2, "grid")
    for number, (one, kind) in enumerate(rows):
        y = 10 + 14 * number
        if one.low is not None and one.high is not None:
            _line(svg, place(one.low), y, place(one.high), y, f"whisker-{kind}")
            for end in (one.low, one.high):
                _line(svg, place(end), y - 4, place(end), y + 4, f"whisker-{kind}")
        SubElement(svg, "circle", {"cx": f"{place(one.value):.1f}", "cy": f"{y:.1f}", "r": "4", "class": f"dot-{kind}"})
    return _text_of(svg)


def bars(title: str, ours: float, real: float | None, most: float) -> Markup:
    """Two bars, the generator's above that of real images, of a column whose longest is `most`."""
    width, height = 180, 22
    svg = _canvas(title, width, height)
    for number, (value, kind) in enumerate(((ours, "ours"), (real, "real"))):
        if value is not None:
            length = max(1.0, (width - 2) * value / most) if most > 0 else 1.0
            SubElement(
                svg, "rect", {"x": "1", "y": str(2 + 10 * number), "width": f"{length:.1f}", "height": "8",
                              "class": f"bar-{kind}"},
            )  # fmt: skip
    return _text_of(svg)


class _Scale:
    """From values to places on the canvas."""

    def __init__(
        self, x: tuple[float, float], y: tuple[float, float], logarithmic: bool, *, margin: float = 0.0
    ) -> None:
        self.logarithmic = logarithmic
        self.x = _widened(x, margin)
        low, high = (math.log10(y[0]), math.log10(y[1])) if logarithmic else y
        self.y = _widened((low, high), 0.06)

    def place(self, x: float, y: float) -> tuple[float, float]:
        value = math.log10(y) if self.logarithmic else y
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (value - self.y[0]) / (self.y[1] - self.y[0])
        return _LEFT + across * (_WIDTH - _LEFT - _RIGHT), _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM)

    def ticks(self) -> tuple[list[float], list[float]]:
        if not self.logarithmic:
            return _round_ticks(*self.x), _round_ticks(*self.y)
        low, high = 10 ** self.y[0], 10 ** self.y[1]
        decades = range(math.floor(self.y[0]), math.ceil(self.y[1]) + 1)
        found = [m * 10.0**e for e in decades for m in (1, 2, 5) if low <= m * 10.0**e <= high]
        while len(found) > _TICKS + 2:
            found = found[::2]
        return _round_ticks(*self.x), found if len(found) > 1 else _round_ticks(low, high)


def _widened(ends: tuple[float, float], margin: float) -> tuple[float, float]:
    low, high = ends
    span = high - low or abs(high) or 1.0
    if high == low:
        return low - span / 2, high + span / 2
    return low - margin * span, high + margin * span


def _round_ticks(low: float, high: float) -> list[float]:
    """At round numbers (1, 2, 5 and their tens), four or so."""
    raw = (high - low) / _TICKS
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= raw)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _canvas(title: str, width: int, height: int) -> Element:
    svg = Element("svg", {"viewBox": f"0 0 {width} {height}", "role": "img", "aria-label": title})
    if height < 100:
        svg.set("class", "small")
    return svg


def _axes(svg: Element, scale: _Scale, axis: str, y_axis: str = "") -> None:
    across, up = scale.ticks()
    for value in up:
        _, y = scale.place(scale.x[0], value)
        _line(svg, _LEFT, y, _WIDTH - _RIGHT, y, "grid")
        _label(svg, _LEFT - 6, y + 4, _tick(value), "end")
    for value in across:
        x, _ = scale.place(value, 10 ** scale.y[0] if scale.logarithmic else scale.y[0])
        _label(svg, x, _HEIGHT - _BOTTOM + 17, _tick(value), "middle")
    _line(svg, _LEFT, _HEIGHT - _BOTTOM, _WIDTH - _RIGHT, _HEIGHT - _BOTTOM, "axis")
    _label(svg, (_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 6, axis, "middle")
    if y_axis:
        _label(svg, _LEFT, _TOP - 2, y_axis, "")


def _tick(value: float) -> str:
    if value and (abs(value) >= 1e6 or abs(value) < 1e-3):
        return f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _path(svg: Element, places: Sequence[tuple[float, float]], number: int) -> None:
    text = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    SubElement(svg, "path", {"d": text, "class": f"line-{number % _MANY}"})


def _mark(svg: Element, place: tuple[float, float], mark: Mark) -> None:
    x, y = place
    if mark.kind == "chosen":
        SubElement(svg, "circle", {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "7", "class": "chosen"})
    elif mark.kind == "refused":
        for sign in (1, -1):
            _line(svg, x - 5, y - 5 * sign, x + 5, y + 5 * sign, "refused")
    else:
        SubElement(svg, "circle", {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "3", "class": "dot-0"})


def _line(svg: Element, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
    places = {name: f"{value:.1f}" for name, value in (("x1", x1), ("y1", y1), ("x2", x2), ("y2", y2))}
    SubElement(svg, "line", {**places, "class": kind})


def _label(svg: Element, x: float, y: float, text: str, kind: str) -> None:
    SubElement(svg, "text", {"x": f"{x:.1f}", "y": f"{y:.1f}", "class": kind}).text = text


def _text_of(svg: Element) -> Markup:
    return Markup(tostring(svg, encoding="unicode"))  # ElementTree has escaped what is text
