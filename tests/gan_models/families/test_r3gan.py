"""R3GAN's networks against the authors' public code: their counts, their resampling, their class embeddings."""

from math import cos, pi

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.families.building import build_discriminator, build_generator
from gan_models.families.interfaces import Discriminator, Generator
from gan_models.families.r3gan.networks import EmbeddedProjection, GenerativeBasis, R3ganImageGenerator, Resample
from gan_models.layers.filtering import BinomialFilter
from gan_models.recipes import load_recipe
from gan_models.schedules import Moment, value_at

CONDITIONAL = ("conditioning.generator=embedding", "conditioning.discriminator=projection")
FIRST = ("networks.generator.form=first", "networks.discriminator.form=first")


def of_both(*settings: str) -> list[str]:
    return [f"networks.{player}.{setting}" for player in ("generator", "discriminator") for setting in settings]


def built(shape: DataShape, *overrides: str) -> tuple[Generator, Discriminator]:
    recipe = load_recipe("r3gan", [f"data.size={shape.image[1]}", *overrides])
    return build_generator(recipe, shape), build_discriminator(recipe, shape)


def small(*overrides: str, classes: int = 0) -> tuple[Generator, Discriminator]:
    return built(DataShape((3, 16, 16), classes), *of_both("width=8", "max_width=16", "group=4"), *overrides)


@pytest.mark.parametrize(
    ("size", "width", "classes", "generator", "discriminator"),
    [
        (32, 768, 0, 20_732_160, 20_683_776),  # the 20.73 M of the paper's table
        (32, 768, 10, 20_781_952, 21_280_512),
        (64, 384, 0, 22_429_824, 22_381_440),
        (256, 96, 0, 23_057_952, 23_009_568),
    ],
)
def test_counts_are_those_of_the_authors_code(
    size: int, width: int, classes: int, generator: int, discriminator: int
) -> None:
    published = of_both(f"width={width}", "max_width=768", "blocks=2", "group=16")
    with torch.device("meta"):
        players = built(DataShape((3, size, size), classes), *published, *(CONDITIONAL if classes else ()))
    assert [sum(each.numel() for each in player.parameters()) for player in players] == [generator, discriminator]
    cardinalities = {m.groups for m in players[0].modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)}
    assert cardinalities == {96, *([48] if size == 64 else []), *([48, 24, 12] if size == 256 else [])}


def test_sizes_end_with_the_authors_largest() -> None:
    with pytest.raises(RequestError, match=r"data\.size=512: r3gan doubles a 4 to 7 pixel map"):
        built(DataShape((3, 512, 512)))


def test_resampling_is_the_filter_both_ways_with_the_1x1_on_the_smaller_map() -> None:
    x, filtered = torch.randn(2, 6, 8, 8), BinomialFilter()
    up, down = (Resample(6, 4, up=up, published=True) for up in (True, False))
    torch.testing.assert_close(up(x), filtered.doubled(up.change(x)))
    torch.testing.assert_close(down(x), down.change(filtered.halved(x)))
    up, down = (Resample(6, 4, up=up, published=False) for up in (True, False))
    torch.testing.assert_close(up(x), interpolate(up.change(x), scale_factor=2.0, mode="bilinear"))
    torch.testing.assert_close(down(x), down.change(avg_pool2d(x, 2)))


@pytest.mark.parametrize("overrides", [(), FIRST])
def test_images_are_unbounded_for_d_and_within_range_for_everybody_else(overrides: tuple[str, ...]) -> None:
    generator, _ = small(*overrides)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.mul_(3.0)
    latents = torch.randn(8, generator.latent)
    played = generator.train()(latents)
    assert (played.abs().max() > 1) == (overrides == ())
    torch.testing.assert_close(generator.eval()(latents), played.clamp(-1.0, 1.0))


def test_the_first_form_has_the_layers_that_its_weights_were_saved_from() -> None:
    generator, discriminator = small(*FIRST)
    assert isinstance(generator, R3ganImageGenerator)
    assert isinstance(generator.layers[-1], nn.Tanh)
    assert not [m for player in (generator, discriminator) for m in player.modules() if isinstance(m, BinomialFilter)]
    assert list(discriminator.head.state_dict()) == ["linear.weight", "linear.bias"]
    assert list(small()[1].head.state_dict()) == ["linear.weight"]
    assert list(generator.state_dict()) == list(small()[0].state_dict()), "resampling has nothing to save"


