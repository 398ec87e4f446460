"""Figures are means over the times that they were measured, and over nothing else."""

import pytest
import torch

from gan_models.data.shape import DataShape
from gan_models.games.base import Batch, build_game
from gan_models.meter import Meter
from gan_models.recipes import load_recipe

SMALL = ["data.size=8", "networks.generator.width=4", "networks.discriminator.width=4", "training.precision=fp32"]


def batch() -> Batch:
    return Batch(torch.rand(8, 1, 8, 8) * 2 - 1)


def test_a_figure_that_is_measured_now_and_then_is_a_mean_of_those_times() -> None:
    meter = Meter()
    for step in range(4):
        meter.add({"loss": torch.tensor(float(step))} | ({"r1": torch.tensor(10.0)} if step % 2 == 0 else {}))
    assert {name: float(value) for name, value in meter.means().items()} == {"loss": 1.5, "r1": 10.0}


def test_what_was_measured_goes_on_from_its_state() -> None:
    one, other = Meter(), Meter()
    one.add({"loss": torch.tensor(1.0)})
    other.load_state_dict(one.state_dict())
    for meter in (one, other):
        meter.add({"loss": torch.tensor(2.0)})
    assert other.means() == one.means() == {"loss": torch.tensor(1.5)}
    other.clear()
    assert other.means() == {}


@pytest.mark.parametrize("every", [1, 4])
def test_a_lazy_regularizers_value_is_as_large_as_that_of_every_step(every: int) -> None:
    """`D/r1` of a tick of eight steps, as the loop takes it: not n times smaller where it is applied at each n-th."""
    recipe = load_recipe(
        "dcgan", [*SMALL, "networks.discriminator.norm=none", f"regularizers=[{{name: r1, every: {every}}}]"]
    )
    torch.manual_seed(0)
    game, meter, seen = build_game(recipe, DataShape((1, 8, 8)), torch.device("cpu")), Meter(), []
    for _ in range(8):
        figures = game.step(batch, report=False)
        seen += [figures["D/r1"]] if "D/r1" in figures else []
        meter.add(figures)
    assert len(seen) == 8 // every
    torch.testing.assert_close(meter.means()["D/r1"], torch.stack(seen).mean())


def test_figures_of_several_moves_are_means_over_the_moves() -> None:
    recipe = load_recipe(
        "dcgan",
        [*SMALL, "networks.discriminator.norm=none", "game.discriminator_steps=3", "regularizers=[{name: drift}]"],
    )
    torch.manual_seed(0)
    game = build_game(recipe, DataShape((1, 8, 8)), torch.device("cpu"))
    moves: list[dict[str, torch.Tensor]] = []
    move = game.move_discriminator
    game.move_discriminator = lambda *given, **named: moves.append(move(*given, **named)) or moves[-1]  # type: ignore[method-assign]
    figures = game.step(batch, report=True)
    assert len(moves) == 3
    for name in ("D/loss", "D/drift"):
        torch.testing.assert_close(figures[name], torch.stack([each[name] for each in moves]).mean())
    assert "D/gradient_norm" in figures
