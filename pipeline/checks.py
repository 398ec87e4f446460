"""Refuses recipes that cannot be built before anything is prepared for them."""

from __future__ import annotations

from gan_models.recipes import Recipe, load_recipe, recipe_names

_CHANNELS = {"grey": 1, "auto": 1, "rgb": 3}
_ANY_CLASSES = 10


def check_buildable(recipe: Recipe) -> None:
    """Builds the recipe's networks and game without memory for their weights. Costs the import of torch.

    Raises:
        RequestError: a size its family cannot make, an unknown loss, parts that do not go together.
    """
    import torch

    from gan_models.games import build_game

    shape = (_CHANNELS[recipe.data.channels], recipe.data.size, recipe.data.size)
    with torch.device("meta"):
        build_game(recipe, shape, _ANY_CLASSES, torch.device("meta"))


def is_proven(recipe: Recipe) -> bool:
    """Whether the recipe is a built-in one, but for what cannot make it impossible to build."""
    if recipe.name not in recipe_names():
        return False
    return _structure(recipe) == _structure(load_recipe(recipe.name))


def _structure(recipe: Recipe) -> dict[str, object]:
    return recipe.model_dump(
        include={
            "networks": True,
            "conditioning": True,
            "game": True,
            "regularizers": True,
            "data": {"size"},
            "training": {"precision"},
        }
    )
