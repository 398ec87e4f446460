"""Colorization in Lab: losses, the two parts of a training, no discriminator, random parts of images, resume."""

from pathlib import Path

import pytest
import torch

from gan_models.data.lab import AB_REACH, bin_of, lab_of
from gan_models.data.shape import DataShape
from gan_models.data.table import Split, TableMetadata
from gan_models.errors import RequestError
from gan_models.families.lab_colorization.networks import Colours
from gan_models.games.base import Batch, build_game
from gan_models.games.colorization.game import ColorizationGame, lab_losses, random_parts
from gan_models.recipes import load_recipe
from gan_models.sampling.generator import load_generator
from gan_models.training.loop import Stopped, train

NARROW = ["networks.generator.width=4", "data.size=16", "training.precision=fp32"]


def game(*overrides: str) -> ColorizationGame:
    torch.manual_seed(0)
    recipe = load_recipe("colorization", [*NARROW, "training.steps=4", "game.classify_until=0.5", *overrides])
    built = build_game(recipe, DataShape((3, 16, 16)), torch.device("cpu"))
    assert isinstance(built, ColorizationGame)
    return built


def batch(size: int = 16) -> Batch:
    return Batch(torch.rand(6, 3, size, size) * 2 - 1)


def test_hubers_distance_is_square_within_one_and_added_over_both_channels() -> None:
    images = torch.rand(2, 3, 8, 8) * 2 - 1
    true = lab_of(images)[:, 1:]
    off = torch.tensor([0.5, 3.0])[:, None, None]  # of a* within delta 1, of b* beyond
    distance, _ = lab_losses(Colours((true + off) / AB_REACH, torch.zeros(2, 529, 2, 2)), images)
    torch.testing.assert_close(float(distance), (0.5 * 0.5**2 + (3.0 - 0.5)) / 110, rtol=1e-3, atol=0)


def test_classes_are_the_bins_of_every_fourth_pixel() -> None:
    images = torch.rand(2, 3, 8, 8) * 2 - 1
    true = lab_of(images)[:, 1:]
    bins = bin_of(true[:, :, ::4, ::4])
    sure = 100.0 * torch.nn.functional.one_hot(bins, 529).permute(0, 3, 1, 2).float()
    distance, classes = lab_losses(Colours(true / AB_REACH, sure), images)
    assert float(classes) < 1e-6
    assert float(distance) < 1e-8
    _, uniform = lab_losses(Colours(true, torch.zeros(2, 529, 2, 2)), images)
    torch.testing.assert_close(float(uniform), 6.2710, atol=1e-3, rtol=0)  # log 529


def test_the_body_learns_from_bins_first_and_then_from_colours_with_hints() -> None:
    played, hinted = game("game.hint_end=0.01"), []
    played.generator.network.register_forward_pre_hook(lambda _, given: hinted.append(bool((given[0][:, 3] > 0).any())))
    classifying = []
    for _ in range(4):
        classifying.append(played.classifying)
        metrics = played.step(batch, report=True)
        assert {"G/loss", "G/huber", "G/classes", "G/l1", "G/gradient_norm"} == set(metrics)
        assert all(torch.isfinite(value) for value in metrics.values())
        torch.testing.assert_close(metrics["G/loss"], 10 * metrics["G/huber"] + metrics["G/classes"])
    assert classifying == [True, True, False, False]
    assert hinted == [False, False, True, True]
    assert played.recipe.paced_by == "optimizers.decay_from=0.5"
    assert load_recipe("colorization", ["optimizers.decay_from=1"]).paced_by == "game.classify_until=0.1"


def test_there_is_no_discriminator_and_one_batch_a_step() -> None:
    played, drawn = game(), []

    def draw() -> Batch:
        drawn.append(1)
        return batch()

    for _ in range(2):
        played.step(draw, report=False)
    assert len(drawn) == 2
    assert not list(played.discriminator.parameters())
    assert set(played.optimizers) == {"generator"}
    assert "discriminator_optimizer" not in played.state_dict()


def test_parts_of_a_batch_have_the_gradient_of_the_whole() -> None:
    found = []
    for parts in (1, 3):
        played = game("networks.generator.norm=none", "game.classify_until=1", f"training.accumulate={parts}",
                      "training.batch_size=6")  # fmt: skip
        torch.manual_seed(1)
        played.step(batch, report=False)
        found.append([each.grad.clone() for each in played.generator.parameters() if each.grad is not None])
    for whole, parted in zip(*found, strict=True):
        torch.testing.assert_close(parted, whole, rtol=1e-3, atol=1e-6)


