"""From a recipe's name or path and `a.b=c` overrides to a validated `Recipe`."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from gan_models.errors import RequestError, nearest, unknown_name
from gan_models.recipes.migration import migrate
from gan_models.recipes.schema import MODEL_SECTIONS, Recipe
from gan_models.recipes.settings import locate

_BUILT_IN = Path(__file__).parent
_SMALL = "small"
# YAML 1.1 reads 1e-4 as a string; people write learning rates this way.
_SCIENTIFIC = re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$")


def recipe_names() -> list[str]:
    """Names of the systems, sorted; each stands for its `small` preset."""
    return sorted(path.parent.name for path in _BUILT_IN.glob(f"*/{_SMALL}.yaml"))


def preset_names() -> list[str]:
    """Names of all built-in recipes: the systems, and their other presets as in `sngan/cifar10`."""
    return sorted(_name(path) for path in _BUILT_IN.glob("*/*.yaml"))


def _name(path: Path) -> str:
    return path.parent.name if path.stem == _SMALL else f"{path.parent.name}/{path.stem}"


@cache
def counted_parameters() -> dict[str, dict[str, int]]:
    """Parameters of the players of each built-in recipe, as a table that `tests/gan_models/recipes` holds to the
    networks: whoever reads it need not build any."""
    counted: dict[str, dict[str, int]] = yaml.safe_load(_text_of(_BUILT_IN / "parameters.yaml"))
    return counted


def recipe_text(name: str) -> str:
    """The YAML of a built-in recipe or of a file. Raises RequestError for an unknown name or unreadable path."""
    return _text_of(_recipe_path(name))


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RequestError(f"recipe {path}: not text in UTF-8 ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise RequestError(f"recipe {str(path)[:200]} cannot be read: {error.strerror}") from None


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """A built-in recipe or YAML file with overrides; RequestError: unknown recipe, key, value, and the nearest."""
    path = _recipe_path(name_or_path)
    try:
        document = yaml.safe_load(_text_of(path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # of dates that are none, of nesting without end
        raise RequestError(f"recipe {path}: not valid YAML ({' '.join(str(error).split())[:200]})") from None
    if not isinstance(document, dict):
        raise RequestError(f"recipe {path}: expected a mapping of sections, found {type(document).__name__}")
    return overridden(document, overrides, origin=f"recipe {name_or_path!r}")


def overridden(document: Mapping[str, Any], overrides: Sequence[str], origin: str) -> Recipe:
    """A recipe document with `a.b=c` overrides, validated as `parse_recipe` does."""
    document = migrate(document)
    for override in overrides:
        _apply_override(document, override)
    return parse_recipe(document, origin)


def parse_recipe(document: Mapping[str, Any], origin: str) -> Recipe:
    """Validates a recipe document, of the present form or an earlier one.

    Args:
        origin: opens the sentence where a key or a value is wrong.

    Raises:
        RequestError: an unknown key, a value that cannot be, or parts that do not go together.
    """
    try:
        recipe = Recipe.model_validate(migrate(document))
    except ValidationError as error:
        raise RequestError(f"{origin}: {_sentence(error)}") from None
    recipe.check()
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
    name, names = name_or_path.removesuffix(f"/{_SMALL}"), preset_names()
    if name in names:
        system, _, preset = name.partition("/")
        return _BUILT_IN / system / f"{preset or _SMALL}.yaml"
    if name_or_path.endswith((".yaml", ".yml")) or (path := Path(name_or_path)).is_file():
        path = Path(name_or_path)
        if not path.is_file():
            raise RequestError(f"recipe file {name_or_path} does not exist; built-in ones: {', '.join(recipe_names())}")
        return path
    raise unknown_name("recipe", name_or_path, names)


def _apply_override(document: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key.strip():
        raise RequestError(f"--set {override}: expected section.key=value, for instance training.steps=500")
    try:
        value = yaml.safe_load(text) if text else ""
    except (yaml.YAMLError, ValueError, RecursionError):
        raise RequestError(f"--set {override[:200]}: {text[:200]!r} is not a valid YAML value") from None
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
    problem = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    key, known = locate(problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        near = nearest(key.rpartition(".")[2], known)
        hint = f"did you mean {near!r}? " if near else ""
        text = f"unknown key {key!r}: {hint}Known there: {', '.join(sorted(known))}"
    elif problem["type"] == "missing":
        text = f"{key} is missing"
    elif problem["type"] == "union_tag_not_found":
        tag = problem["ctx"]["discriminator"].strip("'")
        text = f"{key}.{tag} is missing"
    elif message.startswith("unknown "):
        text = message
    else:
        value = problem.get("input")
        shown = f" (got {value!r})" if not isinstance(value, dict | list | BaseModel) else ""
        text = f"{key or 'recipe'}: {message[0].lower()}{message[1:]}{shown}"
        if problem["type"] == "literal_error":
            choices = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
            near = nearest(str(value), choices)
            text += f": did you mean {near!r}?" if near else ""
    return text if len(problems) == 1 else f"{text} (and {len(problems) - 1} more)"
