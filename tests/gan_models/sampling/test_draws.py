"""A seed and a number are an image: whatever else is drawn beside it, and however."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from scipy.stats import kstest

from gan_models.data.shape import DataShape
from gan_models.data.table import Split
from gan_models.families.building import build_generator
from gan_models.recipes import Recipe, recipe_names
from gan_models.sampling.draws import Draws
from gan_models.sampling.generator import GeneratorInfo, LoadedGenerator
from gan_models.tasks.text import examples_of

WORDS = ("a", "blue", "red", "square")


def test_what_an_image_is_given_depends_on_seed_and_number_alone() -> None:
    many, few, later = Draws(5, 40), Draws(5, 3), Draws(5, 10, first=30)
    for shape in ((128,), (3,), (64, 2)):
        normal = many.normal(*shape)
        assert torch.equal(few.normal(*shape), normal[:3])
        assert torch.equal(later.normal(*shape), normal[30:])
    assert torch.equal(few.uniform(), many.uniform()[:3])
    assert not torch.equal(Draws(6, 3).normal(128), Draws(5, 3).normal(128))
    assert len({float(value) for value in Draws(5, 10_000).normal()}) > 9_990  # no image twice
    calls = Draws(5, 2)
    assert not torch.equal(calls.normal(8), calls.normal(8))


def test_numbers_are_those_of_the_distributions_within_an_image_and_across() -> None:
    draws = Draws(0, 2000)
    normal, uniform = draws.normal(50), draws.uniform(50)
    for numbers in (normal.flatten(), normal[:, 0], normal[7]):
        assert kstest(numbers.numpy(), "norm").pvalue > 0.001
    assert kstest(uniform.flatten().numpy(), "uniform").pvalue > 0.001
    neighbours = torch.stack([normal[:-1].flatten(), normal[1:].flatten()])
    assert abs(float(torch.corrcoef(neighbours)[0, 1])) < 0.01


@pytest.fixture
def loaded(small_recipe: Callable[..., Recipe]) -> Callable[[str], LoadedGenerator]:
    def loaded(name: str) -> LoadedGenerator:
        recipe = small_recipe(name)
        size = recipe.data.size
        domains = (2 if name == "cyclegan" else 3) if "domains" in recipe.needs else 0
        words = len(WORDS) if "captions" in recipe.needs else 0
        channels = 3 if {"domains", "captions"} & recipe.needs or name == "colorization" else 1
        torch.manual_seed(0)
        classes = ("a", "b", "c")
        shape = DataShape((channels, size, size), 3, domains, words, WORDS[:words])
        module = build_generator(recipe, shape).eval()
        info = GeneratorInfo(
            recipe_name=name, image_shape=shape.image, class_names=classes, domain_names=classes[:domains],
            words=WORDS[:words], step=1, seed=0, data_fingerprint="f", diversity=1.0, collapsed=False,
        )  # fmt: skip
        pixels = torch.randint(0, 256, (5, size, size, channels), generator=torch.Generator().manual_seed(1))
        examples = Split(pixels.to(torch.uint8), None, [""] * 5, torch.arange(5) % domains if domains else None)
        if words:
            examples = examples_of(["a red square", "a blue square"], info)
        return LoadedGenerator(module, recipe, info, torch.device("cpu"), examples if module.needs_examples else None)

    return loaded


@pytest.mark.parametrize("name", recipe_names())
def test_an_image_of_any_recipe_is_the_same_among_few_and_among_many(
    name: str, loaded: Callable[[str], LoadedGenerator]
) -> None:
    generator = loaded(name)
    many, few = generator.sample(23, seed=9), generator.sample(4, seed=9, batch_size=3)
    assert many.inputs.keys() == few.inputs.keys()
    for given, tensor in many.inputs.items():
        assert torch.equal(few.inputs[given], tensor[:4]), given
    assert (few.images.int() - many.images[:4].int()).abs().max() <= 1
    if "latents" in many.inputs:
        cut = [generator.sample(num, seed=9, truncation=0.5).inputs["latents"] for num in (23, 4)]
        assert torch.equal(cut[1], cut[0][:4])
