"""The published presets of the early systems, made small: kept, resumed bit for bit, sampled, explored and exported."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gan_models.exploring.directions import principal_directions
from gan_models.recipes import Recipe, load_recipe
from gan_models.sampling.exporting import FORMATS, export, plain
from gan_models.sampling.generator import load_generator

Resumes = Callable[[Recipe, Path], None]
_NARROW = {"width": 4, "max_width": 16, "class_width": 6}
_WIDTHS = {
    "acgan/cifar10": ("networks.generator.widths=[8, 6, 4]", "networks.discriminator.widths=[4, 6, 8]"),
    "acgan/imagenet-128": ("networks.generator.widths=[8, 6, 6, 4, 4]", "networks.discriminator.widths=[4, 6, 8]"),
    "cgan-concat/mnist": ("networks.generator.widths=[8, 12]", "networks.discriminator.widths=[8, 8]"),
    "dcgan/lsun-64": (),
    "lsgan/lsun-112": (),
    "sgan/cifar10": ("game.labels_per_class=2",),
    "sgan/mnist": ("networks.discriminator.widths=[8, 8]", "game.labels_per_class=2"),
    "vanilla/mnist": ("networks.generator.widths=[8, 8]", "networks.discriminator.widths=[8, 8]"),
    "wgan/lsun-64": ("game.critic_warm_up={first: 1, every: 3, steps: 2}", "game.discriminator_steps=2"),
    "wgan-gp/cifar10": ("game.discriminator_steps=2",),
}

_EXPORTED = ("cgan-concat/mnist", "dcgan/lsun-64", "sgan/cifar10", "sgan/mnist", "vanilla/mnist")
"""With what no other recipe has in its generator: a uniform latent, weight norm, layers of z and class each its own."""


def narrow(name: str) -> Recipe:
    """A preset with few channels, at its own size, for a few steps."""
    networks = load_recipe(name).networks
    widths = [
        f"networks.{player}.{key}={width}"
        for player in ("generator", "discriminator")
        for key, width in _NARROW.items()
        if getattr(networks, player).get(key, 0)
    ]
    short = ["training.batch_size=8", "training.tick=2", "training.keep=1", "training.threads=1", "training.steps=4"]
    return load_recipe(name, [*widths, *_WIDTHS[name], *short])


@pytest.mark.parametrize("name", _WIDTHS)
def test_it_is_resumed_bit_for_bit_and_its_generator_goes_wherever_others_go(
    name: str, assert_resumes: Resumes, tmp_path: Path
) -> None:
    assert_resumes(narrow(name), tmp_path)
    generator = load_generator(tmp_path / "parts" / "generators" / "step-000004")
    size = load_recipe(name).data.size
    assert generator.sample(3, seed=0, truncation=0.7).images.shape == (3, *size, 1)
    others = {"labels": torch.tensor([0])} if generator.module.num_classes else {}
    assert principal_directions(generator.module, others).vectors.shape[1] == generator.module.latent
    if name not in _EXPORTED:
        return
    handed = plain(generator)
    assert not any("parametrizations" in key for key in handed.module.state_dict())
    for form in FORMATS:
        assert export(handed, form, tmp_path).is_file()
