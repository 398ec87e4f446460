"""The modes benchmark: trainings side by side are those of each alone, and its figures are what they say."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from gan_models.games.base import Batch

SCRIPTS = Path(__file__).parents[2] / "benchmarks"
SEEDS, ROWS = 2, 16


@pytest.fixture
def modes(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import modes

    assert Path(str(modes.__file__)).parent == SCRIPTS
    yield modes
    sys.modules.pop("modes", None)


@pytest.mark.parametrize(
    "name",
    [
        "non-saturating",
        "wasserstein, clipped",
        "hinge + spectral norm",
        "non-saturating + minibatch discrimination",
        "non-saturating + feature matching",
        "non-saturating + historical averaging",
        "relativistic + R1 + R2",
    ],
)
def test_side_by_side_is_each_alone(modes: ModuleType, name: str) -> None:
    torch.manual_seed(0)
    contestant = modes.CONTESTANTS[name]
    together = modes.PointGame(modes.make_recipe(contestant, 20, SEEDS), contestant, 2.5, SEEDS)
    data = torch.randn(SEEDS, ROWS, 2, 1, 1)
    latents = torch.randn(SEEDS, ROWS, modes.LATENT)
    alone = [modes.PointGame(modes.make_recipe(contestant, 20, 1), contestant, 2.5, 1) for _ in range(SEEDS)]
    for seed, game in enumerate(alone):
        for player in ("generator", "discriminator"):
            state = getattr(together, player).members[seed].state_dict()
            getattr(game, player).members[0].load_state_dict(state)
    for game, rows in ((together, slice(None)), *((game, slice(seed, seed + 1)) for seed, game in enumerate(alone))):
        game.draw_latents = lambda _, rows=rows: latents[rows].flatten(0, 1)
        batch = Batch(data[rows].flatten(0, 1))
        for _ in range(2):
            game.step(lambda batch=batch: batch, report=False)
    for seed, game in enumerate(alone):
        for player in ("generator", "discriminator"):
            trained, expected = (
                torch.cat([parameter.flatten() for parameter in getattr(each, player).members[place].parameters()])
                for each, place in ((together, seed), (game, 0))
            )
            # A step of Adam is 1e-3. In the mean: it magnifies the rounding of gradients that are next to nothing.
            assert (trained - expected).abs().mean() < 1e-6


def test_figures_of_the_data_of_half_of_it_and_of_nothing(modes: ModuleType) -> None:
    ring = modes.MIXTURES["ring"]
    points, drawn = ring.draw(40_000, 0)
    whole = modes.measure(points[: modes.SAMPLES], ring, 0)
    assert (whole["modes"], whole["good"]) == (8, pytest.approx(1 - np.exp(-4.5), abs=0.005))
    assert whole["tv"] < 0.07
    half = modes.measure(points[drawn < 4][: modes.SAMPLES], ring, 0)
    assert (half["modes"], half["good"]) == (4, pytest.approx(1 - np.exp(-4.5), abs=0.005))
    assert half["tv"] == pytest.approx(0.5, abs=0.05)
    p, q = np.array([0.5, 0.5]), np.array([1.0, 0.0])  # the modes kept and those missed
    middle = (p + q) / 2
    by_hand = 0.5 * (p * np.log(p / middle)).sum() + 0.5 * np.log(1 / middle[0])
    assert half["js"] == pytest.approx(by_hand, abs=0.02)
    assert half["em"] > whole["em"] + 0.5
    nothing = modes.measure(np.full((modes.SAMPLES, 2), np.nan, np.float32), ring, 0)
    assert (nothing["modes"], nothing["good"]) == (0, 0.0)
    assert nothing["tv"] == pytest.approx(1.0)
