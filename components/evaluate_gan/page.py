"""The report as one HTML page that a reviewer decides by: it holds its pictures and charts, and asks for nothing.

What people called their classes, files and recipes is text and stays text: the template escapes all of it, and the page
forbids scripts and whatever is not inside it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup
from PIL import Image

from components.evaluate_gan import charts
from components.evaluate_gan.figures import Picture
from components.evaluate_gan.findings import Classes, Findings, Interval, Reading
from components.evaluate_gan.provenance import Past, Provenance
from components.evaluate_gan.report import comparison, memorisation
from components.evaluate_gan.verdict import RULES, TITLES, Verdict, confused_pairs
from components.evaluate_gan.wording import number
from gan_models.data.decoding import in_eight_bits

_HERE = files("components.evaluate_gan")
_BYTES = 300_000  # of a picture: a dozen of them make 5 MB
_WIDTH = 1200  # pixels that a picture is shrunk to where it is larger; small ones are enlarged to near it
_LEAST_QUALITY = 70  # of WebP, before pixels are given up
_MOST_CLASSES = 20  # of a matrix that can be read
_WORST = 10  # classes, and mistaken pairs, that are listed where there are many


class Chart(NamedTuple):
    """A drawing with its title and the names of its lines."""

    title: str
    drawing: Markup
    lines: tuple[str, ...] = ()
    note: str = ""


class Line(NamedTuple):
    """A row of the table of figures."""

    title: str
    better: str
    name: str
    cells: list[tuple[str, str]]  # a value and its interval, by column
    drawing: Markup


class ClassLine(NamedTuple):
    """A row of the table of classes."""

    name: str
    cells: list[str]
    drawing: Markup


def page(
    title: str,
    findings: Findings,
    pictures: Mapping[str, Picture],
    folder: Path,
    said: Verdict,
    past: Past,
    origin: Provenance,
) -> str:
    """The page; the files of `pictures` lie in `folder`."""
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    heads, lines = figures_table(findings)
    template = _environment().get_template("page")
    return template.render(
        title=title,
        style=Markup(style),
        policy=f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        findings=findings,
        comparison=comparison(findings),
        memorisation=memorisation(findings),
        said=said,
        tones=TITLES,
        rules=[(name, rule, [one.tone for one in said.remarks if one.rule == name]) for name, rule in RULES.items()],
        pictures={file: (picture, data_uri(folder / file)) for file, picture in pictures.items()},
        heads=heads,
        lines=lines,
        hows=_hows(findings),
        selection=_selection(past),
        training=list(_training(past)),
        classes=_class_table(findings),
        matrix=_matrix(findings.classes),
        mistaken=_mistaken(findings.classes),
        truncation=_truncation(findings),
        origin=origin,
    )


def _environment() -> Environment:
    source = (_HERE / "page.html.j2").read_text(encoding="utf-8")
    return Environment(
        loader=DictLoader({"page": source}),
        autoescape=True,
        finalize=_unbroken,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _unbroken(value: Any) -> Any:
    """Per cent stay with their number."""
    return value.replace(" %", "\N{NO-BREAK SPACE}%") if isinstance(value, str) else value


def data_uri(file: Path) -> str:
    """A picture as part of the page: enlarged without smoothing where it is small, shrunk where it is heavy."""
    image = Image.open(file)
    times = max(1, _WIDTH // image.width)
    png = _encoded(image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST), "png")
    if len(png) <= _BYTES and image.width <= _WIDTH:
        return _uri("png", png)
    small, quality = in_eight_bits(image).convert("RGB"), 88
    while True:
        if small.width > _WIDTH:
            small = small.resize((_WIDTH, max(1, small.height * _WIDTH // small.width)), Image.Resampling.LANCZOS)
        webp = _encoded(small, "webp", quality=quality)
        if len(webp) <= _BYTES or small.width < 2:
            return _uri("webp", webp)
        if quality > _LEAST_QUALITY:
            quality = _LEAST_QUALITY
        else:
            small = small.resize((small.width * 3 // 4, max(1, small.height * 3 // 4)), Image.Resampling.LANCZOS)


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    into = io.BytesIO()
    image.save(into, format=kind, **options)
    return into.getvalue()


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


# -- figures ----------------------------------------------------------------------------------------------------------


def figures_table(findings: Findings) -> tuple[list[str], list[Line]]:
    """Heads of the columns of values, and a line for each figure: those of the task, then by metric."""
    matched = any(row.generated_at_real for row in findings.rows)
    first = findings.rows[0]
    heads = [f"generated ({first.generated.images})"]
    if matched and first.generated_at_real:
        heads.append(f"first {first.generated_at_real.images} generated")
    heads.append(f"real ({first.real.images})" if first.real else "real")
    lines = []
    for task in findings.tasks:
        told = "" if task.real is None else number(task.real, task.is_share)
        cells = [(number(task.value, task.is_share), ""), *([("", "")] if matched else []), (told, "")]
        drawing = _drawn(task.title, task.value, task.real, None, None, task.is_share)
        lines.append(Line(task.title, task.better, task.name, cells, drawing))
    for metric, row in findings.lines():
        known = findings.intervals.get(row.metric)
        ours, theirs = (known.generated, known.real) if known else (None, None)
        cells = [_cell(row.generated, ours, metric.is_share)]
        if matched:
            cells.append(_cell(row.generated_at_real, None, metric.is_share))
        cells.append(_cell(row.real, theirs, metric.is_share))
        share = metric.is_share or row.metric in ("precision", "recall", "coverage")
        real = None if row.real is None else row.real.value
        drawing = _drawn(metric.title, row.generated.value, real, ours, theirs, share)
        lines.append(Line(metric.title, row.better, row.generated.name, cells, drawing))
    return heads, lines


def _cell(reading: Reading | None, interval: Interval | None, is_share: bool) -> tuple[str, str]:
    if reading is None:
        return "", ""
    ends = "" if interval is None else f"{number(interval.low, is_share)} to {number(interval.high, is_share)}"
    return number(reading.value, is_share), ends


def _drawn(
    title: str, value: float, real: float | None, ours: Interval | None, theirs: Interval | None, share: bool
) -> Markup:
    if real is None:
        return Markup("")
    one = charts.Whisker(value, *((ours.low, ours.high) if ours else (None, None)))
    other = charts.Whisker(real, *((theirs.low, theirs.high) if theirs else (None, None)))
    told = f"{title}: generated {number(value)}, real images {number(real)}"
    return charts.whiskers(told, one, other, share=share)


def _hows(findings: Findings) -> list[str]:
    """How the intervals were made, each way with the metrics that have it."""
    by_how: dict[str, list[str]] = {}
    for metric, row in findings.lines():
        if row.metric in findings.intervals:
            by_how.setdefault(findings.intervals[row.metric].how, []).append(metric.title)
    return [f"{', '.join(titles)}: {how}." for how, titles in by_how.items()]


# -- the training -----------------------------------------------------------------------------------------------------


def _selection(past: Past) -> list[Chart]:
    """Score and diversity by checkpoint; empty where the generator came without its selection."""
    choice, points = past.choice, past.checkpoints
    if choice is None or len(points) < 2:
        return []
    steps = [float(one.step) for one in points]
    chosen = next((one for one in points if one.step == choice.step), None)
    alive = [one for one in points if one.eligible]
    marks = [charts.Mark(one.step, one.score, "point") for one in alive]
    marks += [
        charts.Mark(one.step, one.score, "refused") for one in points if one.collapsed and math.isfinite(one.score)
    ]
    marks += [charts.Mark(choice.step, choice.score, "chosen")]
    line = charts.Line(choice.metric, [float(one.step) for one in alive], [one.score for one in alive])
    collapsed = f", {choice.collapsed} collapsed and refused (x)" if choice.collapsed else ""
    title = f"{choice.metric} by checkpoint, step {choice.step} chosen"
    found = [
        Chart(
            choice.metric,
            charts.line_chart(title, [line], marks=marks, logarithmic=True),
            note=f"The ring is the chosen one: step {choice.step}, {number(choice.score)}, of {choice.candidates} "
            f"checkpoints{collapsed}. Compare within the curve only: "
            f"{choice.protocol.sentence}.",
        )
    ]
    diverse = [charts.Mark(one.step, one.diversity, "refused" if one.collapsed else "point") for one in points]
    if chosen:
        diverse.append(charts.Mark(chosen.step, chosen.diversity, "chosen"))
    line = charts.Line("diversity", steps, [one.diversity for one in points])
    drawing = charts.line_chart("Diversity by checkpoint", [line], marks=diverse, within=(0.0, 1.0))
    note = "How much images of fixed latents differ, as a share of what real images do; below 0.1 is a collapse."
    return [*found, Chart("diversity", drawing, note=note)]


_GROUPS = (
    ("losses", lambda name: name in ("D/loss", "G/loss"), False, (0.0,)),
    ("accuracy of D", lambda name: name.startswith("D/accuracy"), False, (0.5, 1.0)),
    ("gradient norms", lambda name: name.endswith("gradient_norm"), True, ()),
    ("parts of the losses", lambda name: name.startswith(("D/", "G/")) and name != "G/diversity", False, ()),
)
"""What is drawn together: a title, which series, on a logarithmic axis or not, and what the axis holds in any case.
A series is in the first that takes it."""


def _training(past: Past) -> Iterator[Chart]:
    if past.curves is None or len(past.curves.steps) < 2:
        return
    left = dict(past.curves.series)
    for title, takes, logarithmic, within in _GROUPS:
        names = [name for name in left if takes(name)][:6]
        lines = [charts.Line(name, past.curves.steps, left.pop(name)) for name in names]
        drawing = charts.line_chart(
            f"{title} by step: {', '.join(names)}", lines, logarithmic=logarithmic, within=within
        )
        if drawing:
            yield Chart(title, drawing, tuple(names), "logarithmic axis" if logarithmic else "")


# -- classes ----------------------------------------------------------------------------------------------------------


class ClassTable(NamedTuple):
    """By class, the worst first."""

    heads: list[str]
    lines: list[ClassLine]
    left_out: int  # of many, the better ones


def _class_table(findings: Findings) -> ClassTable | None:
    """Distance within each class, or, where there is none, shares; the worst classes first."""
    within, classes = findings.within_classes, findings.classes
    rights = _rights(classes)
    if within is not None and within.classes:
        found = sorted(
            within.classes, key=lambda one: -(one.generated.value / one.real.value if one.real else one.generated.value)
        )
        most = max([one.generated.value for one in found] + [one.real.value for one in found if one.real])
        heads = ["Frechet distance within the class", "real images", "times", "taken for it", "images"]
        lines = [
            ClassLine(
                one.class_name,
                [
                    number(one.generated.value),
                    number(one.real.value) if one.real else "",
                    number(one.generated.value / one.real.value) if one.real and one.real.value > 0 else "",
                    rights.get(one.class_name, ""),
                    str(one.generated.images),
                ],
                charts.bars(
                    f"{one.class_name}: {number(one.generated.value)}", one.generated.value,
                    one.real.value if one.real else None, most,
                ),
            )
            for one in found
        ]  # fmt: skip
    elif classes is not None:
        shares = zip(classes.names, classes.generated_shares, classes.real_shares, strict=True)
        found_shares = sorted(shares, key=lambda one: one[1] / one[2] if one[2] else math.inf)
        most = max([*classes.generated_shares, *classes.real_shares])
        heads = ["share of generated images", "of real images", "taken for it"]
        lines = [
            ClassLine(
                name,
                [number(ours, True), number(theirs, True), rights.get(name, "")],
                charts.bars(f"{name}: {number(ours, True)}", ours, theirs, most),
            )
            for name, ours, theirs in found_shares
        ]
    else:
        return None
    shown = lines if len(lines) <= 2 * _WORST else lines[: 2 * _WORST]
    return ClassTable(heads, shown, len(lines) - len(shown))


def _rights(classes: Classes | None) -> dict[str, str]:
    """By class, the share of the images asked for as it that are taken for it."""
    if classes is None or classes.confusion is None:
        return {}
    rows = enumerate(classes.confusion)
    return {classes.names[asked]: number(row[asked] / sum(row), True) for asked, row in rows if sum(row)}


class Matrix(NamedTuple):
    """Images asked for as a class (row) that are taken for each class; shades 0 to 5 (20 % of the row, or more)."""

    names: list[str]
    rows: list[list[tuple[str, int]]]


def _matrix(classes: Classes | None) -> Matrix | None:
    if classes is None or classes.confusion is None or len(classes.names) > _MOST_CLASSES:
        return None
    rows = []
    for counts in classes.confusion:
        total = sum(counts) or 1
        rows.append([(str(count) if count else "", min(5, math.ceil(20 * count / total))) for count in counts])
    return Matrix(classes.names, rows)


def _mistaken(classes: Classes | None) -> list[tuple[str, str, str, int]]:
    """The classes that are taken for another most often: asked for, seen, share, images."""
    if classes is None or classes.confusion is None:
        return []
    pairs: Sequence[tuple[float, int, int, int]] = sorted(confused_pairs(classes.confusion), reverse=True)[:_WORST]
    return [
        (classes.names[asked], classes.names[seen], number(share, True), n) for share, n, asked, seen in pairs if n > 1
    ]


def _truncation(findings: Findings) -> Chart | None:
    points = findings.truncation
    if len(points) < 2:
        return None
    names = ["none" if point.threshold is None else f"{point.threshold:g}" for point in points]
    if all(point.inception_score is not None for point in points):
        placed = [(point.fd, point.inception_score or 0.0, name) for point, name in zip(points, names, strict=True)]
        drawing = charts.scatter_path(
            "Inception Score over Frechet distance by truncation threshold",
            placed,
            "Frechet distance",
            "Inception Score",
        )
    else:
        placed = [
            (float(number_), point.fd, name) for number_, (point, name) in enumerate(zip(points, names, strict=True))
        ]
        drawing = charts.scatter_path("Frechet distance by truncation threshold", placed, "", "Frechet distance")
    note = (
        "Latents beyond a threshold are drawn again; `none` is the generator as it is, which every other figure is of."
    )
    return Chart("truncation", drawing, note=note)
