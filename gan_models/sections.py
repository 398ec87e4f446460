"""What all sections of a recipe have in common, the number types they are made of, and sections of several forms."""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, Union

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from gan_models.data.shape import Size
from gan_models.data.sources.places import check_address
from gan_models.errors import RequestError, unknown_name


def _is_range(given: Any) -> Any:
    if given in ("auto", "full", "used"):
        return given
    if not isinstance(given, list | tuple) or len(given) != 2:
        raise ValueError("it is auto, full, used or two numbers, [low, high]")
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in given):
        raise ValueError("of [low, high] both are numbers")
    low, high = map(float, given)
    if not (math.isfinite(low + high) and low < high):
        raise ValueError("of [low, high] the first is the smaller one")
    return low, high


ValueRange = Annotated[
    Literal["auto", "full", "used"] | tuple[float, float],
    BeforeValidator(_is_range),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["auto", "full", "used"]},
                {"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}]},
            ]
        }
    ),
]
"""Which values of images are black and white (`gan_models.data.ranges`)."""


def _is_growth(given: Any) -> Any:
    if isinstance(given, bool):
        return given
    if not isinstance(given, str) or not given.lower().startswith(("s3://", "gs://")):
        raise ValueError(
            "it is true, false, or an address to keep the table at: s3://bucket/tables, gs://bucket/tables"
        )
    try:
        check_address(given)
    except RequestError as error:
        raise ValueError(str(error)) from None
    return given.rstrip("/")


Growth = Annotated[
    bool | str,
    BeforeValidator(_is_growth),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "string"}]}),
]
"""Which earlier table is taken up (`gan_models.data.preparing.growing`)."""

_LEAST_SIDE, _MOST_SIDE = 8, 1024
_SIDE = {"type": "integer", "minimum": _LEAST_SIDE, "maximum": _MOST_SIDE}
_WIDTH_BY_HEIGHT = re.compile(r"\s*(\d+)\s*[xX×]\s*(\d+)\s*")


def _as_size(given: Any) -> Any:
    """A side, or height and width."""
    if isinstance(given, str) and (found := _WIDTH_BY_HEIGHT.fullmatch(given)):
        width, height = found.groups()
        raise ValueError(
            f"{given!r} does not say which side is which: write [height, width], as in [{height}, {width}] for "
            f"pictures {width} pixels wide and {height} high"
        )
    sides = given if isinstance(given, list | tuple) else (given, given)
    if len(sides) != 2 or any(isinstance(side, bool) or not isinstance(side, int) for side in sides):
        raise ValueError("it is a whole number of pixels, or two as [height, width]")
    if not all(_LEAST_SIDE <= side <= _MOST_SIDE for side in sides):
        raise ValueError(f"a side has {_LEAST_SIDE} to {_MOST_SIDE} pixels")
    return Size(*sides)


def _side_or_sides(size: Size) -> int | list[int]:
    return size.height if size.is_square else [*size]


ImageSize = Annotated[
    Size,
    BeforeValidator(_as_size),
    PlainSerializer(_side_or_sides),
    WithJsonSchema({"anyOf": [_SIDE, {"type": "array", "prefixItems": [_SIDE, _SIDE]}]}),
]
"""Read and written as a side, or as [height, width]."""
Share = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(gt=0)]
NonNegativeInt = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]


Form = TypeVar("Form", bound="Section")


class Section(BaseModel):
    """Base of all sections: immutable; an unknown key is an error, and so is a number that is not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def by_tag(tag: str, *forms: type[Form]) -> dict[str, type[Form]]:
    """Forms of a section by the value that their field `tag` always has."""
    return {form.model_fields[tag].default: form for form in forms}


def one_of(forms: Mapping[str, type[Section]], tag: str, *, kind: str, default: str = "") -> Any:
    """The annotation of a section that has one of several forms, told apart by its field `tag`.

    A bare name stands for that form with its usual settings.

    Args:
        forms: by their names.
        kind: what one of them is called, as in "unknown game.loss 'hing'".
        default: the form that is meant where a document does not say which.
    """

    def complete(value: Any) -> Any:
        section = {tag: value} if isinstance(value, str) else value
        if not isinstance(section, Mapping):
            return section
        name = section.get(tag, default)
        if name and (not isinstance(name, str) or name not in forms):
            raise ValueError(str(unknown_name(kind, str(name), forms)))
        return {tag: name, **section} if name else section

    return Annotated[Union[tuple(forms.values())], Field(discriminator=tag), BeforeValidator(complete)]  # noqa: UP007
