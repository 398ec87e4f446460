"""The zoo's own arithmetic: steps that fit a budget, and what a row misses."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from gan_models.recipes import load_recipe

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def zoo() -> ModuleType:
    sys.path.insert(0, str(FOLDER))
    try:
        return importlib.import_module("zoo")
    finally:
        sys.path.remove(str(FOLDER))


def test_a_critics_warm_up_counts_as_the_moves_it_has(zoo: ModuleType) -> None:
    recipe = load_recipe(
        "wgan", ["game.discriminator_steps=5", "game.critic_warm_up={first: 10, every: 100, steps: 50}"]
    )
    moves = sum(50 if step < 10 or step % 100 == 0 else 5 for step in range(250))
    assert zoo.work(recipe, 250) == moves / 5
    assert zoo.work(load_recipe("dcgan"), 250) == 250


def test_a_recipes_own_steps_are_cut_to_the_budget_and_never_raised(zoo: ModuleType) -> None:
    recipe = load_recipe("dcgan", ["training.steps=1000"])
    assert zoo.steps_within(recipe, rate=50.0, seconds=100.0) == 1000
    cut = zoo.steps_within(recipe, rate=5.0, seconds=100.0)
    assert 490 <= cut <= 500
    assert zoo.steps_within(recipe, rate=0.001, seconds=1.0) == 1


def row(conditional: bool, **verdict: float | None) -> dict[str, object]:
    good = {"confidence": 0.99, "inception_score": 9.6, "rarest": 0.09, "agreement": 0.99, "judge_accuracy": 0.995}
    return {"conditional": conditional, "judge": good | verdict}


@pytest.mark.parametrize(
    ("conditional", "verdict", "misses"),
    [
        (False, {}, []),
        (False, {"agreement": None, "confidence": 0.93, "inception_score": 8.1}, []),
        (False, {"confidence": 0.919}, ["confidence 0.92"]),
        (False, {"inception_score": 7.99, "rarest": 0.03}, ["IS 8.0", "4 % of each digit"]),
        (True, {"confidence": 0.97, "inception_score": 9.4}, ["confidence 0.98", "IS 9.5"]),
        (True, {"agreement": 0.94}, ["agreement 95 %"]),
        (False, {"judge_accuracy": 0.98}, ["judge below 99 %"]),
    ],
)
def test_what_a_row_misses_is_named(
    zoo: ModuleType, conditional: bool, verdict: dict[str, float | None], misses: list[str]
) -> None:
    assert zoo.missed(row(conditional, **verdict)) == misses


def test_data_that_were_not_judged_miss_nothing(zoo: ModuleType) -> None:
    assert zoo.missed({"conditional": False, "judge": None}) == []


def test_every_kind_of_game_is_either_run_or_named_a_benchmark_that_is_there(zoo: ModuleType) -> None:
    for path in zoo.OTHER_BENCHMARKS.values():
        assert (FOLDER.parent / path).is_file()
