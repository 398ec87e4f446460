"""Images that are not square, in every family: played with for a step, and refused where they cannot be made."""

from collections.abc import Callable

import pytest
import torch

from gan_models.data.shape import Size
from gan_models.errors import RequestError
from gan_models.families.building import build_generator
from gan_models.families.resolutions import plan
from gan_models.games.base import Batch, build_game
from gan_models.games.colorization.game import random_parts
from gan_models.games.counting import made_for_shape
from gan_models.recipes import load_recipe, recipe_names
from gan_models.recipes.schema import Recipe
from gan_models.sampling.draws import Draws
from gan_models.training.estimating import made_up

SmallRecipe = Callable[..., Recipe]


@pytest.mark.parametrize("size", [Size(16, 24), Size(32, 16)], ids=str)
@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_makes_and_judges_oblong_images(name: str, size: Size, small_recipe: SmallRecipe) -> None:
    recipe = small_recipe(name, f"data.size={size}", "training.batch_size=4")
    shape = made_for_shape(recipe)
    shape = shape._replace(image=(3, *size), classes=min(shape.classes, 3))
    torch.manual_seed(0)
    game = build_game(recipe, shape, torch.device("cpu"))
    split = made_up(recipe, shape, torch.device("cpu"), 64)
    game.prepare(split, 0)
    batch = Batch.of(split, torch.arange(4), recipe.needs)
    figures = game.step(lambda: batch, report=True)
    assert all(torch.isfinite(value) for value in figures.values())
    generator = game.generator.eval()
    labels = torch.arange(4) % 3 if generator.num_classes else None
    made = generator(**generator.draw_inputs(Draws(0, 4), labels=labels, examples=split))
    assert made.shape == (4, 3, *size)


@pytest.mark.parametrize("name", ["dcgan", "stylegan2-ada", "pix2pix"])
def test_images_may_have_a_fourth_channel(name: str, small_recipe: SmallRecipe) -> None:
    recipe = small_recipe(name, "data.size=16", "training.batch_size=4", "data.channels=rgba")
    shape = made_for_shape(recipe)._replace(image=(4, 16, 16))
    torch.manual_seed(0)
    game = build_game(recipe, shape, torch.device("cpu"))
    split = made_up(recipe, shape, torch.device("cpu"), 8)
    game.prepare(split, 0)
    batch = Batch.of(split, torch.arange(4), recipe.needs)
    assert all(torch.isfinite(value) for value in game.step(lambda: batch, report=True).values())


@pytest.mark.parametrize("name", [name for name in recipe_names() if name != "vanilla"])
def test_every_convolution_refuses_a_side_that_it_cannot_double_to(name: str, small_recipe: SmallRecipe) -> None:
    """In a sentence that names a size which it takes."""
    with pytest.raises(RequestError) as caught:
        small_recipe(name, "data.size=[16, 27]")
    sentence = str(caught.value)
    assert "[16, 27]" in sentence
    assert "\n" not in sentence


def test_a_refused_size_comes_with_one_that_can_be_made() -> None:
    with pytest.raises(RequestError, match=r"data.size=\[32, 50\]: .* multiples of 8: use data.size=\[32, 48\]"):
        plan(Size(32, 50), "dcgan")
    assert plan(Size(32, 48), "dcgan") == (Size(4, 6), 3)
    with pytest.raises(
        RequestError, match=r"data.size=\[33, 66\]: .* the nearest shorter sides it can make are 28 and"
    ):
        plan(Size(33, 66), "dcgan")


def test_maps_of_oblong_images_are_named_by_their_shorter_side(small_recipe: SmallRecipe) -> None:
    recipe = small_recipe("sagan", "data.size=[32, 64]", "networks.generator.attention=[16]")
    shape = made_for_shape(recipe)._replace(image=(1, 32, 64))
    seen: list[tuple[int, ...]] = []
    generator = build_generator(recipe, shape).eval()
    for module in generator.modules():
        if type(module).__name__ == "SelfAttention2d":
            module.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[2:])))
    labels = torch.zeros(2, dtype=torch.int64) if recipe.conditional else None
    generator(torch.randn(2, recipe.networks.latent), labels)
    assert seen == [(16, 32)]


def test_weights_of_square_networks_are_what_they_were(small_recipe: SmallRecipe) -> None:
    """An oblong network has more places on its coarsest map, and nothing else is another."""
    square, oblong = (
        {
            name: weights.shape
            for name, weights in build_generator(
                small_recipe("dcgan", f"data.size={size}"), made_for_shape(load_recipe("dcgan"))._replace(image=shape)
            ).named_parameters()
        }
        for size, shape in (("32", (1, 32, 32)), ("[32, 64]", (1, 32, 64)))
    )
    others = {name for name in square if square[name] != oblong[name]}
    assert {name.partition(".")[0] for name in others} == {"project"}


def test_random_parts_of_oblong_images_are_about_square_in_pixels() -> None:
    """The gradient of a ramp across tells how wide a part was, in pixels; likewise down."""
    torch.manual_seed(0)
    height, width = 32, 128
    across = torch.arange(width, dtype=torch.float32).expand(400, 1, height, width)
    down = torch.arange(height, dtype=torch.float32)[:, None].expand(400, 1, height, width)
    torch.manual_seed(1)
    wide = random_parts(across, 16)
    torch.manual_seed(1)
    high = random_parts(down, 16)
    widths = wide[:, 0, 8, 12] - wide[:, 0, 8, 4]
    heights = high[:, 0, 12, 8] - high[:, 0, 4, 8]
    inside = heights < 15.5  # not cut at the image's own height
    assert inside.sum() > 50
    assert 0.7 < (widths / heights)[inside].median() < 1.4
