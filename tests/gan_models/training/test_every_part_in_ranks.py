"""Every regularizer, loss, augmentation and layer in two processes: what one computes, or refused.

A term that is no mean over images, or a random number that each process draws for itself, shows here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from gan_models.augmentations import AUGMENTATIONS
from gan_models.errors import RequestError
from gan_models.losses import LOSSES
from gan_models.recipes import Recipe, load_recipe, recipe_names
from gan_models.regularizers import REGULARIZERS
from tests.gan_models.conftest import LATENT_RECIPES

SmallRecipe = Callable[..., Recipe]

PROGRAM = Path(__file__).with_name("step_in_ranks.py")
PLAIN = ("networks.discriminator.norm=none",)
VARIANTS: dict[str, tuple[str, ...]] = {
    **{
        f"regularizer {name}": (*PLAIN, f"regularizers=[{{name: {name}}}]")
        for name in REGULARIZERS
        if name != "path-length"  # of a generator with styles: the recipe stylegan2-ada has it
    },
    **{
        f"regularizer {name} of G": (*PLAIN, f"regularizers=[{{name: {name}, player: generator}}]")
        for name, kind in REGULARIZERS.items()
        if kind.either
    },
    **{
        f"loss {name}": (f"game.loss={name}", *(["game.weight_clip=0.01"] if kind.critic else ()))
        for name, kind in LOSSES.items()
    },
    **{f"augmentation {name}": (f"game.augmentations=[{name}]",) for name in AUGMENTATIONS},
    **{f"G norm {kind}": (f"networks.generator.norm={kind}",) for kind in ("batch", "virtual", "reference", "none")},
    **{f"D norm {kind}": (f"networks.discriminator.norm={kind}",) for kind in ("batch", "layer", "instance", "none")},
    **{f"minibatch {kind}": (f"networks.discriminator.minibatch={kind}",) for kind in ("discrimination", "stddev")},
    "minibatch stddev under a penalty": (
        *PLAIN,
        "networks.discriminator.minibatch=stddev",
        "regularizers=[{name: gradient-penalty}, {name: r1}]",
    ),
    "spectral norm": (*PLAIN, "networks.discriminator.spectral_norm=true"),
    "label smoothing": ("game.loss={name: non-saturating, label_smoothing: 0.1}",),
    "several moves": ("game.discriminator_steps=2",),
}
SHAREABLE = [name for name in LATENT_RECIPES if load_recipe(name).game.shareable]
CASES = [*VARIANTS, *(f"recipe {name}" for name in SHAREABLE)]


@pytest.fixture(scope="module")
def states(small_recipe: SmallRecipe, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], ...]:
    """Of every case, after a few steps: in one process, and in two."""
    fp32 = "training.precision=fp32"
    recipes = {name: small_recipe("dcgan", fp32, *overrides) for name, overrides in VARIANTS.items()}
    recipes |= {f"recipe {name}": small_recipe(name, fp32) for name in SHAREABLE}
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "recipes.json").write_text(json.dumps({key: one.model_dump(mode="json") for key, one in recipes.items()}))
    done = subprocess.run(
        [sys.executable, PROGRAM, folder / "recipes.json", folder],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return tuple(torch.load(folder / f"{count}.pt", weights_only=True) for count in (1, 2))


def tensors(value: Any, place: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield place, value
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, inside in pairs:
        yield from tensors(inside, f"{place}/{name}")


@pytest.mark.parametrize("case", CASES)
def test_two_compute_what_one_computes(case: str, states: tuple[dict[str, Any], ...]) -> None:
    one, two = (dict(tensors(state[case])) for state in states)
    assert one.keys() == two.keys()
    compared = [place for place in one if place.endswith(GRADIENTS)]
    assert {place.split("/")[1] for place in compared} >= {"generator_optimizer", "discriminator_optimizer"}
    for place in compared:
        kin = [other for other in compared if kind_of(other) == kind_of(place)]
        largest = max(float(one[other].abs().max()) for other in kin)
        torch.testing.assert_close(two[place], one[place], rtol=1e-3, atol=1e-4 * largest, msg=f"{case}: {place}")


GRADIENTS = ("/exp_avg", "/square_avg", "/running_mean", "/running_var")
"""Moments that optimizers keep of gradients, the second of weights that the first has moved. Weights say less: a bias
before batch norm has no gradient but rounding, which Adam divides by its own size."""


def kind_of(place: str) -> tuple[str, str]:
    _, part, *_, name = place.split("/")
    return part, name


@pytest.mark.parametrize("name", [name for name in recipe_names() if name not in SHAREABLE])
def test_what_keeps_state_of_its_own_is_refused(name: str, small_recipe: SmallRecipe) -> None:
    with pytest.raises(RequestError, match=r"training\.ranks=2: game\.kind=\S+ keeps state of its own"):
        load_recipe(name).check_ranks(2)
