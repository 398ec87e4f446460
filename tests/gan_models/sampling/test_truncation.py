"""Truncated latents against the truncated normal distribution, and what stays as it was."""

import math

import pytest
import torch
from scipy.stats import kstest, truncnorm

from gan_models.data.shape import DataShape
from gan_models.errors import RequestError
from gan_models.families.building import build_generator
from gan_models.recipes import load_recipe
from gan_models.sampling.draws import Draws
from gan_models.sampling.generator import GeneratorInfo, LoadedGenerator
from gan_models.sampling.latents import truncate


def drawn(threshold: float, seed: int = 1, shape: tuple[int, int] = (400, 50)) -> torch.Tensor:
    draws = Draws(seed, shape[0])
    return truncate(draws.normal(shape[1]), threshold, draws)


@pytest.mark.parametrize("threshold", [0.05, 0.5, 1.0, 2.0])
def test_latents_follow_the_truncated_normal_distribution(threshold: float) -> None:
    """Kolmogorov-Smirnov on 20,000 numbers; clamped ones, with a spike at either end, would not pass."""
    latents = drawn(threshold).flatten().numpy()
    assert kstest(latents, truncnorm(-threshold, threshold).cdf).pvalue > 0.01
    clamped = torch.randn(20_000, generator=torch.Generator().manual_seed(0)).clamp(-threshold, threshold).numpy()
    assert kstest(clamped, truncnorm(-threshold, threshold).cdf).pvalue < 1e-6


def test_what_is_within_stays_and_the_argument_is_left_alone() -> None:
    draws = Draws(3, 100)
    latents = draws.normal(20)
    before = latents.clone()
    cut = truncate(latents, 0.7, draws)
    within = latents.abs() <= 0.7
    assert torch.equal(latents, before)
    assert torch.equal(cut[within], latents[within])
    assert not torch.equal(cut, latents)
    assert torch.equal(truncate(latents, math.inf, draws), latents)


def loaded(name: str) -> LoadedGenerator:
    torch.manual_seed(0)
    recipe = load_recipe(name, ["networks.generator.width=4"])
    module = build_generator(recipe, DataShape((1, 8, 8), 3)).eval()
    info = GeneratorInfo(
        recipe_name=name, image_shape=(1, 8, 8), class_names=("a", "b", "c"), step=1, seed=0, data_fingerprint="f",
        diversity=1.0, collapsed=False,
    )  # fmt: skip
    return LoadedGenerator(module, recipe, info, torch.device("cpu"))


@pytest.mark.parametrize("name", ["dcgan", "cgan-projection", "sngan", "r3gan"])
def test_a_generator_of_any_family_samples_truncated(name: str) -> None:
    generator = loaded(name)
    plain, cut = generator.sample(6, seed=4), generator.sample(6, seed=4, truncation=0.5)
    assert cut.inputs["latents"].abs().max() <= 0.5
    assert plain.inputs["latents"].abs().max() > 0.5
    assert cut.images.shape == plain.images.shape
    assert torch.equal(cut.inputs["latents"], generator.sample(6, seed=4, truncation=0.5).inputs["latents"])


@pytest.mark.parametrize("threshold", [0.0, -1.0, 0.001, math.nan])
def test_a_threshold_that_leaves_nothing_is_refused(threshold: float) -> None:
    with pytest.raises(RequestError, match=r"truncation=.* at least 0.02"):
        loaded("dcgan").sample(2, seed=0, truncation=threshold)


def test_the_recipe_refuses_it_too() -> None:
    with pytest.raises(RequestError, match=r"evaluation.truncations"):
        load_recipe("dcgan", ["evaluation.truncations=[0.0]"])


def test_styles_are_drawn_to_their_average_in_place_of_cutting_latents() -> None:
    torch.manual_seed(0)
    recipe = load_recipe("stylegan2-ada", ["data.size=8", "networks.generator.channel_max=8"])
    module = build_generator(recipe, DataShape((1, 8, 8))).eval()
    module.average.normal_()
    info = GeneratorInfo(
        recipe_name="stylegan2-ada", image_shape=(1, 8, 8), class_names=(), step=1, seed=0, data_fingerprint="f",
        diversity=1.0, collapsed=False,
    )  # fmt: skip
    generator = LoadedGenerator(module, recipe, info, torch.device("cpu"))
    plain, whole, none = (generator.sample(6, seed=4, truncation=psi) for psi in (None, 1.0, 0.0))
    assert torch.equal(plain.inputs["latents"], none.inputs["latents"])
    assert int((plain.images.int() - whole.images.int()).abs().max()) <= 1
    assert int((none.images.int() - none.images[:1].int()).abs().max()) <= 1  # all of them the average's
    assert not torch.equal(plain.images[0], plain.images[1])
    with pytest.raises(RequestError, match="a share from 0 to 2 of the way from their average"):
        generator.sample(1, truncation=5.0)
