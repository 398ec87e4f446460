"""From images to a data set on disk, and what a source may be called in Python. Needs no PyTorch until it returns."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from gan_models.data.preparing.preparation import SUMMARY_FILE, Preparation, account
from gan_models.data.sources import SOURCES, forms, kind_at, parse_source
from gan_models.data.table_file import TABLE_FILE, read_metadata
from gan_models.errors import RequestError, home_path, unknown_name
from gan_models.front_door.display import display
from gan_models.recipes.schema import Data

if TYPE_CHECKING:
    from gan_models.data.table import ImageTable


def prepare(source: str | Path, folder: str | Path, *, progress: bool = True, **options: Any) -> ImageTable:
    """Imports images into `folder` once: of one size, split into train, validation and test.

    The same call again returns what is there; where images were added or removed since, the data set grows: only what
    is new is decoded, and all other images keep their split.

    Args:
        source: a folder of images (`"photos"`), a Parquet file, an npz; or by name: `"digits"`, `"mnist-5k"`,
            `"toy:ring"`, `"torchvision:CIFAR10"` ...
        folder: where the data set goes; it appears whole, or not at all.
        progress: whether to show a bar, and what was understood of the source.
        options: of `gan_models.recipes.schema.Data`, such as `size=64` or `size=(32, 64)` (height, width),
            `channels="grey"`, `fit="pad"`, `test=0.2`.

    Raises:
        RequestError: there is no such source or option, the images do not make a data set, or `folder` holds something
            else.
        RunError: a download failed, the source became unreadable, or the disk is full.
    """
    from gan_models.data.table import ImageTable

    wanted = data_options({**options, "source": named(source)})
    output = home_path(folder)
    if not _is_there(output, wanted):
        import_into(output, wanted, progress=progress, earlier=output)
    return ImageTable.open(output)


def named(source: str | Path) -> str:
    """A source as recipes write it (`folder:/home/me/photos`), meaning the same in every working directory.

    A string that names a kind of source is that (`"digits"`, `"folder:photos"`); any other, and a `Path`, is a path or
    an address (`"s3://bucket/cats.zip"`).
    """
    text = str(source)
    path = home_path(source)
    if isinstance(source, str) and (text.partition(":")[0] in SOURCES or not path.exists()):
        name = parse_source(text)
        return f"{name.kind}:{home_path(name.rest).resolve()}" if name.path else str(name)
    if not text or not path.exists():
        raise RequestError(
            f"there is nothing at {path}: give a folder of images, a .parquet or .npz file, or one of "
            f"{', '.join(forms())}"
        )
    kind = kind_at(path)
    if not kind:
        raise RequestError(f"{path} is no source of images: give a folder of images, a .parquet or .npz file")
    return f"{kind}:{path.resolve()}"


def data_options(options: Mapping[str, Any]) -> Data:
    """Of a recipe's section `data`; RequestError for an unknown one, with the nearest right name, or a wrong value."""
    for name in options:
        if name not in Data.model_fields:
            raise unknown_name("option of prepare", name, (each for each in Data.model_fields if each != "source"))
    try:
        return Data.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "data"
        raise RequestError(f"{place}: {first['msg'].removeprefix('Value error, ')} (got {first['input']!r})") from None


def import_into(output: Path, options: Data, *, progress: bool, earlier: Path | None = None) -> None:
    """Fills `output` with the images of `options.source`, and shows how far it is; `earlier` as in `Preparation`."""
    preparation = Preparation.of(options)
    with display("importing images", preparation.total, silent=not progress) as shown:
        for note in preparation.notes:
            shown.say(note)
        began = time.monotonic()

        def report(done: int, bad: int) -> None:
            speed = done / max(1e-9, time.monotonic() - began)
            shown.show(done, {"images/s": speed, **({"bad": str(bad)} if bad else {})})

        for sentence in account(preparation.write(output, report, earlier)):
            shown.say(sentence)


def _is_there(output: Path, wanted: Data) -> bool:
    """Whether the data set that is asked for is there, of the images as they are; RequestError: something else is."""
    if not output.exists():
        return False
    if not output.is_dir():
        raise RequestError(f"{output} is a file: name a folder for the data set")
    if not (output / TABLE_FILE).is_file() or not (output / SUMMARY_FILE).is_file():
        if any(output.iterdir()):
            raise RequestError(f"{output} holds other things and no data set: name an empty or a new folder")
        return False
    usual = Data().model_dump(mode="json")  # of options that there were not when it was prepared
    have, asked = {**usual, **read_metadata(output).options}, wanted.model_dump(mode="json")
    decisive = [name for name in asked if name not in ("grow", "workers")]  # of how, not of what
    differing = [f"{name} {have[name]} and not {asked[name]}" for name in decisive if have[name] != asked[name]]
    if differing:
        raise RequestError(
            f"{output} holds another data set ({'; '.join(differing)}): name another folder, or remove this one to "
            "prepare it anew"
        )
    return _version(output) == parse_source(wanted.source, wanted.fields).digest()


def _version(output: Path) -> str:
    """Of the source that the data set was made from; "" where that is not known."""
    try:
        return str(json.loads((output / SUMMARY_FILE).read_text(encoding="utf-8")).get("version", ""))
    except (OSError, ValueError):
        return ""
