"""The growing game: its schedule, what D sees at each stage, and resuming in the middle of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import avg_pool2d, interpolate

from gan_models.data.shape import DataShape, Size
from gan_models.errors import RequestError
from gan_models.games.base import Batch, build_game
from gan_models.games.progressive.game import ProgressiveGame, at_stage
from gan_models.games.progressive.spec import Schedule, schedule_of
from gan_models.recipes import Recipe, load_recipe
from gan_models.sampling.generator import load_generator
from gan_models.schedules import Moment, value_at

SMALL = [
    "networks.latent=8",
    "training.precision=fp32",
    "training.batch_size=4",
    *(f"networks.{p}.{s}" for p in ("generator", "discriminator") for s in ("fmap_base=32", "fmap_max=8")),
]


def game(size: int, *overrides: str, classes: int = 0) -> ProgressiveGame:
    torch.manual_seed(0)
    recipe = load_recipe("pggan", [*SMALL, "game.growing=0.6", "game.fading=0.5", *overrides])
    built = build_game(recipe, DataShape((1, size, size), classes), torch.device("cpu"))
    assert isinstance(built, ProgressiveGame)
    return built


def feed(size: int) -> Callable[[], Batch]:
    return lambda: Batch(torch.rand(4, 1, size, size) * 2 - 1)


def test_sizes_are_held_and_faded_in_turn() -> None:
    schedule = Schedule.even(levels=2, hold=2, fade=4)
    stages = [schedule.stage(step) for step in range(15)]
    assert stages == [
        (0, 1.0), (0, 1.0), (1, 0.0), (1, 0.25), (1, 0.5), (1, 0.75),
        (1, 1.0), (1, 1.0), (2, 0.0), (2, 0.25), (2, 0.5), (2, 0.75),
        (2, 1.0), (2, 1.0), (2, 1.0),
    ]  # fmt: skip
    assert Schedule.even(2, 3, 0).stage(3) == (1, 1.0)


def test_phases_are_shares_of_the_steps_or_counted_in_images() -> None:
    shares = load_recipe("pggan", ["training.steps=1000", "game.growing=0.6", "game.fading=0.25"])
    assert schedule_of(shares, Size.square(32)) == Schedule.even(3, hold=150, fade=50)
    images = load_recipe("pggan", ["training.steps=1000", "training.batch_size=16", "game.phase_images=1600"])
    assert schedule_of(images, Size.square(32)) == Schedule.even(3, hold=100, fade=100)
    assert schedule_of(images, Size.square(8)) == Schedule.even(1, hold=100, fade=100)


def test_a_phase_of_images_takes_the_steps_that_the_batch_of_its_size_makes_of_them() -> None:
    """The fade to a size counts as that size, as in the authors' code."""
    recipe = load_recipe(
        "pggan",
        [
            *("training.steps=1000", "game.phase_images=800", "game.discriminator_steps=2"),
            "training.batch_size={by_resolution: {4: 16, 16: 8, 32: 4}}",
        ],
    )
    schedule = schedule_of(recipe, Size.square(32))
    assert schedule == Schedule(holds=(25, 25, 50), fades=(25, 50, 100))
    assert schedule.growing == 275
    assert [schedule.stage(step) for step in (24, 25, 74, 75, 100, 125, 174, 175, 225, 275)] == [
        (0, 1.0), (1, 0.0), (1, 1.0), (2, 0.0), (2, 0.5), (2, 1.0), (2, 1.0), (3, 0.0), (3, 0.5), (3, 1.0),
    ]  # fmt: skip


