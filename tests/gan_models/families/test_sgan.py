"""The networks of semi-supervised learning against the authors' public code, layer by layer and in numbers."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from torch import nn

from gan_models.data.shape import DataShape
from gan_models.data.table import Split, TableMetadata
from gan_models.families.building import build_discriminator, build_generator
from gan_models.games.base import Batch, build_game
from gan_models.layers.noise import Dropout, GaussianNoise
from gan_models.recipes import load_recipe
from gan_models.recipes.schema import Recipe

NETWORKS = {"sgan-mlp": (1, 28, 28), "sgan-cnn": (3, 32, 32)}


def recipe_of(family: str, *overrides: str) -> Recipe:
    players = [f"networks.{player}={{family: {family}}}" for player in ("generator", "discriminator")]
    return load_recipe("sgan", [*players, "networks.latent=100", "networks.uniform=[0, 1]", *overrides])


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def dense(widths: Sequence[int]) -> int:
    return sum(inputs * outputs + outputs for inputs, outputs in pairwise(widths))


def test_the_mnist_networks_have_the_parameters_of_the_code() -> None:
    """Weights and a bias for each output; a length only in the last layers; batch norm's bias takes a layer's place."""
    recipe, shape = recipe_of("sgan-mlp"), DataShape((1, 28, 28), 10)
    with torch.device("meta"):
        generator, discriminator = build_generator(recipe, shape), build_discriminator(recipe, shape)
    assert parameters(generator) == dense([100, 500, 500, 784]) + 784 == 694_568
    assert parameters(discriminator) == dense([784, 1000, 500, 250, 250, 250, 10]) + 10 == 1_538_770


def test_the_cifar_networks_have_the_parameters_of_the_code() -> None:
    recipe, shape = recipe_of("sgan-cnn"), DataShape((3, 32, 32), 10)
    with torch.device("meta"):
        generator, discriminator = build_generator(recipe, shape), build_discriminator(recipe, shape)
    ups = (512 * 256 + 256 * 128 + 128 * 3) * 25 + 256 + 128 + 3
    assert parameters(generator) == 100 * 8192 + 8192 + ups + 3 == 4_933_382
    threes = [(3, 96), (96, 96), (96, 96), (96, 192), (192, 192), (192, 192), (192, 192)]
    convolutions = sum(inputs * outputs * 9 + outputs for inputs, outputs in threes) + 2 * (192 * 192 + 192)
    assert parameters(discriminator) == convolutions + 192 * 10 + 10 + 10 == 1_406_804


def test_noise_and_dropout_are_where_the_code_has_them() -> None:
    perceptron = build_discriminator(recipe_of("sgan-mlp"), DataShape((1, 28, 28), 10))
    noises = [module.std for module in perceptron.modules() if isinstance(module, GaussianNoise)]
    assert noises == [0.3, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert isinstance(list(perceptron.trunk.children())[-1], nn.ReLU), "features are matched before the last noise"
    layers = list(build_discriminator(recipe_of("sgan-cnn"), DataShape((3, 32, 32), 10)).trunk.children())
    kinds = [
        "drop" if isinstance(layer, Dropout) else layer.stride[0]
        for layer in layers
        if hasattr(layer, "stride") or isinstance(layer, Dropout)
    ]
    assert kinds == ["drop", 1, 1, 2, "drop", 1, 1, 2, "drop", 1, 1, 1]


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.parametrize("size", [8, 28, 64])
def test_other_sizes_are_made_and_judged(family: str, size: int) -> None:
    recipe, shape = recipe_of(family), DataShape((2, size, size), 3)
    images = build_generator(recipe, shape)(torch.randn(2, 100))
    assert images.shape == (2, 2, size, size)
    assert images.abs().max() <= 1
    output = build_discriminator(recipe, shape)(images)
    assert output.logits.shape == (2,)
    assert output.class_logits is not None
    assert output.class_logits.shape == (2, 3)


@pytest.mark.parametrize("family", NETWORKS)
def test_the_game_starts_weight_norm_from_the_images_and_plays(
    family: str, digits: tuple[Split, TableMetadata]
) -> None:
    recipe = recipe_of(family, "game.labels_per_class=2", "training.batch_size=8")
    torch.manual_seed(0)
    game = build_game(recipe, digits[1].shape, torch.device("cpu"))
    game.prepare(digits[0], 0)
    images = Batch.of(digits[0], torch.arange(500), frozenset()).images
    said = game.discriminator(images).class_logits
    spread = {"sgan-mlp": 1.0, "sgan-cnn": 0.1}[family]
    # The noise is another one by now.
    assert said.std(0).mean().item() == pytest.approx(spread, rel=0.2)
    assert said.mean(0).abs().max() < spread / 2
    figures = game.step(lambda: Batch(images[:8]), report=True)
    assert all(torch.isfinite(value) for value in figures.values())
