"""What a source holds, from a quick look: nothing is imported, and only the headers of a sample are read."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pydantic import BaseModel

from gan_models.data.decoding import (
    DEEP_WHITE,
    WHITES,
    Item,
    is_deep,
    is_grey,
    open_image,
    reason_of,
    white_note,
)
from gan_models.data.formats import DICOM, MissingPackageError
from gan_models.data.shape import Size
from gan_models.data.sources import parse_source
from gan_models.data.sources.base import Source, reading
from gan_models.errors import RequestError
from gan_models.recipes.schema import Data

SHOWN_SIZES = 5
FEW_IMAGES = 200
SAMPLE_IMAGES = 256
RANGED_IMAGES = 32  # of the sample, whose values are looked at; of more than 8 bits all are
LISTED = 100
DARK = 31  # a largest value up to which 8-bit images look black
LARGE = 4  # times the size that they will have, from which images are called large


class LeftOut(BaseModel):
    """What lies there and is not imported."""

    path: str
    reason: str


class Range(BaseModel):
    """Values of the images looked at: the least and the largest, and those that become black and white."""

    found: tuple[float, float] | None  # None where none could be read
    used: tuple[float, float]


class Inspection(BaseModel):
    """A source in figures; classes, domains and splits as in `Source`.

    Images, classes, domains, attributes, captions, splits and what is left out are of every image there; channels,
    sizes, modes, range and problems with images are of the sample.
    """

    source: str
    kind: str
    images: int  # images that the source claims to have; some may turn out unreadable
    classes: list[str]
    domains: list[str]
    attributes: list[str]  # names of what is said of each image besides its class
    captions: bool
    pairs: bool  # whether each image has a partner that it is to be made from
    embeddings: tuple[int, int]  # how many each image carries, and their width; zeros where there are none
    splits: list[str]
    split_counts: dict[str, int]  # of the splits that the source gives, good or bad
    channels: str  # `grey` or `rgb`: what data.channels=auto would choose
    sample: int  # images looked at
    sizes: dict[str, int]  # the most frequent sizes of the sample, `WIDTHxHEIGHT`: images
    modes: dict[str, int]  # Pillow modes of the sample: images
    range: Range
    ignored: int  # what is left out
    left_out: list[LeftOut]  # the first hundred of it
    notes: list[str]  # sentences about what was understood
    problems: list[str]  # sentences about what needs a look


def inspect(source: str, options: Data | None = None) -> Inspection:
    """Look at a source.

    Args:
        options: how it is going to be imported; the recipe's defaults when not given. Its own source does not matter.

    Raises:
        RequestError: the source is unknown, absent, or not in the form that its kind asks for.
        RunError: it could not be downloaded.
    """
    options = options or Data()
    name = parse_source(source, options.fields)
    opened = name.open()
    looks = look_at(opened)
    seen = [look for look in looks if not look.problem]
    sizes = Counter(f"{look.width}x{look.height}" for look in seen)
    order = [split for split in ("train", "validation", "test") if split in opened.given_splits]
    found = [look.values for look in seen if look.values is not None]
    deep = any(is_deep(look.mode) for look in seen)
    return Inspection(
        source=source,
        kind=name.kind,
        images=opened.total,
        classes=list(opened.class_names),
        domains=list(opened.domain_names),
        attributes=list(opened.attribute_names),
        captions=opened.has_captions,
        pairs=opened.paired,
        embeddings=opened.embeddings,
        splits=order,
        split_counts={split: opened.split_counts[split] for split in order if split in opened.split_counts},
        channels="grey" if channels_of(looks) == 1 else "rgb",
        sample=len(looks),
        sizes=dict(sizes.most_common(SHOWN_SIZES)),
        modes=dict(Counter(look.mode for look in seen).most_common()),
        range=Range(
            found=(min(low for low, _ in found), max(high for _, high in found)) if found else None,
            used=(0, white_of(looks) if deep else 255),
        ),
        ignored=len(opened.ignored),
        left_out=[LeftOut(path=path, reason=reason) for path, reason in opened.ignored[:LISTED]],
        notes=[*understood(opened, looks, options), _coverage(opened, looks)],
        problems=list(doubtful(opened, looks, options)),
    )


def understood(source: Source, looks: list[Look], options: Data) -> Iterator[str]:
    """What was understood of a source, and how its images will be, in sentences."""
    yield from source.notes
    seen = [look for look in looks if not look.problem]
    deep = [look.values[1] for look in seen if look.values and is_deep(look.mode)]
    if deep:
        yield white_note(max(deep), white_of(looks))
    if scans := sum(look.format == DICOM for look in seen):
        yield f"{scans} of {len(seen)} images looked at are DICOM: their own windows say what is black and what white"
    transparent = sum(look.transparent for look in seen)
    if transparent:
        yield f"{transparent} of {len(seen)} images looked at have transparency, which becomes white"
    ordered = sorted(seen, key=lambda look: look.scale(options.size))
    if ordered and (middle := ordered[len(ordered) // 2]).scale(options.size) >= LARGE:
        yield f"large images (half of them {middle.width}x{middle.height} or more) become {options.size.across}"


def _other_forms(seen: list[Look], options: Data) -> Iterator[str]:
    """What happens to images that are not of the form of `data.size`, and which size keeps the most frequent form."""
    height, width = options.size
    others = [look for look in seen if look.width * height != look.height * width]
    if not others:
        return
    what = "lose their edges (data.fit=pad keeps them)" if options.fit == "crop" else "get black borders"
    form = "square" if options.size.is_square else f"of the form {options.size.across}"
    (usual_width, usual_height), _ = Counter((look.width, look.height) for look in seen).most_common(1)[0]
    kept = Size(usual_height, usual_width)
    near = kept.with_shorter(min(options.size.shorter, kept.shorter))
    remedy = f"; data.size={near} keeps the form of {kept.across}" if kept.width * height != kept.height * width else ""
    yield f"{len(others)} of {len(seen)} images looked at are not {form} and {what}{remedy}"


def _coverage(source: Source, looks: list[Look]) -> str:
    """Which figures saw every image, and which a sample."""
    return (
        f"images, classes, domains, attributes, captions, splits and what is left out are of all {source.total}; "
        f"channels, sizes, modes and range are of {len(looks)} looked at"
    )


def doubtful(source: Source, looks: list[Look], options: Data) -> Iterator[str]:
    """What needs a look, in sentences."""
    yield from source.doubts
    seen = [look for look in looks if not look.problem]
    bad = len(looks) - len(seen)
    if bad:
        reasons = Counter(look.problem for look in looks if look.problem)
        yield f"{bad} of {len(looks)} images looked at cannot be opened: {', '.join(reasons)}"
    if source.total < FEW_IMAGES:
        yield f"only {source.total} images: a GAN needs hundreds to learn from, and every split needs some"
    small = sum(look.scale(options.size) <= 0.5 for look in seen)
    if small:
        yield (
            f"{small} of {len(seen)} images looked at have at most half of data.size={options.size} pixels a side: "
            "they become blurred"
        )
    yield from _other_forms(seen, options)
    bright = max((look.values[1] for look in seen if look.values and not is_deep(look.mode)), default=255)
    if DARK >= bright > 1 or (bright == 1 and all(look.mode not in ("1", "F") for look in seen)):
        yield f"the values of the images looked at end at {bright:g} of 255: they are nearly black; scale them first"
    if len({look.grey for look in seen}) == 2:
        yield "some images are grey and some in colour: all become RGB, unless data.channels=grey"
    if source.ignored:
        reasons = Counter(reason for _, reason in source.ignored)
        first = source.ignored[0][0]
        yield f"{len(source.ignored)} are left out ({', '.join(reasons)}): {first}{', ...' * (len(source.ignored) > 1)}"


@dataclass(frozen=True)
class Look:
    """What one image's header says."""

    mode: str = ""
    width: int = 0
    height: int = 0
    grey: bool = False
    transparent: bool = False
    values: tuple[float, float] | None = None  # the least and the largest; None where it was not decoded
    format: str = ""  # as Pillow calls it
    problem: str = ""  # why it cannot be opened; everything else is unknown then

    def scale(self, size: Size) -> float:
        """How many of its pixels one of a target's stands for, along the side that has fewer."""
        return min(self.height / size.height, self.width / size.width)


