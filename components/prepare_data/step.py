"""The stage prepare_data: any image source becomes one table of square uint8 images, with splits and a fingerprint."""

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from components.artifacts import DataSummary
from components.markdown import plain
from components.stage.request import StageRequest
from components.stage.stage import Interrupted, Stage
from gan_models.atomic import new_file, new_folder
from gan_models.data.decoding import Target
from gan_models.data.preparing.inspection import channels_of, doubtful, look_at, understood, white_of
from gan_models.data.preparing.splits import DUPLICATES_FILE
from gan_models.data.preparing.table_building import QUARANTINE_FILE, Import, build_table
from gan_models.data.sources import parse_source
from gan_models.data.sources.base import Source
from gan_models.data.table_file import SPLITS
from gan_models.errors import RequestError, RunError
from gan_models.recipes.schema import Data

PREVIEW_FILE = "preview.png"
REFUSED_WRITES = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EEXIST, errno.EISDIR)
FULL_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Request(StageRequest):
    """What to import, how, and where to."""

    data: Data
    output: Path  # the dataset folder: appears whole, or not at all


class Result(BaseModel):
    """The figures worth printing."""

    images: int
    splits: dict[str, int]
    classes: int
    domains: int
    words: int
    height: int
    width: int
    channels: int
    fingerprint: str
    bad: int
    duplicates: int
    leaks: int
    seconds: float
    images_per_second: float


def run(request: Request, stage: Stage) -> Result:
    """Import a source into an image table.

    Raises:
        RequestError: the source, its images or the options do not make a data set.
        RunError: a download failed, the source became unreadable, or the disk is full.
    """
    started = time.monotonic()
    options, output = request.data, request.output
    source = parse_source(options.source).open()
    if source.total == 1:
        raise RequestError(f"{options.source} holds one image only: give at least a few hundred to learn from")
    with _writing_to(output), new_folder(output) as folder:
        built = _build(source, options, folder, stage)
        _check_bad_share(built, options, folder, output, stage)
        _check_splits(built, source, options)
        built.preview.draw().save(folder / PREVIEW_FILE)
        _summary(built).write(folder)
    _quarantine_of_failure(output).unlink(missing_ok=True)
    result = _result(built, time.monotonic() - started)
    _tell(stage, request, built, result)
    return result


def _build(source: Source, options: Data, folder: Path, stage: Stage) -> Import:
    looks = look_at(source)
    channels = {"grey": 1, "rgb": 3}.get(options.channels) or channels_of(looks)
    target = Target(options.size, channels, options.resize, options.fit, white_of(looks))
    for note in (*understood(source, looks, options), *doubtful(source, looks, options)):
        stage.note(note)
    total = min(source.total, options.max_images or source.total)
    with stage.progress("importing images", total) as bar:
        started = time.monotonic()

        def report(done: int, bad: int) -> None:
            speed: float | str = done / max(1e-9, time.monotonic() - started)
            bar.set(done, **{"images/s": speed, "bad": str(bad)})
            if stage.stop_requested:
                raise Interrupted

        return build_table(source, target, options, folder, report)


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


def _check_bad_share(built: Import, options: Data, folder: Path, output: Path, stage: Stage) -> None:
    share = built.bad / built.total
    if share <= options.max_bad_share and built.bad < built.total:
        return
    kept = _quarantine_of_failure(output)
    with new_file(kept) as temporary:
        temporary.write_bytes((folder / QUARANTINE_FILE).read_bytes())
    stage.log_artifact(kept)
    raise RequestError(
        f"{built.bad} of {built.total} images of {options.source} cannot be used ({share:.1%}; data.max_bad_share "
        f"allows {options.max_bad_share:.1%}), the first: {built.first_bad}; all of them with reasons: {kept}"
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


def _summary(built: Import) -> DataSummary:
    metadata = built.metadata
    same = ("source", "fingerprint", "images", "height", "width", "channels", "splits", "counts", "options")
    return DataSummary(
        **{name: getattr(metadata, name) for name in same},
        classes=list(metadata.class_names),
        domains=list(metadata.domain_names),
        words=len(metadata.words),
        bad=built.bad,
        ignored=len(built.source.ignored),
        notes=[*built.source.notes],
        doubts=[*built.source.doubts],
        colour_made_grey=built.coloured,
        duplicates={
            "within_splits": built.duplicates - built.leaks,
            "across_splits_removed": built.leaks if built.removed else 0,
            "removed": built.removed,
            "with_different_labels": built.conflicts,
        },
    )


def _result(built: Import, seconds: float) -> Result:
    metadata = built.metadata
    same = ("images", "splits", "height", "width", "channels", "fingerprint")
    return Result(
        **{name: getattr(metadata, name) for name in same},
        classes=metadata.num_classes,
        domains=len(metadata.domain_names),
        words=len(metadata.words),
        bad=built.bad,
        duplicates=built.duplicates,
        leaks=built.leaks,
        seconds=seconds,
        images_per_second=built.total / seconds,
    )


def _tell(stage: Stage, request: Request, built: Import, result: Result) -> None:
    """Notes for the user, and everything for the tracking server."""
    notes = list(_notes(built, result))
    for note in notes:
        stage.note(note)
    folder, metadata = request.output, built.metadata
    stage.log_params({"data": {**request.data.model_dump(mode="json"), "resolved_channels": metadata.channels}})
    figures = result.model_dump(include={"images", "bad", "duplicates", "leaks", "seconds", "images_per_second"})
    stage.log_metrics({**figures, **{f"images_{split}": count for split, count in result.splits.items()}})
    stage.log_image(folder / PREVIEW_FILE, "preview", 0)
    for name in (DataSummary.FILE, QUARANTINE_FILE, DUPLICATES_FILE):
        stage.log_artifact(folder / name, "data")
    profile = {"image_shape": metadata.image_shape, "classes": metadata.num_classes, "splits": result.splits}
    name = parse_source(metadata.source).short
    stage.log_dataset(name, metadata.fingerprint, metadata.source, profile, "training")
    stage.headline({}, f"**Data** `{name.replace('`', '')}`: {plain('; '.join(notes))}")


def _notes(built: Import, result: Result) -> Iterator[str]:
    metadata = built.metadata
    colour = "grey" if metadata.channels == 1 else "RGB"
    classes = f", {metadata.num_classes} classes" if metadata.num_classes else ""
    domains = f", {len(metadata.domain_names)} domains" if metadata.domain_names else ""
    captions = f", captions of {len(metadata.words)} words" if metadata.words else ""
    splits = ", ".join(f"{split} {count}" for split, count in result.splits.items())
    yield f"{result.images} images {metadata.height}x{metadata.width} {colour}{classes}{domains}{captions} ({splits})"
    if built.bad:
        yield f"{built.bad} of {built.total} images cannot be used, the first: {built.first_bad}; see {QUARANTINE_FILE}"
    if built.removed:
        kept = f"; {more} more differ in label, caption or domain" if (more := built.duplicates - built.removed) else ""
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
    empty = [name for name, count in metadata.counts.get("train", {}).items() if not count]
    if empty:
        yield f"no training images of {len(empty)} classes: {', '.join(empty[:5])}"
