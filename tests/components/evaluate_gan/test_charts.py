"""Charts: what is drawn where, gaps, marks, and text that stays text."""

import re
from xml.etree.ElementTree import Element, fromstring

import pytest

from components.evaluate_gan.charts import Line, Mark, Whisker, bars, line_chart, scatter_path, whiskers


def of_class(svg: Element, name: str) -> list[Element]:
    return [element for element in svg.iter() if element.get("class") == name]


def places(svg: Element, name: str = "line-0") -> list[tuple[float, float]]:
    (path,) = of_class(svg, name)
    numbers = [float(text) for text in re.findall(r"[-\d.]+", path.get("d") or "")]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_a_line_goes_from_left_to_right_and_higher_is_higher() -> None:
    svg = fromstring(line_chart("t", [Line("a", [0, 100, 200], [1.0, 3.0, 2.0])]))
    (x0, y0), (x1, y1), (x2, y2) = places(svg)
    assert x0 < x1 < x2
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y1 < y2 < y0
    assert (y0 - y2) == pytest.approx((y2 - y1), abs=0.2)


def test_on_a_logarithmic_axis_equal_factors_are_equal_heights() -> None:
    svg = fromstring(line_chart("t", [Line("a", [0, 1, 2], [1.0, 10.0, 100.0])], logarithmic=True))
    heights = [y for _, y in places(svg)]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.2)
    assert fromstring(line_chart("t", [Line("a", [0, 1], [-1.0, 1.0])], logarithmic=True)) is not None  # linear then


def test_what_is_not_a_number_is_a_gap_and_nothing_is_no_chart() -> None:
    svg = fromstring(line_chart("t", [Line("a", [0, 1, 2], [1.0, None, float("nan")]), Line("b", [0, 1], [1.0, 2.0])]))
    assert len(places(svg, "line-0")) == 1
    assert len(places(svg, "line-1")) == 2
    assert line_chart("t", [Line("a", [0, 1], [None, None])]) == ""
    assert fromstring(line_chart("t", [Line("a", [5], [0.0])])) is not None


def test_the_chosen_one_and_the_refused_are_marked_where_they_are() -> None:
    line = Line("a", [0, 100], [1.0, 2.0])
    svg = fromstring(line_chart("t", [line], marks=[Mark(100, 2.0, "chosen"), Mark(50, 1.5, "refused")]))
    (ring,) = of_class(svg, "chosen")
    assert (float(ring.get("cx") or 0), float(ring.get("cy") or 0)) == places(svg)[1]
    assert len(of_class(svg, "refused")) == 2


def test_whiskers_reach_from_low_to_high_on_a_scale_that_begins_at_nought() -> None:
    svg = fromstring(whiskers("t", Whisker(2.0, 1.0, 3.0), Whisker(4.0)))
    (ours,), (real,) = of_class(svg, "dot-ours"), of_class(svg, "dot-real")
    left = 6.0
    assert (float(real.get("cx") or 0) - left) == pytest.approx(2 * (float(ours.get("cx") or 0) - left), rel=0.01)
    line, *ends = of_class(svg, "whisker-ours")
    assert float(line.get("x1") or 0) < float(ours.get("cx") or 0) < float(line.get("x2") or 0)
    assert len(ends) == 2
    assert not of_class(svg, "whisker-real")


def test_bars_are_as_long_as_their_values() -> None:
    svg = fromstring(bars("t", 1.0, 2.0, 2.0))
    (ours,), (real,) = of_class(svg, "bar-ours"), of_class(svg, "bar-real")
    assert float(real.get("width") or 0) == pytest.approx(2 * float(ours.get("width") or 0))
    assert fromstring(bars("t", 0.0, None, 0.0)) is not None


def test_names_are_text() -> None:
    hostile = '<script>alert("1")</script>'
    for svg in (
        line_chart(hostile, [Line(hostile, [0, 1], [1.0, 2.0])], axis=hostile),
        scatter_path(hostile, [(0.0, 1.0, hostile), (1.0, 2.0, "b")], hostile, hostile),
        bars(hostile, 1.0, 1.0, 1.0),
    ):
        assert "<script" not in svg
        assert fromstring(svg).get("aria-label") == hostile
