"""From a source's name to a dataset folder: what is done, in order, and the sentences that are said of it.

table.json       the table's metadata and its shards (`gan_models.data.table_file`)
shards/          its rows
summary.json     everything about the data set that is not a pixel
preview.png      some of its training images
quarantine.csv   images that cannot be used, with reasons
duplicates.csv   images that equal others

Needs no PyTorch.
"""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_models.atomic import new_file, new_folder, write_json
from gan_models.data.decoding import Target
from gan_models.data.preparing.growing import KeptTable, last_table, remember
from gan_models.data.preparing.inspection import (
    channels_of,
    doubtful,
    look_at,
    range_notes,
    ranges_of,
    understood,
    unknown_range,
)
from gan_models.data.preparing.parts import merged, write_part
from gan_models.data.preparing.splits import DUPLICATES_FILE
from gan_models.data.preparing.table_building import QUARANTINE_FILE, Import, Report, build_table
from gan_models.data.shape import CHANNELS, COLOURS, Size
from gan_models.data.sources import parse_source
from gan_models.data.sources.base import Source
from gan_models.data.table_file import SPLITS
from gan_models.errors import RequestError, RunError
from gan_models.recipes.schema import Data

SUMMARY_FILE = "summary.json"
PREVIEW_FILE = "preview.png"
REFUSED_WRITES = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR)
FULL_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class TooManyBadError(RequestError):
    """More images cannot be used than `data.max_bad_share` allows; `listed` is a file that names them all."""

    def __init__(self, sentence: str, listed: Path) -> None:
        super().__init__(sentence)
        self.listed = listed


@dataclass(frozen=True)
class Preparation:
    """A source that has been opened and looked at, and how its images are going to be. Made by `of`."""

    source: Source
    options: Data
    target: Target
    version: str
    """Of the source's content, as it was before it was opened (`SourceName.digest`)."""
    notes: tuple[str, ...]
    """What was understood of the source, and what is doubtful about it, in sentences."""
    ranges: tuple[str, ...] = ()
    """Which values become black and white, wherever that is not plain, in sentences."""

    @classmethod
    def of(cls, options: Data) -> "Preparation":
        """Opens `options.source` and looks at some of its images; nothing is written.

        Raises:
            RequestError: the source is unknown, absent, or not in the form that its kind asks for.
            RunError: a download failed, or it cannot be read.
        """
        name = parse_source(options.source, options.fields)
        version, source = name.digest(), name.open()
        if source.total == 1:
            raise RequestError(f"{options.source} holds one image only: give at least a few hundred to learn from")
        if source.scaled and options.range != "auto":
            raise RequestError(
                f"{options.source} holds colours of more than 8 bits in arrays, whose range is that of all of them: "
                "leave data.range=auto, or store them in 8 bits"
            )
        looks = look_at(source, options.range)
        channels = CHANNELS.get(options.channels) or channels_of(looks)
        if options.range in ("auto", "full") and (sentence := unknown_range(looks)):
            raise RequestError(f"{options.source}: {sentence}")
        if options.depth > 8 and channels > 1:
            raise RequestError(
                f"data.depth={options.depth} keeps grey images, and {options.source} holds colours: set "
                "data.channels=grey, or data.depth=8"
            )
        ranges = ranges_of(looks, options.range)
        encoded = options.storage == "encoded"
        target = Target(options.size, channels, options.resize, options.fit, ranges, options.depth, encoded)
        notes = (*understood(source, looks, options), *doubtful(source, looks, options))
        return cls(source, options, target, version, notes, tuple(range_notes(looks, options)))

    @property
    def total(self) -> int:
        """Images to import."""
        return min(self.source.total, self.options.max_images or self.source.total)

    def write(self, output: Path, report: Report, earlier: Path | None = None) -> Import:
        """Imports the images; the folder `output` appears whole, or not at all.

        Args:
            report: called now and then with the images done so far, and how many of them are bad. What it raises ends
                the import.
            earlier: a dataset folder, `output` itself perhaps, whose rows are taken over where the same source and
                options made them; where none is given and `options.grow` is set, the last one on this machine. The
                one that is kept at an address stands in its place.

        Raises:
            RequestError: the images or the options do not make a data set, or `output` cannot be written;
                `TooManyBadError` where too many images cannot be used.
            RunError: the source became unreadable, or the disk is full.
        """
        grow = self.options.grow
        kept = KeptTable(grow, self.options) if isinstance(grow, str) else None
        if kept:
            kept.check()
        elif earlier is None and grow:
            earlier = last_table(self.options)
        before = kept.address if kept else earlier
        with _writing_to(output), new_folder(output) as folder:
            built = build_table(self.source, self.target, self.options, folder, report, earlier=before)
            self._finish(built, folder, output)
            if kept:
                built.kept = kept.take(folder, lambda: report(built.done, built.bad))
        self._conclude(output)
        return built

    def write_part(self, output: Path, part: int, report: Report) -> None:
        """Imports the `part`-th (from 0) of `options.workers` parts into a folder of its own, for `merge`.

        Raises:
            RequestError: `output` cannot be written.
            RunError: as `write`.
        """
        with _writing_to(output), new_folder(output) as folder:
            write_part(self.source, self.target, self.options, self.version, folder, part, report)

    def merge(self, output: Path, parts: Sequence[Path]) -> Import:
        """Makes of all parts what `write` makes of the whole, byte for byte; errors as there.

        Raises:
            RunError: the parts are not those of one import, such as where images changed meanwhile.
        """
        with _writing_to(output), new_folder(output) as folder:
            built = merged(self.source, self.target, self.options, self.version, folder, parts)
            self._finish(built, folder, output)
        self._conclude(output)
        return built

    def _finish(self, built: Import, folder: Path, output: Path) -> None:
        _check_bad_share(built, self.options, folder, output)
        _check_splits(built, self.source, self.options)
        built.preview.draw().save(folder / PREVIEW_FILE)
        write_json(folder / SUMMARY_FILE, {**_summary(built), "version": self.version, "ranges": [*self.ranges]})

    def _conclude(self, output: Path) -> None:
        if self.options.grow is True:
            remember(self.options, output)
        _quarantine_of_failure(output).unlink(missing_ok=True)