def test_the_published_phases_are_the_authors() -> None:
    """800,000 images for each phase and 19 million in all on CelebA-HQ; 400,000 and 20 million on CIFAR-10."""
    for name, size, shown, phase in (
        ("celebahq-1024", 1024, 19_000_000, 800_000),
        ("cifar10", 32, 20_000_000, 400_000),
    ):
        recipe = load_recipe(f"pggan/{name}")
        schedule = schedule_of(recipe, Size.square(size))
        batches = [int(value_at(recipe.training.batch_size, Moment(0.0, 4 << level))) for level in range(9)]
        images = [
            steps * batches[level + later]
            for later, lengths in enumerate((schedule.holds, schedule.fades))
            for level, steps in enumerate(lengths)
        ]
        assert images == pytest.approx([phase] * len(images), abs=max(batches))
        rest = (recipe.training.steps - schedule.growing) * batches[len(schedule.holds)]
        assert sum(images) + rest == pytest.approx(shown, abs=max(batches))
    assert load_recipe("pggan/celebahq-1024").training.batch_sizes == (16, 14, 6, 3)


def test_a_stretch_of_steps_that_cost_alike_is_a_size() -> None:
    played = game(
        32, "training.steps=100", "game.phase_images=48", "training.batch_size={by_resolution: {4: 16, 16: 8}}"
    )
    assert played.schedule == Schedule(holds=(3, 3, 6), fades=(3, 6, 6))
    assert played.stretches() == {0: 3, 3: 6, 9: 12, 99: 79}
    assert [played.schedule.stage(step)[0] for step in (2, 3, 8, 9, 20, 21, 99)] == [0, 1, 1, 2, 2, 3, 3]


def test_batches_and_rates_follow_the_size() -> None:
    played = game(
        16,
        *("training.steps=20", "game.phase_images=8", "optimizers.generator.lr={by_resolution: {4: 1e-3, 16: 2e-3}}"),
        "training.batch_size={by_resolution: {4: 8, 16: 2}}",
    )
    assert played.schedule == Schedule(holds=(1, 1), fades=(1, 4))
    seen = []
    for _ in range(8):
        batch = int(value_at(played.recipe.training.batch_size, played.moment))
        played.step(lambda batch=batch: Batch(torch.rand(batch, 1, 16, 16)), report=False)
        seen.append((batch, played.optimizers["generator"].param_groups[0]["lr"]))
    assert seen == [(8, 1e-3)] * 3 + [(2, 2e-3)] * 5


def test_phases_that_do_not_fit_are_refused() -> None:
    with pytest.raises(
        RequestError, match=r"6 phases of 200 steps, 1200 in all, and training.steps=1000 leaves none at full size"
    ):
        game(32, "training.steps=1000", "game.phase_images=800")
    batches = "training.batch_size={by_resolution: {4: 16, 16: 4}}"
    with pytest.raises(RequestError, match=r"6 phases of 50 to 200 steps, 750 in all, and training.steps=750"):
        game(32, "training.steps=750", "game.phase_images=800", batches)
    with pytest.raises(RequestError, match=r"training.steps=9 with game.growing=0.6 leaves 1 for each of the 3 sizes"):
        game(32, "training.steps=9")


def test_real_images_are_shrunk_and_cross_faded() -> None:
    images = torch.randn(2, 1, 16, 16)
    assert torch.equal(at_stage(images, 2, 1.0), images)
    torch.testing.assert_close(at_stage(images, 0, 1.0), avg_pool2d(images, 4))
    low, high = interpolate(avg_pool2d(images, 4), scale_factor=2), avg_pool2d(images, 2)
    torch.testing.assert_close(at_stage(images, 1, 0.0), low)
    torch.testing.assert_close(at_stage(images, 1, 0.3), 0.7 * low + 0.3 * high)


def test_both_players_see_images_of_the_stage_and_the_sampler_full_ones() -> None:
    played = game(16, "training.steps=20")
    seen: list[int] = []
    played.discriminator.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[2]))
    sizes = []
    for step in range(20):
        seen.clear()
        metrics = played.step(feed(16), report=True)
        assert all(torch.isfinite(value) for value in metrics.values())
        level, alpha = played.schedule.stage(step)
        assert metrics["stage/size"].item() == 4 << level
        assert metrics["stage/alpha"].item() == pytest.approx(alpha)
        assert set(seen) == {4 << level}
        assert played.generator(torch.randn(2, 8)).shape == (2, 1, 16, 16)
        sizes.append(4 << level)
    assert sizes == [4] * 3 + [8] * 6 + [16] * 11


