"""The stage prepare_data: any image source becomes one table of square uint8 images, with splits and a fingerprint."""

import time
from pathlib import Path

from pydantic import BaseModel

from components.artifacts import DataSummary
from components.markdown import plain
from components.stage.request import StageRequest
from components.stage.stage import Interrupted, Stage
from gan_models.data.preparing.preparation import PREVIEW_FILE, Preparation, TooManyBadError, account
from gan_models.data.preparing.splits import DUPLICATES_FILE
from gan_models.data.preparing.table_building import QUARANTINE_FILE, Import
from gan_models.data.sources import parse_source
from gan_models.recipes.schema import Data


class Request(StageRequest):
    """What to import, how, and where to."""

    data: Data
    output: Path  # the dataset folder: appears whole, or not at all
    parts: tuple[Path, ...] = ()  # folders of `run_part`, to be made one data set of


class PartRequest(StageRequest):
    """Likewise of one of `data.workers` parts of the import."""

    data: Data
    part: int  # from 0
    output: Path


class Result(BaseModel):
    """The figures worth printing."""

    images: int
    splits: dict[str, int]
    classes: int
    domains: int
    words: int
    attributes: int
    pairs: bool
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
    preparation = Preparation.of(request.data)
    for note in preparation.notes:
        stage.note(note)
    with stage.progress("importing images", preparation.total) as bar:
        began = time.monotonic()

        def report(done: int, bad: int) -> None:
            speed: float | str = done / max(1e-9, time.monotonic() - began)
            bar.set(done, **{"images/s": speed, "bad": str(bad)})
            if stage.stop_requested:
                raise Interrupted

        try:
            if request.parts:
                built = preparation.merge(request.output, request.parts)
            else:
                built = preparation.write(request.output, report)
        except TooManyBadError as error:
            stage.log_artifact(error.listed)
            raise
    result = _result(built, time.monotonic() - started)
    _tell(stage, request, built, result)
    return result


def run_part(request: PartRequest, stage: Stage) -> None:
    """Import a part of a source; errors as of `run`."""
    preparation = Preparation.of(request.data)
    with stage.progress(f"importing part {request.part + 1} of {request.data.workers}", preparation.total) as bar:

        def report(done: int, bad: int) -> None:
            bar.set(done, bad=str(bad))
            if stage.stop_requested:
                raise Interrupted

        preparation.write_part(request.output, request.part, report)


def _result(built: Import, seconds: float) -> Result:
    metadata = built.metadata
    same = ("images", "splits", "height", "width", "channels", "fingerprint")
    return Result(
        **{name: getattr(metadata, name) for name in same},
        classes=metadata.num_classes,
        domains=len(metadata.domain_names),
        words=len(metadata.words),
        attributes=len(metadata.attribute_names),
        pairs=metadata.paired,
        bad=built.bad,
        duplicates=built.duplicates,
        leaks=built.leaks,
        seconds=seconds,
        images_per_second=built.total / seconds,
    )


def _tell(stage: Stage, request: Request, built: Import, result: Result) -> None:
    """Notes for the user, and everything for the tracking server."""
    notes = list(account(built))
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
