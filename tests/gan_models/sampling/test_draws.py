"""A seed and a number are an image: whatever else is drawn beside it, and however."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from scipy.stats import kstest

from gan_models.recipes import recipe_names
from gan_models.sampling.draws import Draws
from gan_models.sampling.generator import LoadedGenerator


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


def test_seeds_side_by_side_are_each_ones_image_0() -> None:
    seeds = (7, 0, 2**31 - 1, 5)
    together = Draws.of_seeds(seeds)
    first, second = together.normal(9), together.uniform(4)
    for place, seed in enumerate(seeds):
        alone = Draws(seed, 1)
        assert torch.equal(alone.normal(9)[0], first[place])
        assert torch.equal(alone.uniform(4)[0], second[place])


def test_numbers_are_those_of_the_distributions_within_an_image_and_across() -> None:
    draws = Draws(0, 2000)
    normal, uniform = draws.normal(50), draws.uniform(50)
    for numbers in (normal.flatten(), normal[:, 0], normal[7]):
        assert kstest(numbers.numpy(), "norm").pvalue > 0.001
    assert kstest(uniform.flatten().numpy(), "uniform").pvalue > 0.001
    neighbours = torch.stack([normal[:-1].flatten(), normal[1:].flatten()])
    assert abs(float(torch.corrcoef(neighbours)[0, 1])) < 0.01


@pytest.mark.parametrize("name", recipe_names())
def test_an_image_of_any_recipe_is_the_same_among_few_and_among_many(
    name: str, loaded: Callable[..., LoadedGenerator]
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


@pytest.mark.parametrize("name", ["cgan-projection", "stackgan", "cyclegan", "colorization"])
def test_images_from_a_number_on_are_those_of_the_whole(name: str, loaded: Callable[..., LoadedGenerator]) -> None:
    generator = loaded(name)
    whole, later = generator.sample(23, seed=9), generator.sample(6, seed=9, first=17)
    for given, tensor in whole.inputs.items():
        assert torch.equal(later.inputs[given], tensor[17:]), given
    assert (later.images.int() - whole.images[17:].int()).abs().max() <= 1
    if whole.sources is not None and later.sources is not None:
        assert torch.equal(later.sources, whole.sources[17:])