def look_at(source: Source, count: int = SAMPLE_IMAGES) -> list[Look]:
    """About `count` images spread over the source.

    Raises:
        RequestError: one is of a format that a package reads which is not installed.
        RunError: the source cannot be read.
    """
    with reading(source.name), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about doubtful image files: importing them gives a reason
        try:
            return [_look(item, number < RANGED_IMAGES) for number, item in enumerate(source.sample(count))]
        except MissingPackageError as error:
            raise RequestError(f"{source.name}: {error}") from None


def _look(item: Item, with_values: bool) -> Look:
    try:
        with open_image(item) as image:
            look = Look(image.mode, image.width, image.height, is_grey(image), image.has_transparency_data)
            look = replace(look, format=image.format or "")
            if not with_values and not is_deep(image.mode):
                return look
            extremes = image.getextrema()
            bands = [extremes] if isinstance(extremes[0], int | float) else extremes
            values = min(low for low, _ in bands), max(high for _, high in bands)
            return replace(look, values=values)
    except MissingPackageError:  # rather said now than of every image
        raise
    except Exception as error:  # decoders raise nearly anything on damaged input
        return Look(problem=reason_of(error))


def white_of(looks: list[Look]) -> int:
    """What becomes white in images of more than 8 bits: the end of the least number of bits that holds all values."""
    highest = max((look.values[1] for look in looks if look.values and is_deep(look.mode)), default=DEEP_WHITE)
    return next((white for white in WHITES if highest <= white), DEEP_WHITE)


def channels_of(looks: list[Look]) -> int:
    """1 when no image of the sample has colours, else 3."""
    seen = [look for look in looks if not look.problem]
    return 1 if seen and all(look.grey for look in seen) else 3
