"""What a source holds, from a quick look: nothing is imported, and only the headers of a sample are read."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from gan_models.data.decoding import Item, is_grey, open_image, reason_of, stored_bits
from gan_models.data.formats import DICOM, WINDOW, MissingPackageError
from gan_models.data.ranges import Range as Values
from gan_models.data.ranges import Ranges, kind_of, stated, usual_range, white_note
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
_KINDS = {"bytes": "values of 8 bits", "deep": "values of more than 8 bits", "floats": "floats"}
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
    channels: str  # `grey` or `rgb`, where data.channels=auto chooses; else what it says
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
    looks = look_at(opened, options.range)
    seen = [look for look in looks if not look.problem]
    sizes = Counter(f"{look.width}x{look.height}" for look in seen)
    order = [split for split in ("train", "validation", "test") if split in opened.given_splits]
    found = [look.values for look in seen if look.values is not None]
    kinds = [kind for kind in Ranges._fields if any(kind_of(look.mode) == kind for look in seen)]
    used = [each for kind in kinds if (each := getattr(ranges_of(looks, options.range), kind)) is not None]
    if options.range in ("auto", "full"):
        used += [Values(min(look.window), max(look.window)) for look in seen if look.window is not None]
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
        channels=options.channels if options.channels != "auto" else "grey" if channels_of(looks) == 1 else "rgb",
        sample=len(looks),
        sizes=dict(sizes.most_common(SHOWN_SIZES)),
        modes=dict(Counter(look.mode for look in seen).most_common()),
        range=Range(
            found=(min(low for low, _ in found), max(high for _, high in found)) if found else None,
            used=(min(each.black for each in used), max(each.white for each in used)) if used else (0, 255),
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
    yield from range_notes(looks, options)
    scans = sum(look.format == DICOM for look in seen)
    if scans and options.range in ("auto", "full"):
        yield f"{scans} of {len(seen)} images looked at are DICOM: their own windows say what is black and what white"
    transparent = sum(look.transparent for look in seen)
    if transparent:
        kept = options.channels == "rgba"
        becomes = "stays, in a fourth channel" if kept else "becomes white (data.channels=rgba keeps it)"
        yield f"{transparent} of {len(seen)} images looked at have transparency, which {becomes}"
    ordered = sorted(seen, key=lambda look: look.scale(options.size))
    if ordered and (middle := ordered[len(ordered) // 2]).scale(options.size) >= LARGE:
        yield f"large images (half of them {middle.width}x{middle.height} or more) become {options.size.across}"


def range_notes(looks: list[Look], options: Data) -> Iterator[str]:
    """Which values become black and white, wherever that is not plain."""
    ranges, found = ranges_of(looks, options.range), _extremes(looks, options.range)
    if options.range not in ("auto", "full"):
        beyond = "values beyond are cut off"
        if isinstance(options.range, tuple):
            yield f"data.range=[{options.range[0]:g}, {options.range[1]:g}]: {Values(*options.range)}, {beyond}"
            return
        for kind in found:
            yield f"data.range=used: of {_KINDS[kind]} {getattr(ranges, kind)}, {beyond}"
        return
    if "deep" in found:
        yield white_note(found["deep"][1], ranges.deep.white)
    if "floats" in found and ranges.floats is not None:
        low, high = found["floats"]
        yield f"floats from {low:g} to {high:g}: {ranges.floats}"


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
    found = _extremes(looks, options.range)
    _, bright = found.get("bytes", (0, 255))
    plain = options.range in ("auto", "full")
    if plain and (DARK >= bright > 1 or (bright == 1 and all(look.mode != "1" for look in seen))):
        yield (
            f"the values of the images looked at end at {bright:g} of 255: they are nearly black; data.range=used, or "
            "[low, high], spreads them"
        )
    if plain and (sentence := unknown_range(looks)):
        yield sentence
    if len(found) > 1 and isinstance(options.range, tuple):
        yield f"data.range holds for all of {' and '.join(_KINDS[kind] for kind in found)} that are there"
    if options.depth > 8 and all(look.bits == 8 and kind_of(look.mode) == "bytes" for look in seen):
        yield f"data.depth={options.depth}: the images looked at store 8 bits, and more of them say nothing more"
    if shortened := sum(look.bits > 8 and kind_of(look.mode) == "bytes" for look in seen):
        yield f"{shortened} of {len(seen)} images looked at have colours of 16 bits, of which the first 8 are read"
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
    bits: int = 8  # of a value in the file; those that are decoded may be fewer
    window: tuple[float, float] | None = None  # what its file, or its archive, says becomes black and white
    format: str = ""  # as Pillow calls it
    problem: str = ""  # why it cannot be opened; everything else is unknown then

    def scale(self, size: Size) -> float:
        """How many of its pixels one of a target's stands for, along the side that has fewer."""
        return min(self.height / size.height, self.width / size.width)


