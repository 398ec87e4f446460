"""The authors' first release of StackGAN (github.com/hanzhanggit/StackGAN, TensorFlow, birds): sizes, order, counts."""

import pytest
import torch
from torch import nn

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.families.building import build_generator
from gan_models.families.stackgan.networks import Bottleneck, StackGan, Stackgan
from gan_models.families.stackgan.spec import StackganDiscriminator
from gan_models.games.base import build_game
from gan_models.games.text.game import TextToImageGame
from gan_models.recipes import load_recipe

GIVEN = "networks.generator.text_encoder=given"
NARROW = [
    "networks.latent=5", "networks.discriminator={family: stackgan, width: 2}", "networks.generator.width=2",
    "networks.generator.augmentation=6", "networks.generator.layout=published", "networks.generator.enlargement=4",
    GIVEN,
]  # fmt: skip


def generator(size: int = 32, channels: int = 3, *overrides: str) -> StackGan:
    torch.manual_seed(0)
    recipe = load_recipe("stackgan", [f"data.size={size}", *NARROW, *overrides])
    built = build_generator(recipe, DataShape((channels, size, size), embedding=7))
    assert isinstance(built, StackGan)
    return built


def convolution(inputs: int, outputs: int, kernel: int, *, normed: bool = True) -> int:
    """Weights without bias, and batch norm's gain and bias."""
    return inputs * outputs * kernel * kernel + (2 * outputs if normed else 0)


