"""Refuses recipes that cannot be built before anything is prepared for them."""

from __future__ import annotations

from gan_models.recipes import Recipe, load_recipe, recipe_names
from gan_models.recipes.schema import MODEL_SECTIONS

_CHANNELS = {"grey": 1, "auto": 1, "rgb": 3}
_ANY_CLASSES, _ANY_DOMAINS, _ANY_WORDS = 10, 2, 50
_KNOWN_SIZES = {"mlp": (8, 16, 32, 64, 128), "dcgan": (8, 16, 32, 64, 128)}
"""What the families of the default recipes make, so that the usual requests need no look at the networks."""


def check_buildable(recipe: Recipe) -> None:
    """Builds the recipe's networks and game without memory for their weights. Costs the import of torch.

    Raises:
        RequestError: a size its family cannot make, an unknown loss, parts that do not go together.
    """
    import torch

    from gan_models.data.shape import DataShape
    from gan_models.games.base import build_game

    image = (_CHANNELS[recipe.data.channels], recipe.data.size, recipe.data.size)
    with torch.device("meta"):
        build_game(recipe, DataShape(image, _ANY_CLASSES, _ANY_DOMAINS, _ANY_WORDS), torch.device("meta"))


def is_proven(recipe: Recipe) -> bool:
    """Whether the recipe is built of the same parts as a built-in one, so that there is nothing to find out."""
    if recipe.name not in recipe_names():
        return False
    known = load_recipe(recipe.name)
    family = recipe.networks.generator.family
    if family in _KNOWN_SIZES and recipe.game.kind == "adversarial":
        return _parts(recipe) == _parts(known) and recipe.data.size in (known.data.size, *_KNOWN_SIZES[family])
    # Elsewhere numbers decide as well: latents that are cut into chunks, steps that are cut into phases.
    sections = ("data", *MODEL_SECTIONS)
    return all(getattr(recipe, section) == getattr(known, section) for section in sections)


def _parts(recipe: Recipe) -> object:
    """What decides whether a recipe can be built, but for the size of the images: widths and weights do not."""
    return _without_numbers(recipe.model_dump(include={"networks", "conditioning", "game", "regularizers"}))


def _without_numbers(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_numbers(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_numbers(each) for each in value]
    return None if isinstance(value, int | float) and not isinstance(value, bool) else value
