"""From a source to an image table: decode on all cores, assign splits, take out repeats."""

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from gan_models.data.decoding import Decoded, Target
from gan_models.data.preparing.decode_pool import DecodePool, available_cores
from gan_models.data.preparing.growing import Earlier, fresh, growth, made_by, same_made
from gan_models.data.preparing.preview import Preview
from gan_models.data.preparing.splits import (
    Copies,
    SmallColumns,
    assign_splits,
    choose_rows,
    find_duplicates,
    write_duplicates,
)
from gan_models.data.sources.base import BATCH_BYTES, BATCH_ITEMS, Batch, Source, reading
from gan_models.data.sources.places import Place
from gan_models.data.table_file import (
    DIGEST_TYPE,
    Shard,
    ShardEntry,
    TableMetadata,
    digests_of_pairs,
    in_eight,
    large_widths,
)
from gan_models.data.table_writer import TableWriter, drop_rows, rows_of_a_shard, write_manifest
from gan_models.recipes.schema import Data

QUARANTINE_FILE = "quarantine.csv"
NO_LABEL = "it has no label, or one that is not among the classes"
"""No fault of an image's: it is left out because `data.unlabelled` says so."""
NO_DOMAIN = "it has no domain"
NO_ATTRIBUTES = "it has no attributes, or not one for each name"
CAPTION_CHARACTERS = 10_000
FETCHED_FOR_PREVIEW = 4  # shards
ITEMS_FOR_A_WORKER = 64  # fewer do not pay for starting another process

T = TypeVar("T")

Report = Callable[[int, int], None]  # called after each batch with the images done so far, and how many of them are bad


@dataclass
class Import:
    """A table that is filled with the images of a source, and what is learnt on the way."""

    source: Source
    options: Data
    total: int
    writer: TableWriter
    quarantine: Callable[[tuple[str, str]], Any]  # lists path and reason of an image that cannot be used
    earlier: Earlier | None = None  # a table whose rows are taken over
    done: int = 0
    bad: int = 0
    unlabelled: int = 0  # left out for the want of a label, as was asked for
    first_bad: str = ""
    coloured: int = 0  # colour images that became grey
    metadata: TableMetadata = field(init=False)
    preview: Preview = field(init=False)
    grown: str = ""  # what came of the earlier table, and
    kept: str = ""  # what was put at an address, in sentences
    copies: Copies | None = None  # where copies are kept
    duplicates: int = 0
    removed: int = 0  # of these
    leaks: int = 0  # of these, those in another split than the image they equal
    conflicts: int = 0  # groups of equal images that carry different labels

    def add(self, batch: Batch, decoded: Decoded) -> None:
        """Put one decoded batch where it belongs: rows into the table, the rest into quarantine."""
        kept, reasons = decoded.kept, decoded.reasons
        pixels: np.ndarray = np.frombuffer(decoded.pixels, self.writer.kind).reshape(-1, *self.writer.shape)
        if self.writer.storage == "encoded":
            pixels = np.empty(len(decoded.encoded), object)
            pixels[:] = decoded.encoded
        digests = np.frombuffer(decoded.digests, DIGEST_TYPE)
        partners = None
        hashes = {"pixels": digests}
        if self.source.paired:
            kept, reasons, ours, theirs = _pairs(decoded, len(batch))
            pixels, partners = pixels[ours], pixels[theirs]
            hashes = {"pixels": digests[ours], "partner": digests[theirs]}
        lacking = [(position, reason) for position in kept if (reason := self._lack(batch, position))]
        if lacking:
            reasons = sorted([*reasons, *lacking])
            whole = ~np.isin(kept, [position for position, _ in lacking])
            pixels, hashes = pixels[whole], {name: each[whole] for name, each in hashes.items()}
            partners = None if partners is None else partners[whole]
            kept = [kept[row] for row in np.flatnonzero(whole)]
        for position, reason in reasons:
            self.quarantine((batch.paths[position], reason))
            if reason == NO_LABEL:
                self.unlabelled += 1
                continue
            self.bad += 1
            self.first_bad = self.first_bad or f"{batch.paths[position]} ({reason})"
        if kept:
            self._append(batch, kept, pixels, partners, hashes)
        self.done = batch.until
        self.coloured += decoded.coloured

    def _lack(self, batch: Batch, position: int) -> str:
        """Why an image that decodes well cannot stand among the others; "" where it can."""
        if self.options.unlabelled == "drop" and self.source.class_names and batch.labels[position] is None:
            return NO_LABEL
        if self.source.domain_names and (not batch.domains or batch.domains[position] is None):
            return NO_DOMAIN
        if names := self.source.attribute_names:
            attributes = batch.attributes[position] if batch.attributes else None
            if attributes is None or len(attributes) != len(names):
                return NO_ATTRIBUTES
        caption = (batch.captions and batch.captions[position]) or ""
        if len(caption) > CAPTION_CHARACTERS:
            return f"its caption has {len(caption)} characters, the limit is {CAPTION_CHARACTERS}"
        return self._wrong_embedding(batch.embeddings[position]) if batch.embeddings else ""

    def _wrong_embedding(self, vectors: np.ndarray | None) -> str:
        """Why what an image carries in place of texts cannot stand among the others'; "" where it can."""
        if vectors is None:
            return "it has no embedding"
        if vectors.shape != self.source.embeddings:
            (count, width), (usual, usual_width) = vectors.shape, self.source.embeddings
            return f"its embeddings are {count} of {width} numbers, the others' {usual} of {usual_width}"
        return "" if np.isfinite(vectors).all() else "its embedding holds numbers that are not finite"

    def _append(
        self,
        batch: Batch,
        kept: list[int],
        pixels: np.ndarray,
        partners: np.ndarray | None,
        hashes: dict[str, np.ndarray],
    ) -> None:
        options = self.options
        digests = digests_of_pairs(hashes["pixels"], hashes["partner"]) if "partner" in hashes else hashes["pixels"]
        shares = {"validation": options.validation, "test": options.test}
        given = _pick(batch.splits, kept)
        places = self.copies.apart(digests) if self.copies else digests
        splits = assign_splits(places, given, self.source.given_splits, shares, options.split_seed)
        labels = _pick(batch.labels, kept)
        texts = [_pick(column, kept) if column else [] for column in (batch.captions, batch.domains)]
        attributes = np.array(_pick(batch.attributes, kept), np.uint8) if self.source.attribute_names else None
        paths = _pick(batch.paths, kept)
        vectors = [each for each in (_pick(batch.embeddings, kept) if batch.embeddings else []) if each is not None]
        self.writer.append(
            pixels,
            labels,
            splits,
            paths,
            *texts,
            attributes=attributes,
            partners=partners,
            embeddings=np.stack(vectors) if vectors else None,
            digests=hashes,
            places=None if self.earlier else _pick(batch.places, kept),
            stamps=None if batch.stamps is None else batch.stamps[kept],
        )


