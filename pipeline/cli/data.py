"""`gan-pipeline data inspect`: what a source holds, before anything is made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import JsonOption

if TYPE_CHECKING:
    from components.prepare_data.inspection import Inspection

data_app = typer.Typer(help="Look at image data before training on it.", rich_markup_mode=None)
SHOWN_CLASSES = 20


@data_app.command("inspect")
def inspect_source(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="As for `run --data`.")],
    as_json: JsonOption = False,
) -> int:
    """Say what a source holds: images, sizes, colour, classes, what cannot be read."""
    from components.prepare_data.inspection import inspect

    found = inspect(source)
    if as_json:
        typer.echo(found.model_dump_json())
        return 0
    for key, value in _lines(found):
        typer.echo(f"{key:<9}{value}")
    return 0


def _lines(found: Inspection) -> Iterator[tuple[str, str]]:
    from pipeline.request.plan import LABELLED_DEFAULT, UNLABELLED_DEFAULT

    yield "source", found.source
    yield "images", str(found.images)
    yield "classes", _class_text(found.classes)
    if found.domains:
        yield "domains", _class_text(found.domains)
    if found.captions:
        yield "captions", "yes"
    yield "splits", ", ".join(found.splits) or "none given: decided at import"
    yield "channels", found.channels
    yield "sizes", _counts(found.sizes, found.sample)
    yield "modes", _counts(found.modes, found.sample)
    if found.ignored:
        yield "ignored", f"{found.ignored} files that are no images by their names"
    for problem in found.problems:
        yield "note", problem
    yield "recipe", f"{LABELLED_DEFAULT if found.classes else UNLABELLED_DEFAULT}, unless --recipe names another"


def _class_text(classes: list[str]) -> str:
    if not classes:
        return "none: unlabelled"
    rest = f", and {len(classes) - SHOWN_CLASSES} more" if len(classes) > SHOWN_CLASSES else ""
    return f"{len(classes)}: {', '.join(classes[:SHOWN_CLASSES])}{rest}"


def _counts(counts: Mapping[str, int], sample: int) -> str:
    return f"{', '.join(f'{name} ({count})' for name, count in counts.items())} of {sample} looked at"
