"""How large a recipe's networks are, counted from the networks themselves."""

import torch
from torch import nn

from gan_models.data.shape import CHANNELS, DataShape
from gan_models.games.base import build_game
from gan_models.recipes.made_for import MadeFor
from gan_models.recipes.schema import Recipe


def count_parameters(network: nn.Module) -> int:
    """Numbers that are trained."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def parameters_of(recipe: Recipe, shape: DataShape | None = None) -> dict[str, dict[str, int]]:
    """For each player the numbers of its networks by their names, one or several.

    Built on the meta device: nothing is allocated, whatever the size.

    Args:
        shape: of the images; those that the recipe was made for if None.
    """
    meta = torch.device("meta")
    with meta:
        game = build_game(recipe, shape or made_for_shape(recipe), meta)
        return {
            player: {name: count_parameters(network) for name, network in networks.items()}
            for player, networks in game.networks().items()
        }


def made_for_shape(recipe: Recipe) -> DataShape:
    """The shape of the data that a recipe was made for; of people's own, photographs with what it needs."""
    needs = recipe.needs
    made_for = recipe.made_for or MadeFor(
        data="photographs",
        channels=CHANNELS.get(recipe.data.channels, 3),
        classes=10 if "labels" in needs else 0,
        domains=2 if "domains" in needs else 0,
        words=100 if "captions" in needs else 0,
        attributes=5 if "attributes" in needs else 0,
        embedding=1024 if "embeddings" in needs else 0,
    )
    return DataShape(
        (made_for.channels, *recipe.data.size),
        classes=made_for.classes,
        domains=made_for.domains,
        words=made_for.words,
        vocabulary=tuple(f"word {number}" for number in range(made_for.words)),
        attributes=made_for.attributes,
        embedding=made_for.embedding,
    )
