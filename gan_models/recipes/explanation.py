"""What every setting of a recipe means, read from the schema itself. Needs no PyTorch."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gan_models.recipes.schema import Recipe

_PACKAGE = Path(__file__).parents[1]
# What tells the members of a union of sections apart.
_TAGS = {
    "family": "which networks; each family has settings of its own",
    "kind": "which procedure a training step follows; each has settings of its own",
}
_BOUNDS = {Ge: ("ge", "at least"), Gt: ("gt", "above"), Le: ("le", "at most"), Lt: ("lt", "below")}
_TYPES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


class Setting(NamedTuple):
    """One leaf of a recipe, or a whole section where `value` is None and `allowed` is empty."""

    key: str
    """As `--set` takes it."""
    value: Any
    """In this recipe, as plain data."""
    meaning: str
    allowed: str
    """Which values can be set, in words."""
    default: Any
    """What holds when a recipe leaves it out; `...` where a recipe must say it."""
    is_section: bool = False


def explain(recipe: Recipe) -> Iterator[Setting]:
    """Every section and setting of a recipe, in the schema's order."""
    yield from _section(recipe, "")


def registry(place: str) -> list[str]:
    """The names in a dictionary of this package, such as `losses.LOSSES`, without importing what it belongs to.

    Raises:
        LookupError: there is no such dictionary.
    """
    module, _, variable = place.rpartition(".")
    tree = ast.parse((_PACKAGE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == variable:
            assert isinstance(node.value, ast.Dict)
            return [str(ast.literal_eval(key)) for key in node.value.keys if key is not None]
    raise LookupError(f"no dictionary {variable} in {module}")


def meaning(model: type[BaseModel], name: str) -> str:
    """What a field means: its description, a base's where a section only narrows the field, or its section's summary.

    A tag (`family`, `kind`) means the same everywhere.
    """
    if name in _TAGS and get_origin(model.model_fields[name].annotation) is Literal:
        return _TAGS[name]
    for base in model.__mro__:
        field = base.model_fields.get(name) if issubclass(base, BaseModel) else None
        if field is not None and field.description:
            return field.description
    return next((_summary(section) for section in sections_of(model.model_fields[name].annotation)), "")


def _section(section: BaseModel, prefix: str) -> Iterator[Setting]:
    model = type(section)
    # What picks the section comes first, a base's fields before its own after that.
    for name, field in sorted(model.model_fields.items(), key=lambda item: item[0] not in _TAGS):
        value, key = getattr(section, name), f"{prefix}{name}"
        if isinstance(value, BaseModel):
            yield Setting(key, None, field.description or _summary(type(value)), "", None, is_section=True)
            yield from _section(value, f"{key}.")
            continue
        yield Setting(key, _plain(value), meaning(model, name), _allowed(model, name), _default(field))
        if isinstance(value, tuple):
            for place, item in enumerate(value):
                if isinstance(item, BaseModel):
                    yield from _section(item, f"{key}.{place}.")


def _allowed(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    if name in _TAGS and get_origin(field.annotation) is Literal:
        return _either(_tags(name, field.default))
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "names_in" in extra:
        names = _either(registry(str(extra["names_in"])))
        return names if field.annotation is str else f"a list of {names}"
    return _words(field.annotation, list(field.metadata))


def _words(annotation: Any, metadata: list[Any]) -> str:
    """An annotation in words: choices, or a type with its bounds."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        extra = [
            inner for item in arguments[1:] for inner in (item.metadata if isinstance(item, FieldInfo) else [item])
        ]
        return _words(arguments[0], [*extra, *metadata])
    if origin in (Union, UnionType):
        words = [_words(part, metadata) for part in arguments if part is not NoneType]
        return ", or ".join([*words, *(["null"] if NoneType in arguments else [])])
    if origin is Literal:
        return _either([str(choice) for choice in arguments])
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return f"a list; each {_words(arguments[0], [])}"
        return f"a list of {len(arguments)}; each {_words(arguments[0], [])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"a section of {', '.join(annotation.model_fields)}"
    return " ".join([_TYPES.get(annotation, str(annotation)), *_bounds(metadata)])


def _bounds(metadata: list[Any]) -> list[str]:
    found = []
    for item in metadata:
        for kind, (attribute, word) in _BOUNDS.items():
            if isinstance(item, kind):
                found.append(f"{word} {getattr(item, attribute):g}")
    return [" and ".join(found)] if found else []


def _either(names: list[str]) -> str:
    return " | ".join(names)


def _tags(name: str, member: str) -> list[str]:
    """The tags that could stand in place of this one: those of the union that its section belongs to."""
    for union in _unions(Recipe):
        tags = [model.model_fields[name].default for model in union if name in model.model_fields]
        if member in tags:
            return tags
    return [member]


def _unions(model: type[BaseModel]) -> Iterator[list[type[BaseModel]]]:
    """The sections that may stand in one place, for every place of the schema."""
    for field in model.model_fields.values():
        sections = sections_of(field.annotation)
        yield sections
        for section in sections:
            yield from _unions(section)


def sections_of(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType, Annotated, tuple):
        return [section for part in get_args(annotation) for section in sections_of(part)]
    return []


def _summary(model: type[BaseModel]) -> str:
    """The first sentence or paragraph of a section's docstring."""
    return " ".join(inspect.cleandoc(model.__doc__ or "").split("\n\n")[0].split())


def _default(field: FieldInfo) -> Any:
    return ... if field.default is PydanticUndefined else _plain(field.default)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
