"""`gan-pipeline recipes`: which GANs are built in, and what can be set about them.

Each command imports what it needs when it is called.
"""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from pipeline.cli import completion
from pipeline.cli.options import JsonOption, SetOption

if TYPE_CHECKING:
    from gan_models.recipes import Recipe
    from gan_models.recipes.settings import Setting

recipes_app = typer.Typer(help="List the recipes, or explain one.", rich_markup_mode=None)
_WIDEST = 110  # longer lines are hard to read
_PIPED = 10_000  # for grep, a recipe's line is a line
_HEADING = ("name", "description", "paper", "builds_on", "made_for")


@recipes_app.callback(invoke_without_command=True)
def recipes(context: typer.Context) -> int:
    """The recipes as a family tree; `recipes show NAME` explains one."""
    return 0 if context.invoked_subcommand is not None else list_()


@recipes_app.command("list")
def list_() -> int:
    """The same tree."""
    from gan_models.recipes import load_recipe, preset_names, recipe_names

    found = {name: load_recipe(name) for name in preset_names()}
    rows = list(family_tree({name: found[name].builds_on for name in recipe_names()}))
    stem = max(len(branch) + len(name) for branch, _, name in rows) + 2
    for branch, below, name in rows:
        texts = [found[name].description, found[name].paper]
        presets = [name, *(preset for preset in found if preset.startswith(f"{name}/"))]
        about = [line for text in texts for line in _wrapped(text, stem)]
        about += [line for preset in presets for line in _wrapped(preset_line(preset, found[preset]), stem)]
        for number, line in enumerate(about):
            typer.echo(f"{below if number else branch + name:<{stem}}{line}".rstrip())
    return 0


def preset_line(name: str, recipe: Recipe) -> str:
    """What a preset is made for, how large its networks are, and what its paper reports."""
    from gan_models.recipes import counted_parameters

    made_for, counted = recipe.made_for, counted_parameters().get(name)
    texts = [f"{made_for.data}, {recipe.data.size.across}" if made_for else ""]
    if counted:
        texts.append(f"G {_millions(counted['generator'])}, D {_millions(counted['discriminator'])}")
    texts.append(made_for.figure if made_for else "")
    return f"{name if '/' in name else f'{name}/small'}: {'; '.join(filter(None, texts))}"


def _millions(count: int) -> str:
    return f"{count / 1e6:.3g} M" if count else "none"


def _wrapped(text: str, indent: int = 0, widest: int = _PIPED) -> list[str]:
    """Lines of a text that fit the terminal behind so many characters; of a pipe, only `widest` is a limit."""
    columns = min(shutil.get_terminal_size((_PIPED, 24)).columns, widest)
    return textwrap.wrap(text, max(20, columns - indent), break_long_words=False, break_on_hyphens=False)


def family_tree(parents: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Names under what they build on, roots first, as (lines in front of the name, lines below it, name).

    A name whose parent is unknown, or that builds on itself in a circle, is a root.

    >>> ["".join((branch, name)) for branch, _, name in family_tree({"vanilla": "", "dcgan": "vanilla"})]
    ['vanilla', '└─ dcgan']
    """
    children: dict[str, list[str]] = {name: [] for name in parents}
    for name, parent in parents.items():
        if parent in children and not _in_circle(name, parents):
            children[parent].append(name)
    held = {name for names in children.values() for name in names}

    def branch(name: str, before: str) -> Iterator[tuple[str, str, str]]:
        last = len(children[name]) - 1
        for place, child in enumerate(children[name]):
            stem, rest = ("└─ ", "   ") if place == last else ("├─ ", "│  ")
            below = before + rest + ("│" if children[child] else "")
            yield before + stem, below, child
            yield from branch(child, before + rest)

    for name in parents:
        if name not in held:
            yield "", "│" if children[name] else "", name
            yield from branch(name, "")


def _in_circle(name: str, parents: Mapping[str, str]) -> bool:
    ancestor, steps = parents.get(name, ""), 0
    while ancestor in parents and steps <= len(parents):
        if ancestor == name:
            return True
        ancestor, steps = parents[ancestor], steps + 1
    return False


@recipes_app.command("show")
def show_recipe(
    name: Annotated[
        str, Argument(metavar="NAME", help="A recipe's name or the path of a YAML.", autocompletion=completion.recipes)
    ],
    overrides: SetOption = None,
    as_yaml: Annotated[bool, Option("--yaml", help="Print the YAML itself, every default filled in.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Explain every setting of a recipe. Its value, what it means, what it may be."""
    from gan_models.recipes import load_recipe
    from gan_models.recipes.settings import explain

    recipe = load_recipe(name, overrides or ())
    if as_yaml:
        import yaml

        document = recipe.model_dump(mode="json")
        typer.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120), nl=False)
        return 0
    if as_json:
        from gan_models.games.counting import parameters_of

        counted = parameters_of(recipe)
        about = {**{player: sum(networks.values()) for player, networks in counted.items()}, "networks": counted}
        typer.echo(json.dumps({**recipe.model_dump(mode="json"), "parameters": about}, ensure_ascii=False))
        return 0
    _echo(f"{recipe.name}: {recipe.description}")
    if recipe.paper:
        _echo(f"paper: {recipe.paper}")
    if recipe.made_for:
        _echo(f"made for: {preset_line(name, recipe)}")
    if recipe.builds_on:
        typer.echo(f"builds on: {recipe.builds_on}")
    typer.echo("Any setting below is changed by --set KEY=VALUE.")
    for setting in explain(recipe):
        if setting.key.partition(".")[0] not in _HEADING:
            typer.echo(_block(setting))
    typer.echo("")
    _echo(f"`gan-pipeline recipes show {name} --yaml > mine.yaml` writes it as a file to start your own from.")
    return 0


def _echo(text: str) -> None:
    typer.echo("\n".join(_wrapped(text, 0, _WIDEST)))


def _block(setting: Setting) -> str:
    """A setting's line and, indented below it, what it means and what it may be."""
    if setting.is_section:
        level = setting.key.count(".")
        return ("" if level else "\n") + "\n".join(_wrapped(f"[{setting.key}] {setting.meaning}", 0, _WIDEST))
    value = "" if setting.value is None else _value(setting.value)
    default = "" if setting.default in (..., setting.value) else f"; default {_value(setting.default)}"
    text = f"{setting.meaning.rstrip('.')}. Allowed: {setting.allowed}{default}."
    explanation = "\n".join(f"{'':6}{line}" for line in _wrapped(text, 6, _WIDEST))
    return f"{'  ' if '.' in setting.key else chr(10)}{setting.key} = {value or 'null'}\n{explanation}"


def _value(value: object) -> str:
    """As `--set` takes it."""
    if value is None:
        return "null"
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