def test_g_is_joined_a_learnt_vector_of_the_class() -> None:
    generator, _ = small(*CONDITIONAL, "networks.generator.embedding=24", classes=5)
    assert isinstance(generator, R3ganImageGenerator)
    assert generator.embed is not None
    assert generator.embed.weight.shape == (5, 24)
    basis = generator.layers[0]
    assert isinstance(basis, GenerativeBasis)
    assert basis.weigh.in_features == generator.latent + 24
    latents, labels = torch.randn(3, generator.latent), torch.tensor([4, 0, 4])
    joined = torch.cat([latents, generator.embed.weight[labels]], dim=1)
    torch.testing.assert_close(generator.train()(latents, labels), generator.layers(joined))


def test_d_multiplies_the_features_with_the_class_in_a_space_of_their_own() -> None:
    _, discriminator = small(*CONDITIONAL, classes=5)
    head, images, labels = discriminator.head, torch.randn(4, 3, 16, 16), torch.tensor([0, 1, 4, 4])
    assert isinstance(head, EmbeddedProjection)
    output = discriminator(images, labels)
    expected = [
        torch.dot(head.project.weight @ feature, head.embedding.weight[label])
        for feature, label in zip(output.features, labels, strict=True)
    ]
    torch.testing.assert_close(output.logits, torch.stack(expected))


def test_class_vectors_begin_at_the_authors_size() -> None:
    """In G as a matrix that one-hot vectors are multiplied by; in D so that logits are of the features' size."""
    generator, discriminator = small(
        *CONDITIONAL, "networks.generator.embedding=400", "networks.discriminator.max_width=64", classes=25
    )
    assert isinstance(generator, R3ganImageGenerator)
    assert generator.embed is not None
    assert isinstance(discriminator.head, EmbeddedProjection)
    assert generator.embed.weight.std().item() == pytest.approx(1 / 5, rel=0.05)
    width = discriminator.head.embedding.embedding_dim
    assert discriminator.head.embedding.weight.std().item() == pytest.approx((25 * width) ** -0.5, rel=0.1)


def test_the_class_is_joined_where_a_family_can() -> None:
    with pytest.raises(RequestError, match=r"set conditioning\.generator=one-hot"):
        load_recipe("dcgan", CONDITIONAL)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_penalty_on_ds_slope_reaches_all_weights(layout: torch.memory_format) -> None:
    _, discriminator = small()
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    discriminator.to(memory_format=layout)
    images = torch.randn(2, 3, 16, 16).to(memory_format=layout).requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(images).logits.sum(), images, create_graph=True)
    gradient.square().sum().backward()
    for name, parameter in discriminator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all()


def test_bf16_and_channels_last_change_no_more_than_their_rounding() -> None:
    generator, _ = small()
    latents = torch.randn(4, generator.latent)
    expected = generator.train()(latents)
    generator.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        found = generator(latents)
    torch.testing.assert_close(found.float(), expected, atol=0.05, rtol=0.05)


@pytest.mark.parametrize(
    ("name", "images", "gamma", "probability", "half_life"),
    [("cifar10", 250e6, (0.05, 0.005), 0.55, 5e6), ("ffhq-256", 150e6, (150, 15), 0.3, 0.5e6)],
)
def test_settings_go_by_half_a_cosine_over_the_first_20_million_images(
    name: str, images: float, gamma: tuple[float, float], probability: float, half_life: float
) -> None:
    """The authors' `train.py`: base value, final value, 20 million images; what is in the middle is their mean."""
    recipe = load_recipe(f"r3gan/{name}")
    batch = int(recipe.training.batch_sizes[0])
    assert recipe.training.steps * batch == pytest.approx(images, abs=batch)
    optimizer, (r1, r2) = recipe.optimizers.generator, recipe.regularizers
    assert recipe.optimizers.discriminator == optimizer
    assert r1.weight == r2.weight
    for setting, (first, last) in (
        (optimizer.lr, (2e-4, 5e-5)),
        (optimizer.betas[0], (0.0, 0.0)),
        (optimizer.betas[1], (0.9, 0.99)),
        (r1.weight, gamma),
        (recipe.game.augmentation_probability, (0.0, probability)),
    ):
        values = [value_at(setting, Moment(at / images, 32)) for at in (0, 5e6, 10e6, 20e6, images)]
        quarter = first + (1 - cos(pi / 4)) / 2 * (last - first)
        assert values == pytest.approx([first, quarter, (first + last) / 2, last, last], rel=1e-4)
    for at, share in ((0, 0.0), (10e6, 0.5), (20e6, 1.0), (images, 1.0)):
        decay = value_at(recipe.training.ema, Moment(at / images, 32, images=int(at), batch=batch))
        assert decay == pytest.approx(0.5 ** (batch / max(share * half_life, 1e-8)), rel=1e-6)
