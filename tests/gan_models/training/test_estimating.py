"""What a training will cost, told before it is begun."""

from __future__ import annotations

import pytest
import torch

from gan_models.games.counting import made_for_shape
from gan_models.recipes import load_recipe, recipe_names
from gan_models.training import estimating
from gan_models.training.estimating import CARD, CARD_RATE, Images, estimate

CPU = torch.device("cpu")
PERCEPTRONS = [
    *("data.size=8", "networks.latent=10", "training.batch_size=4", "training.steps=10", "game.augmentations=[]"),
    *("networks.generator.widths=[32]", "networks.discriminator.widths=[16]"),
]


def test_operations_of_perceptrons_are_those_of_their_products() -> None:
    recipe = load_recipe("vanilla", PERCEPTRONS)
    found = estimate(recipe, made_for_shape(recipe), CPU, Images(), here=False)
    # [B, inputs] by [inputs, outputs]: 2 B inputs outputs, as much for each of the two gradients that are wanted.
    first, second, third, fourth = (2 * 4 * a * b for a, b in ((10, 32), (32, 64), (64, 16), (16, 1)))
    drawing = first + second
    d_learns = 2 * (2 * third + 3 * fourth)  # real and generated; nobody asks for the images' gradient
    g_learns = 2 * third + 2 * fourth + first + 2 * second  # through D, whose weights do not learn, and in G
    assert found.operations == drawing + d_learns + g_learns
    assert found.step_seconds > 100 * found.operations / CARD_RATE  # so small are they that launches count alone
    assert (found.device, found.measured, found.measured_memory) == (CARD, False, None)


def test_a_real_step_is_played_where_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe("vanilla", PERCEPTRONS)
    found = estimate(recipe, made_for_shape(recipe), CPU, Images(train=90, held_out=10))
    assert found.measured
    assert found.measured_memory is not None
    assert found.seconds == pytest.approx(10 * found.step_seconds)
    assert found.evaluation_images == recipe.selection.samples * 10 + recipe.evaluation.samples + 20
    assert found.disk > 100 * 64
    monkeypatch.setattr(estimating, "_free", lambda device: 1e6)
    found = estimate(recipe, made_for_shape(recipe), CPU, Images())
    assert not found.measured
    assert found.note.startswith("a real step does not fit: it needs about")
    monkeypatch.undo()
    monkeypatch.setattr(estimating, "matmul_rate", lambda device, recipe: 1.0)
    found = estimate(recipe, made_for_shape(recipe), CPU, Images())
    assert found.note.startswith("a real step was not tried: it would take about")


def test_what_backward_passes_keep_grows_with_the_part_of_a_batch_alone() -> None:
    kept = []
    for batch, parts in ((8, 1), (16, 1), (16, 2)):
        recipe = load_recipe("wgan-gp", [f"training.batch_size={batch}", f"training.accumulate={parts}"])
        kept.append(estimate(recipe, made_for_shape(recipe), CPU, Images(), here=False).activations)
    once, twice, in_parts = kept
    assert 1.5 * once < twice < 2.5 * once
    assert in_parts < 1.1 * once


@pytest.mark.parametrize("name", recipe_names())
def test_every_system_can_be_counted(name: str) -> None:
    recipe = load_recipe(name)
    found = estimate(recipe, made_for_shape(recipe), CPU, Images(), here=False)
    assert found.operations > 1e6
    assert found.activations > 0
    assert all(networks for networks in found.parameters.values())


@pytest.mark.parametrize(
    ("settings", "generated"),
    [([], 4), (["game.generator_batch=2"], 12), (["training.accumulate=2"], 8), (["game.discriminator_steps=3"], 12)],
)
def test_generated_images_are_counted_as_they_are_made(settings: list[str], generated: int) -> None:
    """Those that D saw last are G's too, unless it moves on more of them, or on parts."""
    recipe = load_recipe("vanilla", [*PERCEPTRONS, *settings])
    assert estimate(recipe, made_for_shape(recipe), CPU, Images(), here=False).generated_images == generated


def test_a_growing_training_costs_the_sum_of_its_sizes() -> None:
    """Not as much at 4x4 as at full size, and with the batch of each: the last is what a step is said to be of."""
    batches = "training.batch_size={by_resolution: {4: 16, 32: 4}}"
    recipe = load_recipe("pggan", ["training.steps=1000", "game.phase_images=1600", batches])
    found = estimate(recipe, made_for_shape(recipe), CPU, Images(), here=False)
    assert found.real_images == 4
    whole = load_recipe("pggan", ["training.steps=1000", "game.growing=0.01", "training.batch_size=4"])
    assert found.operations == estimate(whole, made_for_shape(whole), CPU, Images(), here=False).operations
    assert found.seconds < 1000 * found.step_seconds
