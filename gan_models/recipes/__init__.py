"""Recipes: every GAN of the field as one YAML, validated by `gan_models.recipes.schema`.

Importing this package costs pydantic and PyYAML, not torch.
"""

from gan_models.recipes.loading import (
    counted_parameters,
    load_recipe,
    model_document,
    preset_names,
    recipe_digest,
    recipe_names,
    recipe_text,
)
from gan_models.recipes.schema import Recipe

__all__ = [
    "Recipe",
    "counted_parameters",
    "load_recipe",
    "model_document",
    "preset_names",
    "recipe_digest",
    "recipe_names",
    "recipe_text",
]
