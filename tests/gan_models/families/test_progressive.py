"""Growing networks: published sizes, continuous fading, and a stage that travels with the weights."""

import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.families.building import build_discriminator, build_generator
from gan_models.families.interfaces import Discriminator
from gan_models.families.progressive.networks import GrowingGenerator
from gan_models.families.progressive.spec import SIZES, ProgressiveDiscriminator, ProgressiveGenerator
from gan_models.layers.equalized import EqualizedLinear
from gan_models.recipes import load_recipe

BOTH = ("networks.generator", "networks.discriminator")
SMALL = [f"{place}.{setting}" for place in BOTH for setting in ("fmap_base=32", "fmap_max=8")]


def pair(size: int, *overrides: str, classes: int = 0) -> tuple[GrowingGenerator, Discriminator]:
    torch.manual_seed(0)
    recipe = load_recipe("pggan", [*SMALL, "networks.latent=16", *overrides])
    shape = DataShape((3, size, size), classes)
    generator = build_generator(recipe, shape)
    assert isinstance(generator, GrowingGenerator)
    return generator, build_discriminator(recipe, shape)


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_1024_networks_have_the_parameters_of_the_published_ones() -> None:
    """Table 2: 23.1 M each; 23,079,115 and 23,087,249 with the layers to and from images of all nine sizes."""
    published = [f"{place}.{setting}" for place in BOTH for setting in ("fmap_base=8192", "fmap_max=512")]
    with torch.device("meta"):
        generator, discriminator = pair(1024, *published, "networks.latent=512")
    assert parameters(generator) == 23_079_115
    assert parameters(discriminator) == 23_087_249


def test_channels_by_size_are_those_of_table_2() -> None:
    expected = [512, 512, 512, 512, 256, 128, 64, 32, 16]
    assert ProgressiveGenerator().widths(8) == ProgressiveDiscriminator().widths(8) == expected


@pytest.mark.parametrize("size", SIZES[:4])
def test_every_level_draws_full_size_images_and_is_judged_at_its_own(size: int) -> None:
    generator, discriminator = pair(size)
    latents = torch.randn(2, 16)
    assert generator.stage.side == size
    for level in range(generator.stage.level + 1):
        for network in (generator, discriminator.trunk):
            network.stage.enter(level, 1.0)
        small = generator.draw_at_stage(latents)
        assert small.shape == (2, 3, 4 << level, 4 << level)
        assert discriminator(small).logits.shape == (2,)
        images = generator(latents)
        assert images.shape == (2, 3, size, size)
        assert torch.equal(images, interpolate(small, size=(size, size)).clamp(-1, 1))


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_fade_starts_from_the_upsampled_lower_level_and_ends_at_the_new_one(level: int) -> None:
    generator, _ = pair(32)
    latents = torch.randn(4, 16)

    def images(*stage: float) -> torch.Tensor:
        generator.stage.enter(int(stage[0]), stage[1])
        return generator.draw_at_stage(latents)

    lower = interpolate(images(level - 1, 1.0), scale_factor=2)
    grown = images(level, 1.0)
    assert not torch.allclose(lower, grown, atol=1e-2)
    torch.testing.assert_close(images(level, 0.0), lower, rtol=0, atol=1e-6)
    torch.testing.assert_close(images(level, 1.0 - 1e-9), grown, rtol=0, atol=1e-6)
    torch.testing.assert_close(images(level, 0.25), 0.75 * lower + 0.25 * grown, rtol=0, atol=1e-6)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_d_fades_from_its_word_on_the_downsampled_image(level: int) -> None:
    _, discriminator = pair(32)
    images = torch.randn(4, 3, 4 << level, 4 << level)

    def logits(seen: torch.Tensor, *stage: float) -> torch.Tensor:
        discriminator.trunk.stage.enter(int(stage[0]), stage[1])
        return discriminator(seen).logits

    lower = logits(avg_pool2d(images, 2), level - 1, 1.0)
    grown = logits(images, level, 1.0)
    assert not torch.allclose(lower, grown, atol=1e-3)
    torch.testing.assert_close(logits(images, level, 0.0), lower, rtol=0, atol=1e-6)
    torch.testing.assert_close(logits(images, level, 1.0 - 1e-9), grown, rtol=0, atol=1e-6)


def test_layers_above_the_stage_wait() -> None:
    generator, discriminator = pair(32)
    for network in (generator, discriminator.trunk):
        network.stage.enter(1, 0.5)
    discriminator(generator.draw_at_stage(torch.randn(4, 16))).logits.sum().backward()
    for modules in (generator.blocks, discriminator.trunk.blocks):
        assert [all(p.grad is not None for p in block.parameters()) for block in modules] == [True, False, False]
    for modules in (generator.to_image, discriminator.trunk.from_image):
        assert [any(p.grad is not None for p in layer.parameters()) for layer in modules] == [True, True, False, False]


def test_the_stage_is_saved_loaded_and_copied_with_the_weights() -> None:
    generator, _ = pair(16)
    generator.stage.enter(1, 0.3)
    latents = torch.randn(2, 16)
    other, _ = pair(16)
    other.load_state_dict(generator.state_dict())
    for same in (other, copy.deepcopy(generator)):
        assert (same.stage.level, same.stage.alpha) == (1, 0.3)
        assert torch.equal(same(latents), generator(latents))


def test_pixel_norm_makes_the_length_of_a_latent_irrelevant() -> None:
    generator, _ = pair(8)
    latents = torch.randn(3, 16)
    torch.testing.assert_close(generator(2 * latents), generator(latents), rtol=0, atol=1e-5)


def test_every_weight_starts_as_standard_normal() -> None:
    generator, discriminator = pair(16, *(f"{place}.fmap_base=1024" for place in BOTH))
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                assert not parameter.any()
            elif parameter.numel() > 500:
                assert parameter.std().item() == pytest.approx(1, abs=0.15), name


def test_labels_reach_g_through_the_latent_and_d_names_them() -> None:
    conditional = ["conditioning={generator: one-hot, discriminator: classifier}"]
    generator, discriminator = pair(8, *conditional, classes=5)
    latents = torch.randn(1, 16)
    assert not torch.equal(generator(latents, torch.tensor([0])), generator(latents, torch.tensor([1])))
    output = discriminator(generator(latents, torch.tensor([0])))
    assert output.class_logits.shape == (1, 5)
    assert isinstance(discriminator.classifier.linear, EqualizedLinear)


def test_stddev_tells_d_of_neighbours_and_none_does_not() -> None:
    for minibatch, depends in (("stddev", True), ("none", False)):
        _, discriminator = pair(8, f"networks.discriminator.minibatch={minibatch}")
        images = torch.randn(4, 3, 8, 8)
        changed = images.clone()
        changed[1] += 1
        assert torch.allclose(discriminator(images).logits[0], discriminator(changed).logits[0]) is not depends


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("data.size=24", r"data.size=24: .*nearest sizes it can make are 16 and 32"),
        ("networks.generator.norm=batch", "unknown key 'networks.generator.norm'"),
        ("networks.discriminator.norm=layer", "unknown key 'networks.discriminator.norm'"),
        ("networks.generator.spectral_norm=true", "unknown key 'networks.generator.spectral_norm'"),
        ("networks.discriminator.attention=[8]", "unknown key 'networks.discriminator.attention'"),
        ("networks.generator.init=orthogonal", "unknown key 'networks.generator.init'"),
        ("conditioning={generator: batch-norm, discriminator: classifier}", "set conditioning.generator=one-hot"),
    ],
)
def test_what_the_family_cannot_do_is_refused(override: str, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        load_recipe("pggan", [override])
