"""What can be set, read from the recipe's JSON schema: where a key stands, what it means, what it may be."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from gan_models.recipes.schema import Recipe
from gan_models.schedules import FORMS, in_words

Node = Mapping[str, Any]  # a part of the JSON schema
_TAGS = {
    "family": "which networks; each family has settings of its own",
    "kind": "which procedure a training step follows; each has settings of its own",
    "name": "which one; the docstrings of gan_models have the formulas and papers",
}
"""What tells the forms of a section apart."""
_BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
_TYPES = {"boolean": "true or false", "integer": "a whole number", "number": "a number", "string": "text"}


class Setting(NamedTuple):
    """One leaf of a recipe, or a whole section where `value` is None and `allowed` is empty."""

    key: str  # as `--set` takes it
    value: Any  # in this recipe, as plain data
    meaning: str
    allowed: str  # which values can be set, in words
    default: Any  # what holds when a recipe leaves it out; `...` where a recipe must say it
    is_section: bool = False


def explain(recipe: Recipe) -> Iterator[Setting]:
    """Every section and setting of a recipe, in the schema's order."""
    yield from _section(_schema(), recipe.model_dump(mode="json"), "")


def locate(place: Sequence[str | int]) -> tuple[str, list[str]]:
    """The key as `--set` takes it, and what is known beside it; `place` is pydantic's path, forms of sections in it."""
    node, known, keys = _schema(), list(_schema()["properties"]), []
    for part in place:
        forms = _forms(node)
        if part in forms:
            node = forms[str(part)]
            continue
        if _is_schedule(node):  # which of its forms pydantic took it for is no part of the key
            node = _schedule_form(node, str(part))
            continue
        known = list(node.get("properties", known))
        keys.append(str(part))
        if isinstance(part, int):
            items = node.get("prefixItems", ())
            below = items[part] if part < len(items) else node.get("items")
        else:
            below = node.get("properties", {}).get(part)
        node = _resolved(below or {})
    return ".".join(keys), known


@cache
def _schema() -> Node:
    return Recipe.model_json_schema()


def _resolved(node: Node) -> Node:
    """What a reference points to; of something that may be null, the something."""
    if "$ref" in node:
        target: Node = _schema()["$defs"][node["$ref"].rpartition("/")[2]]
        return {**target, **{key: value for key, value in node.items() if key != "$ref"}}
    choices = [choice for choice in node.get("anyOf", ()) if choice.get("type") != "null"]
    return _resolved(choices[0]) if len(choices) == 1 else node


def _forms(node: Node) -> dict[str, Node]:
    """The forms of a section that has several, by what tells them apart."""
    mapping = node.get("discriminator", {}).get("mapping", {})
    return {name: _resolved({"$ref": target}) for name, target in mapping.items()}


def _is_schedule(node: Node) -> bool:
    """Whether a leaf takes a schedule in place of a number."""
    return "oneOf" in node and not _forms(node)


def _schedule_form(node: Node, form: str) -> Node:
    """A number, or one of the schedules."""
    number, *schedules = (_resolved(each) for each in node["oneOf"])
    return next((schedule for schedule in schedules if form in schedule["properties"]), number)


def _has(schedules: Sequence[Node], form: str) -> bool:
    return any(form in schedule["properties"] for schedule in schedules)


def _section(field: Node, values: Mapping[str, Any], prefix: str) -> Iterator[Setting]:
    node, names = _form(field, values)
    fields: Mapping[str, Node] = node["properties"]
    tag = next((name for name in _TAGS if name in fields), "")
    default = field["default"].get(tag, ...) if isinstance(field.get("default"), dict) else ...
    # What picks the section comes first, a base's fields before its own after that, sections in it last.
    order = {name: ("const" not in fields[name], bool(prefix) and isinstance(values[name], dict)) for name in fields}
    for name in sorted(fields, key=order.__getitem__):
        below, value, key = fields[name], values[name], f"{prefix}{name}"
        if "const" in below:
            yield Setting(key, value, _TAGS[name], " | ".join(names), default)
        elif (
            isinstance(value, dict) and not _is_schedule(below) and "additionalProperties" in below
        ):  # of names that the schema does not know
            leaf, usual = below["additionalProperties"], below["default"]
            yield Setting(key, None, below["description"], "", None, is_section=True)
            for each, inner in value.items():
                yield Setting(f"{key}.{each}", inner, leaf["description"], _words(leaf), usual.get(each))
        elif isinstance(value, dict) and not _is_schedule(below):
            meaning = below.get("description") or _summary(_form(below, value)[0])
            yield Setting(key, None, meaning, "", None, is_section=True)
            yield from _section(below, value, f"{key}.")
        else:
            meaning = below.get("description") or _summary(_resolved(below))
            yield Setting(key, value, meaning, _words(below), below.get("default", ...))
            for place, item in enumerate(value if isinstance(value, list) else ()):
                if isinstance(item, dict):
                    yield from _section(below["items"], item, f"{key}.{place}.")


def _form(field: Node, value: Mapping[str, Any]) -> tuple[Node, list[str]]:
    """The schema of a section as it stands in a recipe, and the names of all the forms that it could have."""
    node = _resolved(field)
    if not (forms := _forms(node)):
        return node, []
    return forms[value[node["discriminator"]["propertyName"]]], list(forms)


def _summary(node: Node) -> str:
    """The first sentence or paragraph of a section's docstring."""
    return " ".join(str(node.get("description", "")).split("\n\n")[0].split())


def _words(node: Node) -> str:
    """What a value may be: choices, or a type with its bounds."""
    if "anyOf" in node:
        null = [] if all(choice.get("type") != "null" for choice in node["anyOf"]) else ["null"]
        return ", or ".join([*(_words(choice) for choice in node["anyOf"] if choice.get("type") != "null"), *null])
    if "enum" in node:
        return " | ".join(map(str, node["enum"]))
    if "const" in node:
        return str(node["const"])
    if _is_schedule(node):
        number, *schedules = (_resolved(form) for form in node["oneOf"])
        return f"{_words(number)}, or {in_words(name for name in FORMS if _has(schedules, name))}"
    if node.get("type") == "array":
        items = node["prefixItems"][0] if "prefixItems" in node else node["items"]
        length = f" of {len(node['prefixItems'])}" if "prefixItems" in node else ""
        return f"a list of {_words(items)}" if "enum" in items else f"a list{length}; each {_words(items)}"
    resolved = _resolved(node)
    if forms := _forms(resolved):
        return " | ".join(forms)
    if "properties" in resolved:
        return f"a section of {', '.join(resolved['properties'])}"
    bounds = [f"{word} {node[bound]:g}" for bound, word in _BOUNDS.items() if bound in node]
    return " ".join([_TYPES[node["type"]], *([" and ".join(bounds)] if bounds else [])])
