"""Refuses recipes that cannot be built before anything is prepared for them."""

from __future__ import annotations

from gan_models.recipes import Recipe

_CHANNELS = {"grey": 1, "auto": 1, "rgb": 3}
_ANY_CLASSES, _ANY_DOMAINS, _ANY_WORDS = 10, 2, 50


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
