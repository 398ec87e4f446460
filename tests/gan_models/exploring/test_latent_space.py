"""Places in latent space: the same pictures as `sample`, and what is done with them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.exploring.latent_space import LatentSpace, combined, save_animation, walk
from gan_models.families.building import build_generator
from gan_models.recipes import Recipe
from gan_models.sampling.generator import GeneratorInfo, LoadedGenerator
from gan_models.tasks.text import examples_of

WORDS = ("red", "blue", "circle")


def loaded(recipe: Recipe, info: GeneratorInfo) -> LoadedGenerator:
    torch.manual_seed(1)
    module = build_generator(recipe, info.shape).eval()
    # Fresh networks draw next to nothing: louder ones tell their inputs apart.
    for parameter in module.parameters():
        parameter.data *= 3
    return LoadedGenerator(module, recipe, info, torch.device("cpu"))


@pytest.fixture(scope="module")
def conditional(small_recipe: Callable[..., Recipe]) -> LatentSpace:
    recipe = small_recipe("cgan-projection")
    return LatentSpace(loaded(recipe, facts(recipe, class_names=("cat", "dog", "owl"))))


@pytest.fixture(scope="module")
def illustrating(small_recipe: Callable[..., Recipe]) -> LatentSpace:
    recipe = small_recipe("stackgan")
    return LatentSpace(loaded(recipe, facts(recipe, words=WORDS)))


def facts(recipe: Recipe, **what: tuple[str, ...]) -> GeneratorInfo:
    channels, size = 3 if recipe.name == "stackgan" else 1, recipe.data.size
    return GeneratorInfo(
        recipe_name=recipe.name, image_shape=(channels, *size), step=1, seed=0, data_fingerprint="f",
        diversity=1.0, collapsed=False, **({"class_names": ()} | what),
    )  # fmt: skip


@pytest.mark.parametrize("truncation", [None, 0.5])
def test_a_seed_is_the_first_image_that_sample_draws_of_it(conditional: LatentSpace, truncation: float | None) -> None:
    for seed, name, label in ((0, "cat", 0), (7, "owl", 2)):
        expected = conditional.generator.sample(1, seed=seed, labels=torch.tensor([label]), truncation=truncation)
        latents = conditional.latents([seed], truncation)
        assert torch.equal(latents, expected.inputs["latents"])
        assert torch.equal(conditional.images(latents, [name]), expected.images)


def test_so_it_is_for_a_caption(illustrating: LatentSpace) -> None:
    generator = illustrating.generator
    expected = generator.sample(1, seed=4, examples=examples_of(["blue circle"], generator.info))
    assert torch.equal(illustrating.images(illustrating.latents([4]), ["blue circle"]), expected.images)
    assert illustrating.first_condition == "red"
    with pytest.raises(RequestError, match="unknown word 'blu': did you mean 'blue'"):
        illustrating.images(illustrating.latents([4]), ["blu circle"])


def test_what_is_not_known_is_a_sentence(conditional: LatentSpace) -> None:
    with pytest.raises(RequestError, match="unknown class 'dig': did you mean 'dog'"):
        conditional.images(conditional.latents([0]), ["dig"])
    with pytest.raises(RequestError, match="truncation 0"):
        conditional.latents([0], 0.0)


def test_amounts_are_standard_deviations_along_the_directions(conditional: LatentSpace) -> None:
    latent, vectors = conditional.latents([3])[0], conditional.directions.vectors
    assert torch.equal(conditional.moved(latent, [0.0] * len(vectors)), latent)
    moved = conditional.moved(latent, [2.0, 0.0, -1.0])
    torch.testing.assert_close(moved - latent, 2 * vectors[0] - vectors[2])
    many = conditional.latents(range(2000)) @ vectors.T
    torch.testing.assert_close(many.std(0), torch.ones(len(vectors)), atol=0.08, rtol=0)


def test_rows_of_a_grid_have_the_seeds_of_its_columns(conditional: LatentSpace) -> None:
    def one(seed: int, name: str, truncation: float | None) -> Tensor:
        return conditional.images(conditional.latents([seed], truncation), [name])[0]

    classes = conditional.grid(5, 4, "classes", 9, "cat", 0.8)
    assert classes.rows == ("cat", "dog", "owl")
    assert near(classes.images[4 * 2 + 3], one(8, "owl", 0.8))
    seeds = conditional.grid(5, 4, "seeds", 2, "dog", None)
    assert seeds.rows == ("5", "9")
    assert near(seeds.images[4 + 1], one(10, "dog", None))
    truncated = conditional.grid(5, 4, "truncation", 9, "dog", None)
    assert truncated.rows == ("0.1", "0.3", "0.5", "0.8", "1.2", "none")
    assert near(truncated.images[1], one(6, "dog", 0.1))
    assert near(truncated.images[-3], one(6, "dog", None))
    with pytest.raises(RequestError, match="100 x 20 images: expected from 1 to 400"):
        conditional.grid(0, 100, "seeds", 20, "dog", None)


def near(images: Tensor, others: Tensor) -> bool:
    """Equal but for rounding, which another size of the batch may change."""
    return int((images.int() - others.int()).abs().max()) <= 1


def test_a_walk_stays_on_the_sphere() -> None:
    start, end = torch.tensor([2.0, 0.0, 0.0]), torch.tensor([0.0, 2.0, 0.0])
    way = walk(start, end, 3)
    root = math.sqrt(2.0)
    torch.testing.assert_close(way, torch.tensor([[2.0, 0.0, 0.0], [root, root, 0.0], [0.0, 2.0, 0.0]]))
    with pytest.raises(RequestError, match="1 steps"):
        walk(start, end, 1)


def test_a_sum_is_as_long_as_its_terms() -> None:
    a, b, c = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 1.0]), torch.tensor([0.0, 2.0])
    torch.testing.assert_close(combined(a, b, c), 2.0 * torch.tensor([3.0, 1.0]) / math.sqrt(10.0))
    torch.testing.assert_close(combined(a, a, c), 8.0 / 3.0 * torch.tensor([0.0, 1.0]))  # (3 + 3 + 2) / 3 long
    assert torch.equal(combined(a, a, torch.zeros(2)), torch.zeros(2))


def test_an_animation_goes_there_and_back(tmp_path: Path) -> None:
    images = torch.tensor([0, 100, 250], dtype=torch.uint8).reshape(3, 1, 1, 1).expand(3, 2, 2, 1).contiguous()
    save_animation(images, tmp_path / "a.gif", scale=4)
    with Image.open(tmp_path / "a.gif") as film:
        assert (film.size, film.n_frames, film.info["loop"]) == ((8, 8), 4, 0)
        shades = []
        for frame in range(4):
            film.seek(frame)
            shades.append(film.convert("L").getpixel((3, 3)))
    assert shades == [0, 100, 250, 100]


def test_shape_of_the_text_generator(illustrating: LatentSpace) -> None:
    info = illustrating.generator.info
    assert info.shape == DataShape(info.image_shape, 0, 0, len(WORDS), WORDS)
    # Stage I's first layer behind the text hears latents and noise of the condition, not the text alone.
    assert illustrating.directions.layer == "first.project"
