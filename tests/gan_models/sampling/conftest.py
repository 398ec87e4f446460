"""A generator of any recipe, small and untrained, with pixels that differ."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from gan_models.data.shape import DataShape
from gan_models.data.table import Split
from gan_models.families.building import build_generator
from gan_models.recipes import Recipe
from gan_models.sampling.generator import GeneratorInfo, LoadedGenerator
from gan_models.tasks.text import examples_of

WORDS = ("a", "blue", "red", "square")


@pytest.fixture
def loaded(small_recipe: Callable[..., Recipe]) -> Callable[..., LoadedGenerator]:
    """A recipe's name and overrides to a generator; what it needs of the data comes with it."""

    def loaded(name: str, *overrides: str) -> LoadedGenerator:
        recipe = small_recipe(name, *overrides)
        size = recipe.data.size
        domains = (2 if name == "cyclegan" else 3) if "domains" in recipe.needs else 0
        words = len(WORDS) if "captions" in recipe.needs else 0
        channels = 3 if {"domains", "captions"} & recipe.needs or name == "colorization" else 1
        torch.manual_seed(0)
        classes = ("a", "b", "c")
        shape = DataShape((channels, *size), 3, domains, words, WORDS[:words])
        module = build_generator(recipe, shape).eval()
        info = GeneratorInfo(
            recipe_name=name, image_shape=shape.image, class_names=classes, domain_names=classes[:domains],
            words=WORDS[:words], step=1, seed=0, data_fingerprint="f", diversity=1.0, collapsed=False,
        )  # fmt: skip
        pixels = torch.randint(0, 256, (5, *size, channels), generator=torch.Generator().manual_seed(1))
        examples = Split(pixels.to(torch.uint8), None, [""] * 5, torch.arange(5) % domains if domains else None)
        if words:
            examples = examples_of(["a red square", "a blue square"], info)
        return LoadedGenerator(module, recipe, info, torch.device("cpu"), examples if module.needs_examples else None)

    return loaded