def look_at(source: Source, asked: Any = "auto", count: int = SAMPLE_IMAGES) -> list[Look]:
    """About `count` images spread over the source.

    Args:
        asked: `data.range`.

    Raises:
        RequestError: one is of a format that a package reads which is not installed.
        RunError: the source cannot be read.
    """
    ranged = count if asked == "used" else RANGED_IMAGES
    with reading(source.name), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about doubtful image files: importing them gives a reason
        try:
            return [_look(item, number < ranged) for number, item in enumerate(source.sample(count))]
        except MissingPackageError as error:
            raise RequestError(f"{source.name}: {error}") from None


def _look(item: Item, with_values: bool) -> Look:
    try:
        with open_image(item) as image:
            transparent, bits = image.has_transparency_data, stored_bits(image)
            look = Look(image.mode, image.width, image.height, is_grey(image), transparent, bits=bits)
            look = replace(look, format=image.format or "", window=image.info.get(WINDOW))
            if not with_values and kind_of(image.mode) == "bytes":
                return look
            colours = image.convert("RGBA" if transparent else "RGB") if image.mode in ("P", "PA") else image
            extremes = colours.getextrema()
            bands = [extremes] if isinstance(extremes[0], int | float) else extremes
            if colours.mode in ("LA", "La", "RGBA", "RGBa"):
                bands = bands[:-1]
            values = min(low for low, _ in bands), max(high for _, high in bands)
            return replace(look, values=values)
    except MissingPackageError:  # rather said now than of every image
        raise
    except Exception as error:  # decoders raise nearly anything on damaged input
        return Look(problem=reason_of(error))


def _extremes(looks: list[Look], asked: Any) -> dict[str, tuple[float, float]]:
    """The least and the largest value of the images looked at, by how they store them (`Ranges`).

    Of those that say themselves what is black and white only where `asked` is for something else, and there without the
    few that no usual range holds beside many: they cannot be used.
    """
    seen: dict[str, list[tuple[float, float]]] = {}
    by_usual_ranges = asked in ("auto", "full")
    for look in looks:
        if look.values is None or not math.isfinite(sum(look.values)):  # such an image cannot be used
            continue
        if look.window is None or not by_usual_ranges:
            seen.setdefault(kind_of(look.mode), []).append(look.values)
    if by_usual_ranges:
        for kind, values in seen.items():
            usual = [each for each in values if usual_range(kind, *each)]
            seen[kind] = usual if 2 * len(usual) > len(values) else values
    return {kind: (min(low for low, _ in values), max(high for _, high in values)) for kind, values in seen.items()}


def unknown_range(looks: list[Look]) -> str:
    """Why there is no telling what is black and what white, in a sentence; "" where there is."""
    for kind, (low, high) in _extremes(looks, "auto").items():
        if kind != "bytes" and usual_range(kind, low, high) is None:
            return (
                f"{_KINDS[kind]} from {low:g} to {high:g}: there is no telling which is black and which white: set "
                "data.range=used, or [low, high] for a window"
            )
    return ""


def ranges_of(looks: list[Look], asked: Any = "auto") -> Ranges:
    """What becomes black and white.

    Args:
        asked: `data.range`.

    Raises:
        RequestError: the values that are used are all one.
    """
    if (ranges := stated(asked)) is not None:
        return ranges
    found = _extremes(looks, asked)
    if asked == "used":
        for kind, (low, high) in found.items():
            if not low < high:
                raise RequestError(
                    f"data.range=used: {_KINDS[kind]} looked at are all {low:g}: use auto, full or [low, high]"
                )
        return Ranges()._replace(**{kind: Values(*values, cut=True) for kind, values in found.items()})
    usual = {kind: usual_range(kind, *values) for kind, values in found.items() if kind != "bytes"}
    return Ranges()._replace(**{kind: each for kind, each in usual.items() if each is not None})


def channels_of(looks: list[Look]) -> int:
    """1 when no image of the sample has colours, else 3."""
    seen = [look for look in looks if not look.problem]
    return 1 if seen and all(look.grey for look in seen) else 3
