"""Families of image-to-image networks and the game that each is trained by: neither goes with anything else."""

from __future__ import annotations

from gan_models.errors import RequestError
from gan_models.recipes.schema import Recipe

TRAINED_BY = {"cyclegan": "cycle", "attribute-transfer": "attribute-transfer", "colorization": "colorization"}


def check_procedure(recipe: Recipe, family: str) -> None:
    """Refuses another game than the family's own, other networks in that game, and class labels, which it cannot take.

    Raises:
        RequestError: with the remedy.
    """
    kind = TRAINED_BY[family]
    if recipe.game.kind != kind:
        raise RequestError(
            f"networks of the family {family} are trained by game.kind={kind}, not {recipe.game.kind}: set that, or "
            "choose other networks"
        )
    for player, spec in (("generator", recipe.networks.generator), ("discriminator", recipe.networks.discriminator)):
        if spec.family != family:
            raise RequestError(
                f"networks.{player}.family={spec.family}: game.kind={kind} trains the family {family} only"
            )
    if recipe.conditioning.generator != "none" or recipe.conditioning.discriminator != "none":
        raise RequestError(f"{family} takes images, not class labels: leave the conditioning section out")
