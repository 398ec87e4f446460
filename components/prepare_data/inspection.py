"""What a source holds, from a quick look: nothing is imported, and only the headers of a sample are read."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel

from components.prepare_data.decoding import Item, is_grey, open_image, reason_of
from components.prepare_data.sources import parse_source
from components.prepare_data.sources.base import Source, reading
from gan_models.recipes.schema import Data

SHOWN_SIZES = 5
FEW_IMAGES = 200
SAMPLE_IMAGES = 256


class Inspection(BaseModel):
    """A source in figures; classes, domains and splits as in `Source`."""

    source: str
    kind: str
    images: int  # images that the source claims to have; some may turn out unreadable
    classes: list[str]
    domains: list[str]
    captions: bool
    splits: list[str]
    channels: str  # `grey` or `rgb`: what data.channels=auto would choose
    sample: int  # images looked at
    sizes: dict[str, int]  # the most frequent sizes of the sample, `WIDTHxHEIGHT`: images
    modes: dict[str, int]  # Pillow modes of the sample: images
    ignored: int  # files that are no images by their names
    problems: list[str]  # sentences about what may surprise


def inspect(source: str, options: Data | None = None) -> Inspection:
    """Look at a source.

    Args:
        options: how it is going to be imported; the recipe's defaults when not given. Its own source does not matter.

    Raises:
        RequestError: the source is unknown, absent, or not in the form that its kind asks for.
        RunError: it could not be downloaded.
    """
    options = options or Data()
    name = parse_source(source)
    opened = name.open()
    looks = look_at(opened)
    seen = [look for look in looks if not look.problem]
    sizes = Counter(f"{look.width}x{look.height}" for look in seen)
    return Inspection(
        source=source,
        kind=name.kind,
        images=opened.total,
        classes=list(opened.class_names),
        domains=list(opened.domain_names),
        captions=opened.has_captions,
        splits=[split for split in ("train", "validation", "test") if split in opened.given_splits],
        channels="grey" if channels_of(looks) == 1 else "rgb",
        sample=len(looks),
        sizes=dict(sizes.most_common(SHOWN_SIZES)),
        modes=dict(Counter(look.mode for look in seen).most_common()),
        ignored=len(opened.ignored),
        problems=list(_problems(opened, looks, seen, options)),
    )


def _problems(source: Source, looks: list[Look], seen: list[Look], options: Data) -> Iterator[str]:
    bad = len(looks) - len(seen)
    if bad:
        reasons = Counter(look.problem for look in looks if look.problem)
        yield f"{bad} of {len(looks)} images looked at cannot be opened: {', '.join(reasons)}"
    if source.total < FEW_IMAGES:
        yield f"only {source.total} images: a GAN needs hundreds to learn from, and every split needs some"
    small = sum(2 * min(look.width, look.height) <= options.size for look in seen)
    if small:
        yield (
            f"{small} of {len(seen)} images looked at have at most half of data.size={options.size} pixels a side: "
            "they become blurred"
        )
    oblong = sum(look.width != look.height for look in seen)
    if oblong:
        what = "lose their edges (data.fit=pad keeps them)" if options.fit == "crop" else "get black borders"
        yield f"{oblong} of {len(seen)} images looked at are not square and {what}"
    if len({look.grey for look in seen}) == 2:
        yield "some images are grey and some in colour: all become RGB, unless data.channels=grey"
    if source.ignored:
        yield f"{len(source.ignored)} files are no images by their names and are left out: {source.ignored[0][0]}, ..."


@dataclass(frozen=True)
class Look:
    """What one image's header says."""

    mode: str = ""
    width: int = 0
    height: int = 0
    grey: bool = False
    problem: str = ""  # why it cannot be opened; everything else is unknown then


def look_at(source: Source, count: int = SAMPLE_IMAGES) -> list[Look]:
    """About `count` images spread over the source; RunError where it cannot be read."""
    with reading(source.name), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about doubtful image files: importing them gives a reason
        return [_look(item) for item in source.sample(count)]


def _look(item: Item) -> Look:
    try:
        with open_image(item) as image:
            return Look(image.mode, image.width, image.height, is_grey(image))
    except Exception as error:  # decoders raise nearly anything on damaged input
        return Look(problem=reason_of(error))


def channels_of(looks: list[Look]) -> int:
    """1 when no image of the sample has colours, else 3."""
    seen = [look for look in looks if not look.problem]
    return 1 if seen and all(look.grey for look in seen) else 3