@contextmanager
def _writing_to(output: Path) -> Iterator[None]:
    """Errors of the file system as one sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        if error.errno in REFUSED_WRITES:
            raise RequestError(f"cannot write the data set to {output}: {reason}; choose another place") from error
        remedy = "free some space or choose another place" if error.errno in FULL_DISKS else "nothing was kept"
        raise RunError(f"writing the data set to {output} failed: {reason}; {remedy}") from error


def _quarantine_of_failure(output: Path) -> Path:
    """Where the list of bad images is left when there is no data set to keep it in."""
    return output.with_name(f"{output.name}.{QUARANTINE_FILE}")


def _check_bad_share(built: Import, options: Data, folder: Path, output: Path) -> None:
    share = built.bad / built.total
    if share <= options.max_bad_share and built.bad < built.total:
        return
    kept = _quarantine_of_failure(output)
    with new_file(kept) as temporary:
        temporary.write_bytes((folder / QUARANTINE_FILE).read_bytes())
    raise TooManyBadError(
        f"{built.bad} of {built.total} images of {options.source} cannot be used ({share:.1%}; data.max_bad_share "
        f"allows {options.max_bad_share:.1%}), the first: {built.first_bad}; all of them with reasons: {kept}",
        kept,
    )


def _check_splits(built: Import, source: Source, options: Data) -> None:
    """That there is something to train on, and something in every split that was asked for."""
    metadata = built.metadata
    asked = {"train": 1.0, "validation": options.validation, "test": options.test}
    for split in SPLITS:
        if metadata.count(split) or not (asked[split] or split in source.given_splits):
            continue
        leaks = f" after {built.removed} were removed that equal others" if built.removed else ""
        raise RequestError(
            f"none of the {metadata.images} images of {options.source} is in the {split} split{leaks}: give more "
            f"images, or change data.validation={options.validation:g}, data.test={options.test:g} or "
            f"data.split_seed={options.split_seed}"
        )


def _summary(built: Import) -> dict[str, Any]:
    """Content of summary.json: everything about the data set that is not a pixel."""
    metadata = built.metadata
    same = ("source", "fingerprint", "images", "height", "width", "channels", "depth", "splits", "counts", "options")
    return {
        **{name: getattr(metadata, name) for name in same},
        "classes": list(metadata.class_names),
        "domains": list(metadata.domain_names),
        "words": len(metadata.words),
        "attributes": list(metadata.attribute_names),
        "pairs": metadata.paired,
        "embeddings": [*metadata.embeddings],
        "bad": built.bad,
        "without_label": built.unlabelled,
        "ignored": len(built.source.ignored),
        "notes": [*built.source.notes],
        "doubts": [*built.source.doubts],
        "colour_made_grey": built.coloured,
        "duplicates": {
            "within_splits": built.duplicates - built.leaks,
            "across_splits_removed": built.leaks if built.removed else 0,
            "removed": built.removed,
            "with_different_labels": built.conflicts,
        },
    }


def account(built: Import) -> Iterator[str]:
    """What was imported, and what was not, in sentences."""
    metadata = built.metadata
    colour = COLOURS[metadata.channels] + (f" of {metadata.depth} bits" if metadata.depth > 8 else "")
    classes = f", {metadata.num_classes} classes" if metadata.num_classes else ""
    domains = f", {len(metadata.domain_names)} domains" if metadata.domain_names else ""
    domains += f", {len(metadata.attribute_names)} attributes" if metadata.attribute_names else ""
    domains += ", in pairs" if metadata.paired else ""
    captions = f", captions of {len(metadata.words)} words" if metadata.words else ""
    several, width = metadata.embeddings
    vectors = f", {several} embedding{'s' * (several > 1)} of {width} numbers each" if width else ""
    said = f"{classes}{domains}{captions}{vectors}"
    splits = ", ".join(f"{split} {count}" for split, count in metadata.splits.items())
    yield f"{metadata.images} images {Size.of(metadata.image_shape).across} {colour}{said} ({splits})"
    yield from filter(None, (built.grown, built.kept))
    if built.bad:
        yield f"{built.bad} of {built.total} images cannot be used, the first: {built.first_bad}; see {QUARANTINE_FILE}"
    kept_without = sum(split.get("", 0) for split in metadata.counts.values()) if metadata.class_names else 0
    for count, done in ((built.unlabelled, "left out"), (kept_without, "kept for what needs none")):
        if count:
            yield f"{count} images have no label, or one that is not among the classes: they are {done}"
    if built.removed:
        kept = (
            f"; {more} more differ in label, caption, domain or attributes"
            if (more := built.duplicates - built.removed)
            else ""
        )
        across = f" ({built.leaks} in another split)" if built.leaks else ""
        yield (
            f"{built.removed} images equal others pixel by pixel{across}: one of each is kept{kept}; see "
            f"{DUPLICATES_FILE}; data.repeats=keep keeps all"
        )
    elif built.duplicates:
        across = f", {built.leaks} of them one in another split: what is measured there was trained on"
        yield (
            f"{built.duplicates} images equal others pixel by pixel and are kept{across if built.leaks else ''}; see "
            f"{DUPLICATES_FILE}"
        )
    if built.conflicts:
        yield f"{built.conflicts} groups of equal images carry different labels; see {DUPLICATES_FILE}"
    if built.coloured:
        yield f"{built.coloured} colour images became grey; data.channels=rgb keeps their colours"
    empty = [name for name, count in metadata.counts.get("train", {}).items() if name and not count]
    if empty:
        yield f"no training images of {len(empty)} classes: {', '.join(empty[:5])}"