def test_the_published_networks_have_the_parameters_of_the_authors_code() -> None:
    """Counted from stageI/model.py and stageII/model.py at birds.yml's GF_DIM 128, DF_DIM 64, EMBEDDING_DIM 128."""
    g, d, e, z, text = 128, 64, 128, 100, 1024
    augmentation = (text + 1) * 2 * e
    first = (
        augmentation + (e + z + 1) * 16 * 8 * g + 2 * 16 * 8 * g  # the dense layer and its batch norm
        + convolution(8 * g, 2 * g, 1) + convolution(2 * g, 2 * g, 3) + convolution(2 * g, 8 * g, 3)
        + convolution(8 * g, 4 * g, 3)
        + convolution(4 * g, g, 1) + convolution(g, g, 3) + convolution(g, 4 * g, 3)
        + convolution(4 * g, 2 * g, 3) + convolution(2 * g, g, 3) + convolution(g, 3, 3, normed=False)
    )  # fmt: skip
    second = (
        augmentation + convolution(3, g, 3, normed=False) + convolution(g, 2 * g, 4) + convolution(2 * g, 4 * g, 4)
        + convolution(4 * g + e, 4 * g, 3) + 8 * convolution(4 * g, 4 * g, 3)
        + convolution(4 * g, 2 * g, 3) + convolution(2 * g, g, 3) + convolution(g, g // 2, 3)
        + convolution(g // 2, g // 4, 3) + convolution(g // 4, 3, 3, normed=False)
    )  # fmt: skip
    head = (text + 1) * e + convolution(8 * d + e, 8 * d, 1) + convolution(8 * d, 1, 4, normed=False)
    shared = (
        head + convolution(3, d, 4, normed=False) + convolution(d, 2 * d, 4) + convolution(2 * d, 4 * d, 4)
        + convolution(4 * d, 8 * d, 4)
        + convolution(8 * d, 2 * d, 1) + convolution(2 * d, 2 * d, 3) + convolution(2 * d, 8 * d, 3)
    )  # fmt: skip
    wider = (
        convolution(8 * d, 16 * d, 4) + convolution(16 * d, 32 * d, 4)
        + convolution(32 * d, 16 * d, 1) + convolution(16 * d, 8 * d, 1)
    )  # fmt: skip
    assert (first, second, shared, shared + wider) == (14_264_192, 26_290_080, 4_029_824, 48_603_520)
    with torch.device("meta"):
        game = build_game(
            load_recipe("stackgan/birds-256"), DataShape((3, 256, 256), embedding=1024), torch.device("meta")
        )
        assert isinstance(game, TextToImageGame)
        made, small = game.generator, game.discriminator
        made.begin_second_stage()
        large = game.make_discriminator()
    counts = [
        sum(parameter.numel() for parameter in part.parameters()) for part in (made.first, made.second, small, large)
    ]
    assert counts == [first, second, shared, shared + wider]


@pytest.mark.parametrize(("size", "channels"), [(32, 3), (40, 1)])
def test_stage_two_makes_four_times_the_size(size: int, channels: int) -> None:
    built = generator(size, channels)
    latents, embeddings = torch.randn(3, built.latent), torch.randn(3, 7)
    assert built.inputs == ("latents", "embeddings")
    assert built.draw(latents, embeddings).images.shape == (3, channels, size // 4, size // 4)
    assert built(latents, embeddings=embeddings).shape == (3, channels, size, size)
    built.begin_second_stage()
    assert built.draw(latents, embeddings).images.shape == (3, channels, size, size)
    assert not [name for name in built.state_dict() if name.startswith("text.")]


def test_the_ladder_of_sizes() -> None:
    """A quarter must be a size that a 4 to 7 pixel map doubles to, of the image's own no more than 256."""
    with pytest.raises(RequestError, match=r"data.size=36: stackgan .* nearest sizes it can make are 32 and 40"):
        load_recipe("stackgan", ["data.size=36", *NARROW])
    assert load_recipe("stackgan", ["data.size=256", *NARROW]).data.size == (256, 256)
    with pytest.raises(RequestError, match=r"nearest sizes"):
        load_recipe("stackgan", ["data.size=512", *NARROW])


def test_the_dense_layer_is_normalised_over_the_batch_and_convolutions_have_no_bias() -> None:
    built = generator()
    dense, normed = built.first.project
    assert isinstance(normed, nn.BatchNorm1d)
    assert dense.bias is not None
    assert normed.num_features == dense.out_features
    assert not [part for part in built.modules() if isinstance(part, nn.Conv2d) and part.bias is not None]
    assert sum(isinstance(part, Bottleneck) for part in built.first.modules()) == 1  # 8 pixels: one map below
    assert sum(isinstance(part, Bottleneck) for part in generator(64).first.modules()) == 2


def test_mean_and_deviation_pass_a_leaky_rectifier() -> None:
    """stageII/model.py, generate_condition: max(x, 0.2 x) of both halves, the second of which is log sigma."""
    augmentation = generator().first.augmentation
    text, noise = torch.randn(4, 7), torch.randn(4, 6)
    both = augmentation.gaussian(text)
    mean, log_sigma = torch.maximum(both, 0.2 * both).chunk(2, 1)
    condition, found, log_variance = augmentation(text, noise)
    torch.testing.assert_close(condition, mean + log_sigma.exp() * noise)
    torch.testing.assert_close(found, mean)
    torch.testing.assert_close(log_variance, 2 * log_sigma)


@pytest.mark.parametrize(("size", "kinds"), [
    (64, "CL CNL CN CN B"),  # stageI/model.py, d_encode_image: nothing rectifies the third layer
    (256, "CL CNL CNL CNL CNL CNL CNL CN B"),  # stageII/model.py, hr_d_encode_image
])  # fmt: skip
def test_the_trunks_layers_are_in_the_releases_order(size: int, kinds: str) -> None:
    trunk = Stackgan().trunk(StackganDiscriminator(width=2), (3, size, size))
    short = {nn.Conv2d: " C", nn.BatchNorm2d: "N", nn.LeakyReLU: "L", Bottleneck: " B"}
    assert isinstance(trunk.layers, nn.Sequential)
    assert "".join(short[type(layer)] for layer in trunk.layers).strip() == kinds
    assert (trunk.channels, trunk.positions) == (16, 16)
    assert trunk.layers(torch.randn(2, 3, size, size)).shape == (2, 16, 4, 4)


def test_data_without_embeddings_is_refused() -> None:
    recipe = load_recipe("stackgan", ["data.size=32", *NARROW])
    assert recipe.needs == {"embeddings"}
    with pytest.raises(RequestError, match=r"text_encoder=given .* a column `embedding`, or set it to gru"):
        build_generator(recipe, DataShape((3, 32, 32), words=4))
    with pytest.raises(RequestError, match=r"no captions: set networks.generator.text_encoder=given"):
        build_generator(load_recipe("stackgan"), DataShape((3, 32, 32), embedding=4))
