"""The short report, as Markdown: a file, and a part of a run's description. `components.evaluate_gan.page` has all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from components.evaluate_gan.findings import Findings, Reading
from components.evaluate_gan.verdict import TITLES, Verdict
from components.evaluate_gan.wording import number
from components.markdown import plain
from gan_models.metrics.scores import METRICS

if TYPE_CHECKING:
    from components.evaluate_gan.figures import Picture

Table = list[list[str]]  # a heading, then the lines


def markdown(title: str, findings: Findings, pictures: Mapping[str, Picture], said: Verdict | None = None) -> str:
    """The report as Markdown; `pictures` by file."""
    parts = (plain(part) if isinstance(part, str) else _as_markdown(part) for part in _content(findings))
    blocks = [f"# {plain(title)}", *(_verdict(said) if said else []), *parts]
    blocks.append("\n".join(f"- {plain(note)}" for note in findings.notes))
    blocks += [f"![{plain(one.alt)}]({file})\n\n{plain(one.caption)}" for file, one in pictures.items()]
    return "\n\n".join(blocks) + "\n"


def _verdict(said: Verdict) -> list[str]:
    blocks = [f"**{plain(said.headline)}**"]
    for tone, heading in TITLES.items():
        if remarks := said.of(tone):
            blocks.append("\n".join([f"{heading}:", "", *(f"- {plain(remark.sentence)}" for remark in remarks)]))
    if said.remedies:
        blocks.append("\n".join(["What to try:", "", *(f"- {plain(remedy)}" for remedy in said.remedies)]))
    return blocks


def short_markdown(findings: Findings) -> str:
    """The table and what it compares: a part of the run's description."""
    return f"{plain(comparison(findings))}\n\n{_as_markdown(_table(findings))}\n"


def _content(findings: Findings) -> list[str | Table]:
    """Paragraphs and tables in their order; notes and pictures come after them."""
    tables = [_within_classes_table(findings), _truncation_table(findings)]
    return [comparison(findings), _table(findings), *memorisation(findings), *(table for table in tables if table)]


def comparison(findings: Findings) -> str:
    """What was compared with what, by which features."""
    extractor, reference, generated = findings.protocol.extractor, findings.reference, findings.generated
    shares = [f"{100 * value:.1f} % on {split}" for split, value in (extractor.get("accuracy") or {}).items()]
    accuracy = f"; its accuracy is {', '.join(shares)}" if shares else ""
    return (
        f"{generated['images']} images of {generated['recipe_name']}, step {generated['step']}, against "
        f"{reference['images']} of {reference['of']} images of the {reference['split']} split of "
        f"{findings.data['source']}. Features: {findings.extractor_choice}{accuracy}. "
        f"k = {findings.protocol.parameters['neighbours']} neighbours."
    )


def memorisation(findings: Findings) -> list[str]:
    found = findings.memorisation
    if found is None:
        return []
    real = "" if found.gap_of_real is None else f" (real validation images: {number(found.gap_of_real)})"
    ratio = (
        "cannot be told in units of that of held-out images, most of which equal a training image."
        if found.distance_ratio is None
        else f"is {number(found.distance_ratio)} times that of held-out images (copies: near 0)."
    )
    return [
        f"Memorisation: FD to {found.images} training images is {number(found.to_training)}, to as many of the "
        f"{findings.reference['split']} split {number(found.to_held_out)}, a gap of {number(found.gap)}{real}; "
        "a generator that repeats its training images has a larger one. The median distance to the nearest of "
        f"{found.searched} of {findings.real_sample['of']} training images {ratio}"
    ]


def _table(findings: Findings) -> Table:
    """A line for each figure of a task, then for each metric; empty where there is no such figure."""
    first = findings.rows[0]
    columns = [first.generated, first.generated_at_real, first.real]
    titles = ("generated ({})", "first {} generated", "real ({})")
    head = ["metric", *(title.format(one.images) for title, one in zip(titles, columns, strict=True) if one)]
    gap = [""] * (len(head) - 3)
    lines = []
    for task in findings.tasks:
        real = "" if task.real is None else number(task.real, task.is_share)
        lines.append([task.title, number(task.value, task.is_share), *gap, real])
    for metric, row in findings.lines():
        if metric.in_report:
            direction = "" if metric.is_share else f" ({metric.better} is better)"
            middle = [_value(row.generated_at_real, metric.is_share)] if row.generated_at_real else gap
            cells = [_value(row.generated, metric.is_share), *middle, _value(row.real, metric.is_share)]
            lines.append([f"{metric.title}{direction}", *cells])
    return [head, *lines]


def _within_classes_table(findings: Findings) -> Table:
    """A line for each class; empty where none was measured."""
    found = findings.within_classes
    if found is None or not found.classes:
        return []
    lines = [
        [
            one.class_name,
            f"{number(one.generated.value)} ({one.generated.images})",
            "" if one.real is None else f"{number(one.real.value)} ({one.real.images})",
        ]
        for one in found.classes
    ]
    return [["Frechet distance within a class", "generated (images)", "real (images)"], *lines]


def _value(reading: Reading | None, is_share: bool) -> str:
    if reading is None:
        return ""
    spread = "" if reading.std is None else f" ± {number(reading.std, is_share)}"
    return f"{number(reading.value, is_share)}{spread}"


def _truncation_table(findings: Findings) -> Table:
    """A line for each threshold, the generator as it is first; empty where there is none."""
    if not findings.truncation:
        return []
    lines = [
        [
            "none" if point.threshold is None else f"{point.threshold:g}",
            "" if point.inception_score is None else number(point.inception_score),
            number(point.fd),
        ]
        for point in findings.truncation
    ]
    return [["latents cut off at", METRICS["IS"].title, METRICS["FD"].title], *lines]


def _as_markdown(table: Table) -> str:
    head, *lines = table
    rule = ["---", *["---:"] * (len(head) - 1)]
    escaped = [[plain(cell) for cell in cells] for cells in (head, *lines)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (escaped[0], rule, *escaped[1:]))
