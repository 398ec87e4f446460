"""Shapes, sizes and parameter counts of the networks; conditioning reaches both players."""

import pytest
import torch
from torch import nn

from gan_models.data.shape import DataShape, Size
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


def makes(name: str, size: Size) -> bool:
    """Whether a recipe is one of a latent family that makes images of this size."""
    family = FAMILIES[load_recipe(name).networks.generator.family]
    try:
        family.generator().maps(size)
    except RequestError:
        return False
    return not family.game


SHAPES = [(1, 8, 8), (3, 28, 28), (1, 48, 48), (3, 128, 128)]
LATENT_RECIPES = [name for name in recipe_names() if makes(name, Size.square(8))]


@pytest.mark.parametrize(
    ("name", "shape"), [(name, shape) for name in LATENT_RECIPES for shape in SHAPES if makes(name, Size.of(shape))]
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


def meta_counts(recipe: Recipe, shape: DataShape) -> tuple[int, int]:
    with torch.device("meta"):
        return parameters(build_generator(recipe, shape)), parameters(build_discriminator(recipe, shape))


def test_dcgan_has_the_parameters_of_the_authors_own_networks() -> None:
    """Kernels of 5x5, gains and shifts for each unit of the first layer, no bias anywhere (Radford's Theano code)."""
    own = [f"networks.{player}.{key}" for player in ("generator", "discriminator") for key in ("kernel=5", "bias=none")]
    widths = [
        f"networks.{player}.{key}"
        for player in ("generator", "discriminator")
        for key in ("width=128", "max_width=1024")
    ]
    recipe = load_recipe("dcgan", ["networks.latent=100", "networks.generator.flat_norm=true", *own, *widths])
    pairs = [(1024, 512), (512, 256), (256, 128)]
    hidden = sum(inputs * outputs * 25 for inputs, outputs in pairs)
    generator = 100 * 16384 + 2 * 16384 + hidden + 2 * (512 + 256 + 128) + 128 * 3 * 25
    discriminator = 3 * 128 * 25 + hidden + 2 * (256 + 512 + 1024) + 16384
    assert meta_counts(recipe, DataShape((3, 64, 64), 0)) == (generator, discriminator) == (18_885_760, 17_232_768)


@pytest.mark.parametrize("size", [28, 64])
def test_kernels_of_five_double_and_halve_as_those_of_four(size: int) -> None:
    own = ["networks.generator.kernel=5", "networks.discriminator.kernel=5", "networks.generator.flat_norm=true"]
    recipe, shape = small("dcgan", *own), DataShape((3, size, size), 0)
    images = build_generator(recipe, shape)(torch.randn(2, recipe.networks.latent))
    assert images.shape == (2, 3, size, size)
    assert build_discriminator(recipe, shape)(images).logits.shape == (2,)


@pytest.mark.parametrize("name", ["vanilla", "dcgan", "cgan-concat"])
def test_a_uniform_latent_is_the_normal_one_through_its_distribution_function(name: str) -> None:
    recipe = small(name, "networks.uniform=[-1, 3]", "networks.latent=64")
    generator = build_generator(recipe, DataShape((1, 8, 8), 3))
    seen = []
    generator.synthesize = lambda z, labels: seen.append(z) or torch.zeros(len(z), 1, 8, 8)  # type: ignore[method-assign]
    z = torch.randn(4000, 64)
    generator(z, torch.zeros(4000, dtype=torch.int64) if recipe.conditional else None)
    drawn = seen[0][:, :64]
    torch.testing.assert_close(drawn, -1 + 4 * torch.distributions.Normal(0.0, 1.0).cdf(z))
    assert drawn.min() >= -1
    assert drawn.max() <= 3
    shares = torch.histc(drawn, 10, -1, 3) / drawn.numel()
    assert (shares - 0.1).abs().max() < 0.005


def test_a_uniform_latent_is_refused_where_none_is_drawn() -> None:
    with pytest.raises(RequestError, match=r"networks.uniform=\[0.0, 1.0\]: cyclegan does not draw"):
        load_recipe("cyclegan", ["networks.uniform=[0, 1]"])


def test_dcgan_follows_the_paper_in_where_batch_norm_is() -> None:
    recipe = load_recipe("dcgan")
    trunk = list(build_discriminator(recipe, DataShape((1, 32, 32), 0)).trunk.children())
    assert [type(layer).__name__ for layer in trunk] == [
        "Conv2d", "LeakyReLU", "Conv2d", "BatchNorm2d", "LeakyReLU", "Conv2d", "BatchNorm2d", "LeakyReLU",
    ]  # fmt: skip
    layers = list(build_generator(recipe, DataShape((1, 32, 32), 0)).layers.children())
    assert [type(layer).__name__ for layer in layers[-2:]] == ["ConvTranspose2d", "Tanh"]


def test_both_terms_of_a_projection_are_of_the_same_summed_features() -> None:
    head = ProjectionHead(channels=5, num_classes=3)
    features, labels = torch.randn(2, 5, 2, 2), torch.tensor([2, 0])
    for i in range(2):
        h = [features[i, c].sum() for c in range(5)]
        linear = sum(weight * of for weight, of in zip(head.linear.linear.weight[0], h, strict=True))
        projected = sum(weight * of for weight, of in zip(head.embedding.weight[labels[i]], h, strict=True))
        torch.testing.assert_close(head(features, labels)[i], linear + head.linear.linear.bias[0] + projected)


def test_a_projection_is_of_the_sum_over_the_places_of_a_strided_trunk() -> None:
    """An image's features in other places are the same image to the head (Miyato, Koyama 2018, figure 1d)."""
    head = build_discriminator(load_recipe("cgan-projection"), DataShape((1, 32, 32), 10)).head
    features, label = torch.randn(1, 192, 4, 4), torch.tensor([3])
    torch.testing.assert_close(head(features.flip(2, 3), label), head(features, label), atol=1e-4, rtol=1e-4)


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
