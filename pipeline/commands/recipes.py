"""`gan-pipeline recipes`: which GANs are built in, and what can be set about them."""

from __future__ import annotations

from collections.abc import Sequence

import typer
import yaml

from gan_models.recipes import load_recipe, recipe_names


def list_command() -> int:
    """A line for each built-in recipe."""
    names = recipe_names()
    width = max(map(len, names))
    for name in names:
        typer.echo(f"{name:<{width}}  {load_recipe(name).description}")
    return 0


def show_command(name: str, overrides: Sequence[str]) -> int:
    """The recipe as YAML, every default filled in; what is printed is itself a valid recipe file."""
    recipe = load_recipe(name, overrides)
    typer.echo(yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120), nl=False)
    return 0
