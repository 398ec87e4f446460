"""Networks, one file for each family; a recipe's `networks` section is built here.

A family is a module with `build_generator`, `build_discriminator` and `check_size`.
"""

from __future__ import annotations

from types import ModuleType

from gan_models.networks import dcgan, mlp
from gan_models.networks.interfaces import Discriminator, DiscriminatorOutput, Generator
from gan_models.recipes.schema import Recipe

__all__ = ["Discriminator", "DiscriminatorOutput", "Generator", "build_discriminator", "build_generator"]

_FAMILIES: dict[str, ModuleType] = {"dcgan": dcgan, "mlp": mlp}


def build_generator(recipe: Recipe, image_shape: tuple[int, int, int], num_classes: int) -> Generator:
    """The recipe's generator for images [C, H, W], freshly initialised from torch's global random state.

    Raises:
        RequestError: the family cannot make images of this size.
    """
    spec = recipe.networks.generator
    family = _FAMILIES[spec.family]
    family.check_size(image_shape[1])
    classes = num_classes if recipe.conditional else 0
    generator: Generator = family.build_generator(spec, recipe.networks.latent, classes, image_shape)
    return generator


def build_discriminator(recipe: Recipe, image_shape: tuple[int, int, int], num_classes: int) -> Discriminator:
    """The recipe's discriminator; arguments and errors as `build_generator`."""
    spec = recipe.networks.discriminator
    family = _FAMILIES[spec.family]
    family.check_size(image_shape[1])
    discriminator: Discriminator = family.build_discriminator(
        spec, num_classes if recipe.conditional else 0, image_shape
    )
    return discriminator