def test_a_patchgan_may_judge_what_the_network_in_lab_draws() -> None:
    played = game("game.adversarial=1", "networks.discriminator={family: colorization, width: 4}")
    for _ in range(3):
        metrics = played.step(batch, report=True)
    assert {"D/loss", "G/adversarial", "G/huber"} <= set(metrics)
    expected = metrics["G/adversarial"] + 10 * metrics["G/huber"] + metrics["G/classes"]
    torch.testing.assert_close(metrics["G/loss"], expected)


def test_a_random_part_is_of_the_image_and_as_large_as_asked_for() -> None:
    torch.manual_seed(0)
    across = torch.linspace(-1, 1, 32).expand(64, 1, 32, 32).contiguous()
    parts = random_parts(across, 24)
    assert parts.shape == (64, 1, 24, 24)
    # From left to right by the same step everywhere, but for the padded borders: a part, and nothing turned.
    steps = parts[:, 0, 12, 2:22].diff(dim=1)
    assert (steps > 0).all()
    torch.testing.assert_close(steps, steps.mean(1, keepdim=True).expand_as(steps), atol=1e-4, rtol=0)
    width = steps.mean(1) * 24 / 2 * 31 / 32
    assert width.min() > 0.08**0.5 * (3 / 4) ** 0.5 - 0.01
    assert width.max() <= 1.01
    assert width.std() > 0.1
    assert parts[:, 0, 0, 0].std() > 0.1


def test_cropped_games_work_on_smaller_images_and_draw_whole_ones() -> None:
    recipe = ["data.size=32", "game.crop=16"]
    played = game(*recipe)
    seen: list[torch.Size] = []
    played.generator.network.register_forward_hook(lambda _, __, colours: seen.append(colours.ab.shape))
    played.step(lambda: batch(32), report=False)
    assert seen == [torch.Size([6, 2, 16, 16])]


@pytest.mark.parametrize(
    ("name", "overrides", "words"),
    [
        ("colorization", ["game.adversarial=1"], r"game.adversarial=1 and networks.discriminator.family=none: set the"),
        ("colorization/gan", ["game.adversarial=0"], r"family=colorization is one: set networks.discriminator="),
        ("colorization/gan", ["game.huber=1"], r"game.huber=1 is for a network in Lab: set networks.generator.family="),
        ("colorization", ["game.classification=0"], r"classify_until=0.1 and game.classification=0: nothing would be"),
        ("colorization", ["game.huber=0"], r"leave G nothing to learn: set one above 0"),
        ("colorization", ["regularizers=[{name: r1}]"], r"'r1' joins D's loss, and there is no D: leave it out"),
        ("colorization", ["game.augmentations=[translation]"], r"game.augmentations is of a discriminator"),
        ("colorization", ["game.crop=64"], r"game.crop=64 is larger than data.size=32"),
        ("colorization", ["game.crop=20"], r"20 pixels: lab-colorization halves"),
        ("dcgan", ["networks.discriminator={family: none}"], r"the family none are trained by game.kind=colorization"),
    ],
)
def test_what_does_not_go_together_is_refused(name: str, overrides: list[str], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        load_recipe(name, overrides)


class Quiet:
    def __init__(self, stop_after: int | None = None) -> None:
        self.asked, self.stop_after = 0, stop_after

    def progress(self, *_: object) -> None: ...

    def tick(self, *_: object) -> None: ...

    def note(self, sentence: str) -> None: ...

    def stop_requested(self) -> bool:
        self.asked += 1
        return self.stop_after is not None and self.asked >= self.stop_after


@pytest.mark.parametrize("stop_after", [3, 5])
def test_stopped_and_resumed_equals_never_stopped_across_both_parts(stop_after: int, tmp_path: Path) -> None:
    settings = ["training.steps=8", "training.batch_size=8", "training.tick=4", "training.keep=2", "training.threads=1"]
    recipe = load_recipe("colorization", [*NARROW, *settings, "game.classify_until=0.5", "game.crop=16"])
    images = torch.randint(0, 256, (24, 16, 16, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    metadata = TableMetadata(
        height=16, width=16, channels=3, class_names=(), counts={"train": {"": 24}}, fingerprint="f", source="noise",
        options={},
    )  # fmt: skip
    split = Split(images, None, [str(row) for row in range(24)])

    def trained(folder: Path, stop: int | None = None) -> None:
        train(recipe, split, metadata, folder, seed=1, device=torch.device("cpu"), reporter=Quiet(stop),
              keep_discriminator=True)  # fmt: skip

    trained(tmp_path / "whole")
    with pytest.raises(Stopped):
        trained(tmp_path / "parts", stop_after)
    trained(tmp_path / "parts")
    whole, parts = (load_generator(tmp_path / name / "generators" / "step-000008") for name in ("whole", "parts"))
    expected, found = whole.module.state_dict(), parts.module.state_dict()
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert whole.sample(3, examples=split).images.shape == (3, 16, 16, 3)
