"""Settings that change in the course of a training."""

from __future__ import annotations

import math

import pytest

from gan_models.errors import RequestError
from gan_models.recipes import load_recipe
from gan_models.schedules import (
    ByResolution,
    ByShare,
    Cosine,
    Exponential,
    HalfLife,
    Linear,
    Moment,
    Scheduled,
    schedules_in,
    value_at,
)

EARLY, MIDDLE, LATE = (Moment(share, 32) for share in (0.0, 0.5, 1.0))


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (3.0, [3.0, 3.0, 3.0]),
        (Linear(linear=(2.0, 0.0)), [2.0, 1.0, 0.0]),
        (Linear(linear=(2.0, 0.0), since=0.5), [2.0, 2.0, 0.0]),
        (Linear(linear=(2.0, 0.0), until=0.5), [2.0, 0.0, 0.0]),
        (Cosine(cosine=(1.0, 0.0)), [1.0, 0.5, 0.0]),
        (ByShare(by_share={0.0: 4.0, 0.5: 2.0, 0.9: 1.0}), [4.0, 2.0, 1.0]),
        (ByShare(by_share={0.75: 2.0, 0.25: 4.0}), [4.0, 4.0, 2.0]),
        (Exponential(exponential=(0.1, 0.001)), [0.1, 0.01, 0.001]),
        (Cosine(cosine=(0.0, 1.0), until=0.75), [0.0, 0.5 * (1 - math.cos(math.pi * 2 / 3)), 1.0]),
    ],
)
def test_what_a_setting_is_at_the_start_in_the_middle_and_at_the_end(setting: Scheduled, expected: list[float]) -> None:
    assert [value_at(setting, moment) for moment in (EARLY, MIDDLE, LATE)] == pytest.approx(expected)


def test_a_value_holds_from_its_size_on_and_the_first_one_below() -> None:
    rates = ByResolution(by_resolution={8: 1.0, 32: 2.0, 64: 3.0})
    assert [value_at(rates, Moment(0.0, size)) for size in (4, 8, 16, 32, 128)] == [1.0, 1.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("optimizers.generator.lr={linear: [1.0e-3, -1]}", "each value must be at least 0, and -1 is not"),
        ("optimizers.generator.lr={lin: [1, 2]}", "unknown key 'optimizers.generator.lr.lin': did you mean 'linear'?"),
        ("optimizers.generator.lr={linear: [1, 2], since: 0.5, until: 0.5}", r"since \(0.5\) must be below until"),
        ("optimizers.generator.betas=[0.5, {cosine: [0.9, 2]}]", r"betas\.1: each value must be at most 1"),
        ("training.ema={linear: [0, 1]}", "training.ema: each value must be below 1, and 1 is not"),
        ("training.batch_size={linear: [16, 32]}", "batch_size"),
        ("training.batch_size={by_resolution: {8: 16.5}}", "must be a whole number, and 16.5 is not"),
        ("training.batch_size={by_resolution: {}}", "at least 1 item"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_in_a_sentence(override: str, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        load_recipe("dcgan", [override])


@pytest.mark.parametrize(
    ("overrides", "paced_by"),
    [
        ([], ""),
        (["optimizers.decay_from=0.5"], "optimizers.decay_from=0.5"),
        (
            ["regularizers=[{name: r1, weight: {cosine: [5, 1]}}]", "networks.discriminator.norm=none"],
            "regularizers.0.weight",
        ),
        (["training.batch_size={by_resolution: {8: 16}}"], ""),
        (["optimizers.generator.lr={by_share: {0: 1.0e-3, 0.5: 1.0e-4}}"], "optimizers.generator.lr"),
    ],
)
def test_a_recipe_knows_what_depends_on_how_many_steps_there_are(overrides: list[str], paced_by: str) -> None:
    assert load_recipe("dcgan", overrides).paced_by == paced_by


def test_a_half_life_is_a_decay_by_the_images_of_a_step() -> None:
    """After as many images as it says, half is left, whatever the batch."""
    for batch in (10, 25):
        decay = value_at(HalfLife(half_life=1000), Moment(0.5, 32, images=5000, batch=batch))
        assert decay ** (1000 / batch) == pytest.approx(0.5)
    ramped = HalfLife(half_life=1000, ramp=0.1)
    assert value_at(ramped, Moment(0.0, 32, images=0, batch=10)) == 0.0
    assert value_at(ramped, Moment(0.0, 32, images=500, batch=10)) == pytest.approx(0.5 ** (10 / 50))
    assert value_at(ramped, Moment(0.0, 32, images=50_000, batch=10)) == pytest.approx(0.5 ** (10 / 1000))
    moving = HalfLife(half_life=Cosine(cosine=(0.0, 1000.0)))
    assert [value_at(moving, Moment(share, 32, batch=10)) for share in (0.0, 1.0)] == pytest.approx([0.0, 0.5**0.01])
    assert [key for key, _ in schedules_in(load_recipe("dcgan", ["training.ema={half_life: {linear: [0, 9]}}"]))] == [
        "training.ema",
        "training.ema.half_life",
    ]
