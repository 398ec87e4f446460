"""The first GANs' perceptrons, ACGAN's and LSGAN's networks against their papers and their authors' public code."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from gan_models.data.shape import DataShape
from gan_models.data.table import Split
from gan_models.errors import RequestError
from gan_models.families.building import build_discriminator, build_generator
from gan_models.layers.noise import Dropout
from gan_models.recipes import load_recipe
from gan_models.recipes.schema import Recipe


def counts(recipe: Recipe, shape: DataShape) -> tuple[int, int]:
    with torch.device("meta"):
        players = build_generator(recipe, shape), build_discriminator(recipe, shape)
    generator, discriminator = (sum(parameter.numel() for parameter in player.parameters()) for player in players)
    return generator, discriminator


def dense(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


VANILLA = (
    "networks.latent=100",
    "networks.generator={family: mlp, norm: none, widths: [1200, 1200], output: sigmoid, init_range: 0.05}",
    "networks.discriminator={family: mlp, widths: [240, 240], pieces: [5, 5], input_dropout: 0.2, dropout: 0.5, "
    "init_range: 0.005}",
)
CONDITIONAL = (
    "networks.latent=100",
    "networks.generator={family: mlp, norm: none, widths: [200, 1200], class_width: 1000, output: sigmoid}",
    "networks.discriminator={family: mlp, widths: [240, 240], pieces: [5, 4], class_width: 50, dropout: 0.5}",
)


def test_the_first_gan_has_the_units_of_the_authors_code() -> None:
    recipe = load_recipe("vanilla", VANILLA)
    generator = dense(100, 1200) + dense(1200, 1200) + dense(1200, 784)
    discriminator = dense(784, 1200) + dense(240, 1200) + dense(240, 1)
    assert counts(recipe, DataShape((1, 28, 28), 0)) == (generator, discriminator) == (2_503_984, 1_231_441)


def test_the_first_gan_starts_within_the_bounds_and_drops_what_the_code_drops() -> None:
    recipe, shape = load_recipe("vanilla", VANILLA), DataShape((1, 28, 28), 0)
    generator, discriminator = build_generator(recipe, shape), build_discriminator(recipe, shape)
    for player, bound in ((generator, 0.05), (discriminator, 0.005)):
        for layer in player.modules():
            if isinstance(layer, nn.Linear):
                assert 0.9 * bound < layer.weight.abs().max() <= bound
                assert not layer.bias.any()
    assert [layer.share for layer in discriminator.modules() if isinstance(layer, Dropout)] == [0.2, 0.5, 0.5]
    images = generator(torch.randn(2, 100))
    assert images.shape == (2, 1, 28, 28)
    unbounded = generator.layers[:-1](torch.zeros(1, 100))
    torch.testing.assert_close(generator(torch.zeros(1, 100)).flatten(1), 2 * unbounded.sigmoid() - 1)


def test_the_last_bias_starts_at_the_log_odds_of_the_mean_pixels() -> None:
    recipe = load_recipe("vanilla/mnist")
    images = torch.randint(1, 255, (9000, 4, 4, 2), dtype=torch.uint8)
    images[:, 0, 0, 0] = 0
    generator = build_generator(recipe, DataShape((2, 4, 4), 0))
    generator.begin(Split(images, None, [""] * 9000))
    with torch.no_grad():
        generator.layers[-2].weight.zero_()
    drawn = generator(torch.randn(1, 100))[0]
    torch.testing.assert_close(drawn, images.double().mean(0).permute(2, 0, 1).float() / 127.5 - 1, rtol=0, atol=1e-5)
    assert generator.layers[-2].bias.min().item() == pytest.approx(math.log(1e-7), rel=1e-3)


def test_the_first_conditional_gan_has_the_layers_of_its_section_4_1() -> None:
    recipe = load_recipe("cgan-concat", CONDITIONAL)
    generator = dense(100, 200) + dense(10, 1000) + dense(1200, 1200) + dense(1200, 784)
    discriminator = dense(784, 240 * 5) + dense(10, 50 * 5) + dense(290, 240 * 4) + dense(240, 1)
    assert counts(recipe, DataShape((1, 28, 28), 10)) == (generator, discriminator)


def test_class_and_image_have_first_layers_of_their_own() -> None:
    torch.manual_seed(0)
    recipe, shape = load_recipe("cgan-concat", CONDITIONAL), DataShape((1, 8, 8), 3)
    generator, discriminator = build_generator(recipe, shape).eval(), build_discriminator(recipe, shape).eval()
    latents, labels = torch.randn(2, 100), torch.tensor([2, 0])
    one_hot = nn.functional.one_hot(labels, 3).float()
    hidden = torch.cat([generator.of_latent(latents), generator.of_class(one_hot)], dim=1)
    images = generator(latents, labels)
    torch.testing.assert_close(images, generator.layers(hidden).unflatten(1, (1, 8, 8)))
    entrance = discriminator.trunk[0]
    hidden = torch.cat([entrance.of_image(images), entrance.of_class(one_hot)], dim=1)
    torch.testing.assert_close(discriminator(images, labels).features, discriminator.trunk[1:](hidden))


@pytest.mark.parametrize(
    ("name", "override", "sentence"),
    [
        ("vanilla", "networks.generator.class_width=5", "there is no class to have a layer"),
        ("vanilla", "networks.discriminator.class_width=5", "there is no class to have a layer"),
        ("vanilla", "networks.discriminator.pieces=[5]", "give one number for each of the 3 widths"),
        ("acgan", "networks.generator={family: acgan, widths: [8, 4]}", "data.size=32 takes 3 doublings"),
    ],
)
def test_what_the_networks_cannot_be_is_refused_in_a_sentence(name: str, override: str, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        load_recipe(name, [override])


ACGAN = {32: (384, 192, 96), 128: (768, 384, 256, 192, 64)}


@pytest.mark.parametrize("size", ACGAN)
def test_acgan_has_the_layers_of_its_tables(size: int) -> None:
    widths, halves = ACGAN[size], (16, 32, 64, 128, 256, 512)
    players = [
        f"networks.generator={{family: acgan, widths: {list(widths)}}}",
        "networks.discriminator={family: acgan}",
    ]
    recipe = load_recipe("acgan", [f"data.size={size}", *players])
    ups = sum(inputs * outputs * 25 + 2 * outputs for inputs, outputs in pairwise(widths))
    generator = dense(110, widths[0] * 16) + ups + widths[-1] * 3 * 25 + 3
    downs = sum(inputs * outputs * 9 + 2 * outputs for inputs, outputs in pairwise(halves))
    discriminator = 3 * 16 * 9 + 16 + downs + dense(512 * (size // 8) ** 2, 1) + dense(512 * (size // 8) ** 2, 10)
    shape = DataShape((3, size, size), 10)
    assert counts(recipe, shape) == (generator, discriminator)
    images = build_generator(recipe, shape)(torch.randn(2, 100), torch.tensor([0, 9]))
    assert images.shape == (2, 3, size, size)
    output = build_discriminator(recipe, shape)(images, torch.tensor([0, 9]))
    assert output.class_logits is not None
    assert output.class_logits.shape == (2, 10)


def test_lsgan_has_the_parameters_of_the_authors_code() -> None:
    """Figure 1: two layers at each of the coarse maps; a bias in every layer, batch norm's own besides."""
    players = [
        "networks.generator={family: lsgan}",
        "networks.discriminator={family: dcgan, width: 64, kernel: 5, bias: all}",
    ]
    recipe = load_recipe("lsgan", ["data.size=112", "networks.latent=1024", *players])
    layers = [(256, 256)] * 4 + [(256, 128), (128, 64)]
    ups = sum(inputs * outputs * 9 + 3 * outputs for inputs, outputs in layers) + 64 * 3 * 9 + 3
    generator = dense(1024, 256 * 49) + 2 * 256 + ups
    downs = [(64, 128), (128, 256), (256, 512)]
    discriminator = 3 * 64 * 25 + 64 + sum(i * o * 25 + 3 * o for i, o in downs) + dense(512 * 49, 1)
    shape = DataShape((3, 112, 112), 0)
    assert counts(recipe, shape) == (generator, discriminator)
    narrow = load_recipe("lsgan", ["data.size=112", "networks.generator={family: lsgan, width: 8}"])
    assert build_generator(narrow, shape)(torch.randn(2, 100)).shape == (2, 3, 112, 112)
