"""A look at a few images of a source: modes and sizes from their headers, before anything is imported."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from PIL import Image

from components.prepare_data.decoding import BadImageError, Item, is_grey, open_image, reason_of
from components.prepare_data.sources.base import Source, reading

SAMPLE_IMAGES = 256


@dataclass(frozen=True)
class Look:
    """What one image's header says."""

    mode: str = ""
    width: int = 0
    height: int = 0
    grey: bool = False
    problem: str = ""
    """Why it cannot be opened; everything else is unknown then."""


def look_at(source: Source, count: int = SAMPLE_IMAGES) -> list[Look]:
    """About `count` images spread over the source.

    Raises:
        RunError: the source cannot be read.
    """
    with reading(source.name), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about doubtful image files: importing them gives a reason
        return [_look(item) for item in source.sample(count)]


def _look(item: Item) -> Look:
    if isinstance(item, BadImageError):
        return Look(problem=str(item))
    try:
        image = item if isinstance(item, Image.Image) else open_image(item)
        with image:
            return Look(image.mode, image.width, image.height, is_grey(image))
    except BadImageError as reason:
        return Look(problem=str(reason))
    except Exception as error:  # decoders raise nearly anything on damaged input
        return Look(problem=reason_of(error))


def channels_of(looks: list[Look]) -> int:
    """1 when no image of the sample has colours, else 3."""
    seen = [look for look in looks if not look.problem]
    return 1 if seen and all(look.grey for look in seen) else 3
