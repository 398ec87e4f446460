"""What the Tab key offers for values: recipes, data sources, settings, stages.

The lists are asked of where they live. Nothing here may import torch, raise, or look at the network: the user waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import wraps
from pathlib import Path

import typer

Offered = str | tuple[str, str]  # a value; or with words about it, which zsh and fish show
Completer = Callable[[typer.Context, str], list[Offered]]


def _completer(offer: Callable[[typer.Context, str], Iterable[Offered]]) -> Completer:
    """What of it begins as was typed; nothing where something is wrong, which the command itself will say."""

    @wraps(offer)
    def complete(ctx: typer.Context, incomplete: str) -> list[Offered]:
        with suppress(Exception):
            every = offer(ctx, incomplete)
            return [each for each in every if (each if isinstance(each, str) else each[0]).startswith(incomplete)]
        return []

    return complete


@_completer
def recipes(ctx: typer.Context, incomplete: str) -> Iterator[Offered]:
    """The built-in ones, and YAML files once a path is begun."""
    from gan_models.recipes import load_recipe, preset_names

    if "/" in incomplete or incomplete.endswith((".yaml", ".yml")):
        yield from _paths("", incomplete, (".yaml", ".yml"))
    for name in preset_names():
        yield name, load_recipe(name).description


@_completer
def sources(ctx: typer.Context, incomplete: str) -> Iterator[Offered]:
    """Sources by name, and what lies at a path once its kind is written."""
    from gan_models.data.sources import SOURCES

    written, colon, rest = incomplete.partition(":")
    for kind, known in SOURCES.items():
        if known.names and (not known.needs_network or written == kind):
            yield from (f"{kind}:{name}" for name in known.names)
        elif known.at_path and colon and written == kind:
            yield from _paths(f"{kind}:", rest, (getattr(known, "suffix", ""),))
        else:
            yield f"{kind}:" if known.rest else kind


@_completer
def settings(ctx: typer.Context, incomplete: str) -> Iterator[Offered]:
    """Every leaf of the recipe that was named, with the value that it has now, to be changed."""
    import json

    from gan_models.recipes import load_recipe
    from gan_models.recipes.settings import explain
    from pipeline.request.plan import LABELLED_DEFAULT

    name = ctx.params.get("recipe") or ctx.params.get("name") or LABELLED_DEFAULT
    key, equals, _ = incomplete.partition("=")
    for setting in explain(load_recipe(name)):
        if setting.is_section or "." not in setting.key:
            continue
        if equals and setting.key == key:
            yield from (f"{key}={value}" for value in setting.allowed.split(" | ") if " " not in value)
        value = setting.value if isinstance(setting.value, str) else json.dumps(setting.value, separators=(",", ":"))
        yield f"{setting.key}={value}", setting.meaning


@_completer
def stages(ctx: typer.Context, incomplete: str) -> Iterator[Offered]:
    from pipeline.definitions.stages import STAGES

    yield from ((name.replace("_", "-"), stage.title) for name, stage in STAGES.items())


def one_of(*values: str) -> Completer:
    """These values."""
    return _completer(lambda ctx, incomplete: values)


def _paths(before: str, begun: str, suffixes: tuple[str, ...]) -> Iterator[str]:
    """Folders, and files that end so, whose paths begin as was typed."""
    typed = Path(begun).expanduser()
    folder = typed if begun.endswith("/") or not begun else typed.parent
    shown = begun[: begun.rfind("/") + 1]
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.name.startswith("."):
            yield f"{before}{shown}{path.name}/"
        elif any(suffixes) and path.suffix in suffixes:
            yield f"{before}{shown}{path.name}"
