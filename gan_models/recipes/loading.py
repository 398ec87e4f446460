"""From a recipe's name or path and `a.b=c` overrides to a validated `Recipe`."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from gan_models.errors import RequestError, unknown_name
from gan_models.recipes.network_specs import Networks
from gan_models.recipes.schema import MODEL_SECTIONS, Recipe
from gan_models.recipes.sharing import check_sharing

_BUILT_IN = Path(__file__).parent
# YAML 1.1 reads 1e-4 as a string; people write learning rates this way.
_SCIENTIFIC = re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$")


def recipe_names() -> list[str]:
    """Names of the built-in recipes, sorted."""
    return sorted(path.stem for path in _BUILT_IN.glob("*.yaml"))


def recipe_text(name: str) -> str:
    """The YAML of a built-in recipe or of a file. Raises RequestError for an unknown name or unreadable path."""
    return _recipe_path(name).read_text(encoding="utf-8")


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """Reads a built-in recipe or a YAML file and applies overrides such as `training.steps=500`.

    Raises:
        RequestError: unknown recipe, key or value; the sentence names the key and the nearest right spelling.
    """
    path = _recipe_path(name_or_path)
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise RequestError(f"recipe {path}: not valid YAML ({' '.join(str(error).split())})") from None
    if not isinstance(document, dict):
        raise RequestError(f"recipe {path}: expected a mapping of sections, found {type(document).__name__}")
    for override in overrides:
        _apply_override(document, override)
    return parse_recipe(document, origin=f"recipe {name_or_path!r}")


def parse_recipe(document: Mapping[str, Any], origin: str) -> Recipe:
    """Validates a recipe document; `origin` opens the sentence of a RequestError."""
    try:
        recipe = Recipe.model_validate(document)
    except ValidationError as error:
        raise RequestError(f"{origin}: {_sentence(error)}") from None
    check_sharing(recipe.game.kind, recipe.training.batch_size, recipe.training.ranks or 1)
    return recipe


def model_document(recipe: Recipe) -> dict[str, Any]:
    """The part of a recipe that decides the trained weights, as plain data: what it is, and MODEL_SECTIONS."""
    return recipe.model_dump(mode="json", include={"name", "description", "paper", "builds_on", *MODEL_SECTIONS})


def recipe_digest(recipe: Recipe) -> str:
    """SHA-256 (16 hex digits) over everything in a recipe that decides the trained weights.

    How often progress is reported or saved does not, so a resumed run may change it.
    """
    sections = {name: value for name, value in model_document(recipe).items() if name in MODEL_SECTIONS}
    sections["training"].pop("checkpoint_seconds")
    return hashlib.sha256(json.dumps(sections, sort_keys=True).encode()).hexdigest()[:16]


def _recipe_path(name_or_path: str) -> Path:
    if "/" in name_or_path or name_or_path.endswith((".yaml", ".yml")):
        path = Path(name_or_path)
        if not path.is_file():
            raise RequestError(f"recipe file {name_or_path} does not exist; built-in ones: {', '.join(recipe_names())}")
        return path
    if name_or_path not in recipe_names():
        raise unknown_name("recipe", name_or_path, recipe_names())
    return _BUILT_IN / f"{name_or_path}.yaml"


def _apply_override(document: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        raise RequestError(f"--set {override}: expected section.key=value, for instance training.steps=500")
    try:
        value = yaml.safe_load(text) if text else ""
    except yaml.YAMLError:
        raise RequestError(f"--set {override}: {text!r} is not a valid YAML value") from None
    if isinstance(value, str) and _SCIENTIFIC.match(value):
        value = float(value)
    *parents, leaf = key.strip().split(".")
    place: Any = document
    for parent in parents:
        place = _child(place, parent, override)
    if isinstance(place, list):
        place[_index(place, leaf, override)] = value
    elif isinstance(place, dict):
        place[leaf] = value
    else:
        raise RequestError(f"--set {override}: {'.'.join(parents)} is a single value and has no key {leaf!r}")


def _child(place: Any, name: str, override: str) -> Any:
    if isinstance(place, list):
        return place[_index(place, name, override)]
    if isinstance(place, dict):
        if place.get(name) is None:
            place[name] = {}
        return place[name]
    raise RequestError(f"--set {override}: {name!r} lies inside a single value; see `gan-pipeline recipes show`")


def _index(items: list[Any], text: str, override: str) -> int:
    if not text.isdigit() or int(text) >= len(items):
        raise RequestError(f"--set {override}: {text!r} is not a position in a list of {len(items)}")
    return int(text)


def _sentence(error: ValidationError) -> str:
    """The first problem of a validation, in one sentence; the number of further ones is mentioned."""
    problems = error.errors(include_url=False)
    problem = problems[0]
    keys = [str(part) for part in problem["loc"]]
    if problem["type"] == "extra_forbidden":
        text = _unknown_key(keys)
    elif problem["type"] == "missing":
        text = f"{_dotted(keys)} is missing"
    else:
        value = problem.get("input")
        shown = f" (got {value!r})" if not isinstance(value, dict | list | BaseModel) else ""
        message = problem["msg"].removeprefix("Value error, ")
        text = f"{_dotted(keys) or 'recipe'}: {message[0].lower()}{message[1:]}{shown}"
    return text if len(problems) == 1 else f"{text} (and {len(problems) - 1} more)"


def _unknown_key(keys: list[str]) -> str:
    known = _fields(keys[:-1])
    near = get_close_matches(keys[-1], known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown key {_dotted(keys)!r}: {hint}Known there: {', '.join(sorted(known))}"


def _fields(keys: Sequence[str]) -> list[str]:
    """Field names at a place in the schema, following the tags that pydantic inserts for a family or kind."""
    models: list[type[BaseModel]] = [Recipe]
    for key in keys:
        tagged = [model for model in models if key in _tags(model)]
        if tagged:
            models = tagged
        elif not key.isdigit():
            models = [m for model in models if key in model.model_fields for m in _models_of(model, key)]
    return [name for model in models for name in model.model_fields]


def _models_of(model: type[BaseModel], field: str) -> list[type[BaseModel]]:
    pending: list[Any] = [model.model_fields[field].annotation]
    found: list[type[BaseModel]] = []
    while pending:
        annotation = pending.pop()
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found.append(annotation)
        elif get_origin(annotation) in (Union, UnionType, Annotated, tuple):
            pending.extend(get_args(annotation))
    return found


def _tags(model: type[BaseModel]) -> list[str]:
    """What tells this member of a union from the others: its family or kind."""
    return [model.model_fields[name].default for name in ("family", "kind") if name in model.model_fields]


def _dotted(keys: Sequence[str]) -> str:
    """The path of a key as a user writes it: without the tags that pydantic inserts."""
    unions: list[tuple[type[BaseModel], str]]
    unions = [(Recipe, "game"), (Networks, "generator"), (Networks, "discriminator")]
    tags = {tag for model, field in unions for member in _models_of(model, field) for tag in _tags(member)}
    return ".".join(key for key in keys if key not in tags)