def build_table(
    source: Source,
    target: Target,
    options: Data,
    folder: Path,
    report: Report,
    workers: int | None = None,
    earlier: Place | None = None,
) -> Import:
    """Import a source into `folder`: the table, quarantine.csv and duplicates.csv.

    Memory holds a shard, a few batches of images and some tens of bytes for each image, however many there are. The
    result does not depend on the number of workers.

    Args:
        workers: decoder processes; default: one for each core.
        earlier: a dataset folder whose rows are taken over where the same source and options made them.

    Raises:
        RunError: the source became unreadable on the way, or decoding is impossible.
        OSError: the folder cannot be written.
    """
    made = made_by(source, target, options)
    built = import_rows(source, target, options, folder, report, workers, same_made(earlier, made))
    entries = built.writer.finish()
    if built.earlier is not None:
        built.grown = growth(built.earlier, entries)
        entries = built.earlier.taken_over(folder) + entries
    complete(built, folder, entries, made)
    return built


def import_rows(
    source: Source,
    target: Target,
    options: Data,
    folder: Path,
    report: Report,
    workers: int | None = None,
    earlier: Earlier | None = None,
    part: tuple[int, int] = (0, 1),
) -> Import:
    """The first half of `build_table`: shards and quarantine.csv. The last shard is for the writer to finish.

    Args:
        part: (i, n), the i-th (from 0) of n parts of the source, of whole shards each.
    """
    rows = choose_rows(source.total, options.max_images, options.split_seed)
    whole = source.total if rows is None else len(rows)
    large = sum(large_widths(target.row_bytes, source.paired, source.embeddings).values())
    places = places_of_part(whole, rows_of_a_shard(large), *part)
    total = len(places)
    chosen = None if rows is None else rows[places.start : places.stop].tolist()
    chosen = places if chosen is None and total < whole else chosen
    items = max(1, min(BATCH_ITEMS, BATCH_BYTES // target.row_bytes))
    batches = _read(source.batches(chosen, items), source.name)
    writer = new_writer(folder, source, target, options, first=earlier.first_shard if earlier else 0)
    with (
        # Memory does not grow with the number of bad images.
        (folder / QUARANTINE_FILE).open("w", newline="", encoding="utf-8", errors="backslashreplace") as listed,
        DecodePool(target, min(workers or available_cores(), max(1, math.ceil(total / ITEMS_FOR_A_WORKER)))) as pool,
        closing(pool.decode(fresh(batches, source, earlier, places.start))) as results,
    ):
        quarantine = csv.writer(listed)
        if part[0] == 0:
            quarantine.writerow(["path", "reason"])
            quarantine.writerows(source.ignored)
        copies = Copies() if options.repeats == "keep" else None
        if copies and earlier:
            copies.apart(earlier.digests())
        built = Import(source, options, total, writer, quarantine.writerow, earlier, copies=copies)
        built.done = places.start
        for batch, decoded in results:
            built.add(batch, decoded)
            report(built.done - places.start, built.bad)
    return built


def new_writer(folder: Path, source: Source, target: Target, options: Data, first: int = 0) -> TableWriter:
    return TableWriter(
        folder,
        *target.size,
        target.channels,
        attribute_names=source.attribute_names,
        paired=source.paired,
        embeddings=source.embeddings,
        depth=target.depth,
        storage=options.storage,
        first=first,
        ranges=target.ranges,
    )


def places_of_part(total: int, shard: int, part: int, parts: int) -> range:
    """The places of `total` that are the `part`-th (from 0) of so many parts, none of which cuts a shard."""
    shards = -(-total // shard)
    first, after = (min(total, shards * each // parts * shard) for each in (part, part + 1))
    return range(first, after)


def complete(built: Import, folder: Path, entries: list[ShardEntry], made: str) -> None:
    """The second half: of all shards, what equals others, the manifest, duplicates.csv and the preview."""
    source, options = built.source, built.options
    metadata = built.writer.described(source.class_names, options.source, options.model_dump(mode="json"))
    rows = SmallColumns(folder, entries, metadata)
    duplicates, built.conflicts = find_duplicates(rows.digests, rows.splits, rows.said)
    out = [] if options.repeats == "keep" else [each.row for each in duplicates if each.leak or each.copy]
    write_duplicates(folder, rows, duplicates, set(out))
    entries = drop_rows(folder, out, metadata, entries)
    built.metadata = write_manifest(folder, metadata, entries, made)
    built.preview = _preview(folder, entries, built.metadata)
    built.duplicates, built.removed = len(duplicates), len(out)
    built.leaks = sum(each.leak for each in duplicates)


def _preview(folder: Path, entries: Sequence[ShardEntry], metadata: TableMetadata) -> Preview:
    """The first training images of each class; of shards that would have to be fetched, those of a few."""
    preview = Preview(metadata.class_names)
    away = [entry.file for entry in entries if entry.kept_at]
    left_out = {*away} - {*away[:: -(-len(away) // FETCHED_FOR_PREVIEW) or 1]}
    for entry in entries:
        if entry.file in left_out:
            continue
        lacking = preview.lacking()
        if not lacking:
            break
        shard = Shard(folder, entry, metadata)
        place = entry.place("train")
        labels = shard.labels[place]
        for label, room in lacking.items():
            rows = np.flatnonzero(labels == label)[:room] if label is not None else np.arange(len(labels))[:room]
            images = np.empty((len(rows), metadata.row_bytes), np.uint8)
            shard.read("pixels", rows + place.start, images)
            seen = in_eight(images.view(metadata.kind))
            preview.offer(seen.reshape(-1, metadata.height, metadata.width, metadata.channels), [label] * len(rows))
    return preview


def _read(batches: Iterator[Batch], source: str) -> Iterator[Batch]:
    with reading(source):
        yield from batches


def _pick(values: Sequence[T], positions: Sequence[int]) -> list[T]:
    return [values[position] for position in positions]


def _pairs(decoded: Decoded, count: int) -> tuple[list[int], list[tuple[int, str]], list[int], list[int]]:
    """Of `count` images and then their partners: pairs both of whose sides decode, and why the others cannot stay.

    Returns:
        Positions kept; (position, reason) of the rest; rows of the pixels of the kept images, and of their partners.
    """
    rows = {position: row for row, position in enumerate(decoded.kept)}
    kept = [position for position in range(count) if position in rows and position + count in rows]
    bad: dict[int, str] = {}
    for position, reason in decoded.reasons:  # ascending, so that an image's own reason comes first
        bad.setdefault(position % count, reason if position < count else f"its partner: {reason}")
    ours, theirs = [rows[position] for position in kept], [rows[position + count] for position in kept]
    return kept, sorted(bad.items()), ours, theirs
