"""Styles explored: the same pictures as `sample`, straight lines, sums, main directions, and layers of two."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from gan_models.errors import RequestError
from gan_models.exploring.latent_space import LatentSpace
from gan_models.exploring.style_space import StyleSpace, space_of
from gan_models.families.building import build_generator
from gan_models.recipes import Recipe
from gan_models.sampling.generator import GeneratorInfo, LoadedGenerator

CLASSES = ("cat", "dog", "owl")


@pytest.fixture(scope="module")
def space(small_recipe: Callable[..., Recipe]) -> StyleSpace:
    recipe = small_recipe("stylegan2-ada", "conditioning={generator: embedding, discriminator: projection}")
    info = GeneratorInfo(
        recipe_name=recipe.name, image_shape=(1, 8, 8), step=1, seed=0, data_fingerprint="f", diversity=1.0,
        collapsed=False, class_names=CLASSES,
    )  # fmt: skip
    torch.manual_seed(1)
    module = build_generator(recipe, info.shape).eval()
    module.average.normal_()
    found = space_of(LoadedGenerator(module, recipe, info, torch.device("cpu")))
    assert isinstance(found, StyleSpace)
    return found


@pytest.mark.parametrize("truncation", [None, 0.5, 0.0])
def test_a_seed_is_the_first_image_that_sample_draws_of_it(space: StyleSpace, truncation: float | None) -> None:
    for seed, name, label in ((0, "cat", 0), (7, "owl", 2)):
        expected = space.generator.sample(1, seed=seed, labels=torch.tensor([label]), truncation=truncation).images
        found = space.images(space.latents([seed], truncation, name), [name])
        assert int((found.int() - expected.int()).abs().max()) <= 1
    with pytest.raises(RequestError, match="a share from 0 to 2 of the way"):
        space.latents([0], 3.0)
    with pytest.raises(RequestError, match="unknown class 'dig'"):
        space.latents([0], None, "dig")


def test_amounts_are_standard_deviations_along_uncorrelated_directions(space: StyleSpace) -> None:
    vectors, shares = space.directions.vectors, space.directions.shares
    styles = space.latents(range(3000), condition="cat")
    assert torch.equal(space.moved(styles[0], [0.0] * len(vectors)), styles[0])
    along = (styles - styles.mean(0)) @ (vectors / vectors.square().sum(1, keepdim=True)).T
    torch.testing.assert_close(along.T.cov(correction=0), torch.eye(len(vectors)), atol=0.1, rtol=0)
    assert (shares.diff() <= 0).all()


def test_walks_are_straight_and_sums_are_sums(space: StyleSpace) -> None:
    a, b, c = space.latents([1, 2, 3])
    way = space.walk(a, b, 3)
    torch.testing.assert_close(way, torch.stack([a, (a + b) / 2, b]))
    assert torch.equal(space.combined(a, b, c), a - b + c)
    with pytest.raises(RequestError, match="1 steps"):
        space.walk(a, b, 1)


def test_a_grid_mixes_coarse_layers_of_columns_with_fine_ones_of_rows(space: StyleSpace) -> None:
    layers = space.module.layers
    grid = space.grid(4, 3, "mixing", 2, "dog", None)
    assert (len(grid.images), grid.columns, grid.rows) == (6, 3, ("7", "8"))
    column, row = space.latents([5, 8], condition="dog")
    styles = torch.stack([column if layer < layers // 2 else row for layer in range(layers)])
    expected = space.images(styles[None], ["dog"])[0]
    assert int((grid.images[3 + 1].int() - expected.int()).abs().max()) <= 1
    with pytest.raises(RequestError, match="500 x 2 images"):
        space.grid(4, 500, "mixing", 2, "dog", None)
    assert space.grid(4, 2, "truncation", 2, "dog", None).rows == ("0", "0.3", "0.5", "0.7", "0.85", "none")
    assert space.grid(4, 2, "classes", 2, "dog", 0.7).rows == CLASSES


def test_other_generators_have_latents(small_recipe: Callable[..., Recipe], space: StyleSpace) -> None:
    recipe = small_recipe("dcgan")
    module = build_generator(recipe, space.generator.info.shape)
    plain = space_of(LoadedGenerator(module, recipe, space.generator.info, torch.device("cpu")))
    assert type(plain) is LatentSpace