def test_each_size_starts_with_new_optimizers() -> None:
    played = game(8, "training.steps=20")
    assert played.schedule == Schedule.even(1, hold=6, fade=6)
    steps = []
    for _ in range(14):
        played.step(feed(8), report=False)
        states = (played.optimizers["generator"].state, played.optimizers["discriminator"].state)
        steps.append([max(int(state["step"]) for state in states_of.values()) for states_of in states])
    assert steps == [[n, n] for n in [*range(1, 7), *range(1, 9)]]


@pytest.mark.parametrize("stopped", [2, 3, 5, 9, 11])
def test_resumed_equals_never_stopped(stopped: int) -> None:
    """While holding, at a change of size, in the middle of a fade, at the second change, and later."""
    reference = game(16, "training.steps=20")
    assert [reference.schedule.stage(step)[0] for step in (2, 3, 5, 8, 9)] == [0, 1, 1, 1, 2]
    assert 0 < reference.schedule.stage(5)[1] < 1
    saved: dict[str, Any] = {}
    for step in range(14):
        if step == stopped:
            saved = {"game": copy_of(reference.state_dict()), "random": torch.get_rng_state()}
        reference.step(feed(16), report=False)
    resumed = game(16, "training.steps=20")
    resumed.load_state_dict(saved["game"])
    torch.set_rng_state(saved["random"])
    for _ in range(14 - stopped):
        resumed.step(feed(16), report=False)
    for player in ("generator", "discriminator"):
        expected, found = reference.state_dict()[player], resumed.state_dict()[player]
        assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_generators_kept_while_growing_know_their_stage_and_draw_at_full_size(
    small_recipe: Callable[..., Recipe],
    assert_resumes: Callable[[Recipe, Path], None],
    tmp_path: Path,
) -> None:
    recipe = small_recipe("pggan", *SMALL, "game.growing=0.6", "training.keep=4", "training.steps=12")
    assert schedule_of(recipe, Size.square(8)) == Schedule.even(1, hold=3, fade=4)
    assert_resumes(recipe, tmp_path)
    stages = []
    for step in (3, 6, 9, 12):
        generator = load_generator(tmp_path / "parts" / "generators" / f"step-{step:06d}")
        stage = generator.module.get_submodule("stage")
        stages.append((stage.level, stage.alpha))
        assert generator.sample(2, seed=0).images.shape == (2, 8, 8, 1)
    assert stages == [(0, 1.0), (1, 0.5), (1, 1.0), (1, 1.0)]


def copy_of(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: copy_of(inner) for key, inner in value.items()}
    return [copy_of(inner) for inner in value] if isinstance(value, list) else value


def test_a_classifying_d_learns_with_it() -> None:
    played = game(8, "conditioning={generator: one-hot, discriminator: classifier}", classes=3)
    metrics = played.step(lambda: Batch(feed(8)().images, torch.tensor([0, 1, 2, 0])), report=False)
    assert {"D/class_loss", "G/class_loss", "D/gradient-penalty", "D/drift"} <= set(metrics)


@pytest.mark.parametrize("head", ["concat", "projection"])
def test_other_conditioning_of_d_is_refused(head: str) -> None:
    with pytest.raises(RequestError, match=f"conditioning.discriminator={head}: .*set it to classifier"):
        game(8, f"conditioning={{generator: one-hot, discriminator: {head}}}", classes=3)


def test_other_families_are_refused() -> None:
    with pytest.raises(RequestError, match=r"family dcgan does not: set networks.generator.family=progressive"):
        load_recipe("dcgan", ["game={kind: progressive}"])
