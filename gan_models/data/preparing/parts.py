"""One import by several tasks: each imports some of the shards, and one makes a table of what all of them left."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError

from gan_models.atomic import share_file, write_text
from gan_models.data.decoding import Target
from gan_models.data.preparing.growing import made_by
from gan_models.data.preparing.table_building import (
    QUARANTINE_FILE,
    Import,
    Report,
    complete,
    import_rows,
    new_writer,
)
from gan_models.data.sources.base import Source
from gan_models.data.table_file import ShardEntry
from gan_models.errors import RunError
from gan_models.recipes.schema import Data

PART_FILE = "part.json"


class Part(BaseModel):
    """Content of part.json: what one task has imported."""

    part: int
    parts: int
    made: str
    """As in the manifest (`growing.made_by`), and"""
    version: str
    """of the source's content: parts of one table agree in both."""
    shards: list[ShardEntry]
    total: int
    bad: int
    first_bad: str
    coloured: int


def write_part(
    source: Source, target: Target, options: Data, version: str, folder: Path, part: int, report: Report
) -> None:
    """The shards of one part, its quarantine.csv and part.json."""
    built = import_rows(source, target, options, folder, report, part=(part, options.workers))
    left = Part(
        part=part,
        parts=options.workers,
        made=made_by(source, target, options),
        version=version,
        shards=built.writer.finish(),
        total=built.total,
        bad=built.bad,
        first_bad=built.first_bad,
        coloured=built.coloured,
    )
    write_text(folder / PART_FILE, left.model_dump_json(indent=1))


def merged(source: Source, target: Target, options: Data, version: str, folder: Path, places: Sequence[Path]) -> Import:
    """The table of all parts, as `table_building.build_table` makes it; RunError: they are not those of one import."""
    made = made_by(source, target, options)
    found = sorted(((_read(place), place) for place in places), key=lambda each: each[0].part)
    parts = [part for part, _ in found]
    if [part.part for part in parts] != [*range(options.workers)] or {part.parts for part in parts} != {len(parts)}:
        raise RunError(f"{len(parts)} parts are there and not all {options.workers} of the import: run it again")
    if {(part.made, part.version) for part in parts} != {(made, version)}:
        raise RunError(
            f"the images of {options.source}, or what reads them, changed while parts were read: run it again"
        )
    writer = new_writer(folder, source, target, options)
    with (folder / QUARANTINE_FILE).open("wb") as listed:
        for part, place in found:
            for entry in part.shards:
                share_file(place / entry.file, folder / entry.file)
            with (place / QUARANTINE_FILE).open("rb") as bad:
                shutil.copyfileobj(bad, listed)
    built = Import(source, options, sum(part.total for part in parts), writer, quarantine=lambda _: None)
    built.done, built.bad = built.total, sum(part.bad for part in parts)
    built.first_bad = next((part.first_bad for part in parts if part.first_bad), "")
    built.coloured = sum(part.coloured for part in parts)
    complete(built, folder, [entry for part in parts for entry in part.shards], made)
    return built


def _read(place: Path) -> Part:
    try:
        return Part.model_validate_json((place / PART_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise RunError(f"{place} is no part of an import: run it again") from error
