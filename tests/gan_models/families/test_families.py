"""Shapes, sizes and parameter counts of the networks; conditioning reaches both players."""

import pytest
import torch
from torch import nn

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.families import FAMILIES
from gan_models.families.building import build_discriminator, build_generator
from gan_models.families.resolutions import SIZES
from gan_models.layers.heads import ProjectionHead
from gan_models.recipes import load_recipe, recipe_names
from gan_models.recipes.schema import Recipe


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def small(name: str, *overrides: str) -> Recipe:
    """A recipe with narrow networks and without attention, whose maps are for the recipe's own size of image."""
    players = load_recipe(name).networks
    narrow = [
        f"networks.{player}.{setting}"
        for player, spec in (("generator", players.generator), ("discriminator", players.discriminator))
        for setting in ("width=4", "attention=[]")
        if setting.partition("=")[0] in type(spec).model_fields
    ]
    return load_recipe(name, [*narrow, *overrides])


def makes(name: str, size: int) -> bool:
    """Whether a recipe is one of a latent family that makes images of this size."""
    family = FAMILIES[load_recipe(name).networks.generator.family]
    try:
        family.generator().maps(size)
    except RequestError:
        return False
    return not family.game


SHAPES = [(1, 8, 8), (3, 28, 28), (1, 48, 48), (3, 128, 128)]
LATENT_RECIPES = [name for name in recipe_names() if makes(name, 8)]


@pytest.mark.parametrize(
    ("name", "shape"), [(name, shape) for name in LATENT_RECIPES for shape in SHAPES if makes(name, shape[1])]
)
def test_images_and_logits_have_the_shape_asked_for(name: str, shape: tuple[int, int, int]) -> None:
    recipe = small(name)
    generator, discriminator = (
        build_generator(recipe, DataShape(shape, 3)),
        build_discriminator(recipe, DataShape(shape, 3)),
    )
    labels = torch.tensor([0, 1, 2, 0]) if recipe.conditional else None
    images = generator.eval()(torch.randn(4, recipe.networks.latent), labels)
    assert images.shape == (4, *shape)
    assert images.abs().max() <= 1
    output = discriminator(images, labels)
    assert output.logits.shape == (4,)
    assert len(output.features) == 4


def test_mlp_takes_sizes_that_no_convolution_divides() -> None:
    recipe = load_recipe("vanilla")
    assert build_generator(recipe, DataShape((1, 37, 37), 0))(torch.randn(2, recipe.networks.latent)).shape == (
        2,
        1,
        37,
        37,
    )


@pytest.mark.parametrize("size", SIZES)
def test_dcgan_makes_every_size_it_lists(size: int) -> None:
    recipe = load_recipe("dcgan", ["networks.generator.width=2", "networks.discriminator.width=2"])
    generator = build_generator(recipe, DataShape((1, size, size), 0))
    assert generator(torch.randn(2, generator.latent)).shape == (2, 1, size, size)


def test_dcgan_names_the_nearest_sizes_it_can_make() -> None:
    with pytest.raises(RequestError, match=r"data.size=30: .*nearest sizes it can make are 28 and 32"):
        load_recipe("dcgan", ["data.size=30"])


def test_dcgan_has_the_parameters_of_the_published_networks() -> None:
    """The 64x64 networks of the paper's public code: G 3,576,704 and D 2,765,568 (nz 100, width 64, RGB).

    Ours adds biases where no batch norm follows: 3 in G's last layer, 64 in D's first, 1 in its last.
    """
    widths = ["networks.generator.width=64", "networks.discriminator.width=64"]
    recipe = load_recipe("dcgan", ["networks.latent=100", *widths])
    assert parameters(build_generator(recipe, DataShape((3, 64, 64), 0))) == 3_576_704 + 3
    assert parameters(build_discriminator(recipe, DataShape((3, 64, 64), 0))) == 2_765_568 + 64 + 1


def test_dcgan_follows_the_paper_in_where_batch_norm_is() -> None:
    recipe = load_recipe("dcgan")
    trunk = list(build_discriminator(recipe, DataShape((1, 32, 32), 0)).trunk.children())
    assert [type(layer).__name__ for layer in trunk] == [
        "Conv2d", "LeakyReLU", "Conv2d", "BatchNorm2d", "LeakyReLU", "Conv2d", "BatchNorm2d", "LeakyReLU",
    ]  # fmt: skip
    layers = list(build_generator(recipe, DataShape((1, 32, 32), 0)).layers.children())
    assert [type(layer).__name__ for layer in layers[-2:]] == ["ConvTranspose2d", "Tanh"]


def test_projection_adds_the_embedding_times_the_summed_features() -> None:
    head = ProjectionHead(channels=5, positions=4, num_classes=3)
    features, labels = torch.randn(2, 5, 2, 2), torch.tensor([2, 0])
    expected = [
        head.linear(features)[i] + sum(head.embedding.weight[labels[i], c] * features[i, c].sum() for c in range(5))
        for i in range(2)
    ]
    torch.testing.assert_close(head(features, labels), torch.stack(expected))


def test_labels_change_what_a_conditional_generator_draws_and_are_demanded() -> None:
    recipe = load_recipe("cgan-projection")
    generator = build_generator(recipe, DataShape((1, 8, 8), 10)).eval()
    latents = torch.randn(1, recipe.networks.latent)
    assert not torch.equal(generator(latents, torch.tensor([0])), generator(latents, torch.tensor([1])))
    with pytest.raises(ValueError, match="pass labels"):
        generator(latents)


@pytest.mark.parametrize("name", [name for name in LATENT_RECIPES if name not in ("pggan", "r3gan")])  # they refuse it
def test_spectral_norm_bounds_every_layer_of_d(name: str) -> None:
    torch.manual_seed(0)
    unclipped = ["game.weight_clip=null"] if name == "wgan" else []
    bounded = ["networks.discriminator.norm=none", "networks.discriminator.spectral_norm=true"]
    recipe = small(name, *bounded, *unclipped)
    discriminator = build_discriminator(recipe, DataShape((1, 8, 8), 3))
    for _ in range(50):
        discriminator(torch.randn(4, 1, 8, 8), torch.tensor([0, 1, 2, 0]))
    for module in discriminator.eval().modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.Embedding):
            norm = torch.linalg.matrix_norm(module.weight.detach().flatten(1), ord=2)
            assert norm.item() == pytest.approx(1, abs=2e-2)
