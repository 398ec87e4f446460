"""The loop's promises: bit-exact resume whatever kills it, honest health checks, nothing half-written."""

import dataclasses
import hashlib
import json
import math
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from gan_models.data.table import Split, TableMetadata
from gan_models.errors import RequestError, RunError
from gan_models.games.base import build_game
from gan_models.recipes import load_recipe
from gan_models.sampling.generator import load_generator, read_info
from gan_models.training import loop
from gan_models.training.checkpoints import Checkpoints, _tensors, not_finite
from gan_models.training.loop import Stopped, check_data, train

Digits = tuple[Split, TableMetadata]
TINY = ["training.batch_size=16", "training.tick=4", "training.keep=2", "training.threads=1"]


class Recorder:
    """A reporter that remembers, and asks to stop after a given number of ticks."""

    def __init__(self, stop_after_steps: int | None = None) -> None:
        self.ticks: list[tuple[int, dict[str, float]]] = []
        self.notes: list[str] = []
        self.asked = 0
        self.stop_after_steps = stop_after_steps

    def progress(self, step: int, figures: Mapping[str, float]) -> None:
        pass

    def tick(self, step: int, metrics: Mapping[str, float], grid: Path) -> None:
        assert grid.is_file()
        self.ticks.append((step, dict(metrics)))

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def stop_requested(self) -> bool:
        self.asked += 1
        return self.stop_after_steps is not None and self.asked >= self.stop_after_steps


def recipe_of(name: str, *overrides: str):
    narrow = ["networks.generator.width=4", "networks.discriminator.width=4"] if name != "vanilla" else []
    return load_recipe(name, [*TINY, *narrow, "training.steps=12", *overrides])


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_generator(folder / "generators" / "step-000012").module.state_dict()


def run(name: str, digits: Digits, folder: Path, *overrides: str, recorder: Recorder | None = None, seed: int = 3):
    recorder = recorder or Recorder()
    return train(recipe_of(name, *overrides), *digits, folder, seed=seed, device=torch.device("cpu"), reporter=recorder)


def test_equal_requests_give_equal_weights_and_another_seed_others(digits: Digits, tmp_path: Path) -> None:
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        run("dcgan", digits, tmp_path / folder, seed=seed)
    a, b, c = (weights(tmp_path / folder) for folder in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert any(not torch.equal(a[key], c[key]) for key in a)


@pytest.mark.parametrize(
    ("asked", "cost", "saved"),
    [(5, 0.1, [5, 10, 12]), (5, 10, [5, 12]), (0, 10, [*range(1, 13)])],
    ids=["cheap", "dear", "at every step"],
)
def test_checkpoints_cost_a_twentieth_of_the_time_at_most(
    asked: float, cost: float, saved: list[int], digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, written = [0.0], []

    class Seconds(Recorder):
        def stop_requested(self) -> bool:  # once for each step
            clock[0] += 1
            return False

    def save(self: Checkpoints, step: int, state: object) -> None:
        clock[0] += cost
        written.append(step)

    monkeypatch.setattr("gan_models.training.loop.time.monotonic", lambda: clock[0])
    monkeypatch.setattr(Checkpoints, "save", save)
    recorder = Seconds()
    run("dcgan", digits, tmp_path, f"training.checkpoint_seconds={asked}", recorder=recorder)
    assert written == saved
    said = [note for note in recorder.notes if "took 10 s" in note]
    assert len(said) == (saved == [5, 12])
    assert all("every 200 s in place of 5" in note for note in said)


@pytest.mark.parametrize("damage", ["truncate", "flip", "no manifest"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(damage: str, digits: Digits, tmp_path: Path) -> None:
    run("dcgan", digits, tmp_path / "whole")
    with pytest.raises(Stopped):
        run("dcgan", digits, tmp_path / "hurt", "training.checkpoint_seconds=0", recorder=Recorder(stop_after_steps=6))
    older, newest = sorted((tmp_path / "hurt" / "checkpoints").iterdir())
    state = newest / "state.pt"
    if damage == "truncate":
        os.truncate(state, state.stat().st_size // 2)
    elif damage == "flip":
        content = bytearray(state.read_bytes())
        content[len(content) // 2] ^= 0xFF
        state.write_bytes(content)
    else:
        (newest / "manifest.json").unlink()
    recorder = Recorder()
    run("dcgan", digits, tmp_path / "hurt", recorder=recorder)
    assert any("is damaged: going back" in note for note in recorder.notes)
    assert any(f"step {int(older.name[5:])}" in note for note in recorder.notes)
    expected, found = weights(tmp_path / "whole"), weights(tmp_path / "hurt")
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_a_checkpoint_of_another_training_is_refused(digits: Digits, tmp_path: Path) -> None:
    run("dcgan", digits, tmp_path)
    with pytest.raises(RequestError, match=r"belongs to another training \(recipe_digest .* instead of"):
        run("dcgan", digits, tmp_path, "optimizers.generator.lr=1e-5")
    with pytest.raises(RequestError, match=r"seed 3 instead of 4"):
        run("dcgan", digits, tmp_path, seed=4)


@pytest.mark.slow
def test_sigkill_at_random_moments_changes_nothing(digits: Digits, tmp_path: Path) -> None:
    run("cgan-projection", digits, tmp_path / "whole", "training.steps=400", "training.checkpoint_seconds=0.05")
    script = textwrap.dedent(
        f"""
        import sys, torch
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import test_loop
        split, metadata = torch.load({str(tmp_path / "split.pt")!r}, weights_only=False)
        test_loop.run("cgan-projection", (split, metadata), Path({str(tmp_path / "killed")!r}), "training.steps=400",
                      "training.checkpoint_seconds=0.05")
        """
    )
    torch.save(digits, tmp_path / "split.pt")
    moments = random.Random(0)
    kills = 0
    while True:
        process = subprocess.Popen([sys.executable, "-c", script])
        checkpoints = tmp_path / "killed" / "checkpoints"
        known = set(checkpoints.glob("step-*")) if checkpoints.is_dir() else set()
        # Wait until it has got somewhere, so that every round makes progress; then kill at a random moment.
        while process.poll() is None and set(checkpoints.glob("step-*")) <= known:
            time.sleep(0.01)
        time.sleep(moments.random() * 0.3)
        if kills == 3:  # enough; each start costs the import of torch
            process.wait()
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
    assert process.returncode == 0
    assert kills >= 2
    last = "generators/step-000400"
    expected, found = (load_generator(tmp_path / f / last).module.state_dict() for f in ("whole", "killed"))
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_nan_stops_the_run_and_keeps_the_healthy_checkpoint(digits: Digits, tmp_path: Path) -> None:
    overrides = ["optimizers.discriminator.lr=1e30", "training.precision=fp32", "training.checkpoint_seconds=0"]
    with pytest.raises(
        RunError, match=r"(became (nan|inf|-inf) between|not finite by) steps? .*lower the learning rates"
    ):
        run("dcgan", digits, tmp_path, *overrides)
    for state in tmp_path.glob("checkpoints/step-*/state.pt"):
        assert not not_finite(torch.load(state, weights_only=True))


@pytest.mark.parametrize("spoilt", ["game/discriminator_optimizer", "game/generator/", "average"])
def test_what_is_not_finite_is_never_kept_and_what_is_intact_is_named(
    digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoilt: str
) -> None:
    """Losses look well for a while after an average, say, has become infinite."""
    parts: list[Any] = []
    monkeypatch.setattr(loop, "build_game", lambda *given: parts.append(build_game(*given)) or parts[-1])
    averages: list[Any] = []
    average = loop.ExponentialMovingAverage
    monkeypatch.setattr(
        loop, "ExponentialMovingAverage", lambda *given: averages.append(average(*given)) or averages[-1]
    )

    class Spoiling(Recorder):
        def stop_requested(self) -> bool:
            asked = super().stop_requested()
            if self.asked == 8:
                state = {"game": parts[0].state_dict(), "average": averages[0].state_dict()}
                place = next(place for place, _ in _tensors(state, "") if place.startswith(spoilt))
                next(tensor for found, tensor in _tensors(state, "") if found == place).fill_(math.inf)
            return asked

    often = ["training.checkpoint_seconds=0", "training.keep=4", "training.precision=fp32"]
    sentence = (
        rf"{spoilt}\S* holds values that are not finite by step 8: .* intact in {tmp_path}: the checkpoint of step 7 "
        "and the generators of steps 3, 6"
    )
    with pytest.raises(RunError, match=sentence):
        run("dcgan", digits, tmp_path, *often, recorder=Spoiling())
    recorder = Recorder()
    run("dcgan", digits, tmp_path, *often, recorder=recorder)  # the fault does not come again
    assert recorder.notes == ["going on from the checkpoint of step 7"]


def test_a_checkpoint_that_is_not_finite_is_not_resumed(digits: Digits, tmp_path: Path) -> None:
    """One that an earlier version has kept."""
    often = ["training.checkpoint_seconds=0", "training.precision=fp32"]
    with pytest.raises(Stopped):
        run("dcgan", digits, tmp_path, *often, recorder=Recorder(stop_after_steps=6))
    newest = max(tmp_path.glob("checkpoints/step-*"))
    state = torch.load(newest / "state.pt", weights_only=True)
    state["average"][0].fill_(math.nan)
    torch.save(state, newest / "state.pt")
    manifest = json.loads((newest / "manifest.json").read_text())
    manifest["sha256"] = hashlib.sha256((newest / "state.pt").read_bytes()).hexdigest()
    (newest / "manifest.json").write_text(json.dumps(manifest))
    recorder = Recorder()
    run("dcgan", digits, tmp_path, *often, recorder=recorder)
    assert "holds values that are not finite (average" in recorder.notes[0]
    assert recorder.notes[1] == "going on from the checkpoint of step 5"


def test_a_processor_without_bf16_is_told_of(digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for where in ("games.base", "training.loop"):
        monkeypatch.setattr(f"gan_models.{where}.computes_bf16", lambda device: False)
    bf16, fp32 = Recorder(), Recorder()
    run("vanilla", digits, tmp_path / "bf16", "training.precision=bf16", recorder=bf16)
    run("vanilla", digits, tmp_path / "fp32", "training.precision=fp32", recorder=fp32)
    assert [note for note in bf16.notes if "no instructions for bf16: training in fp32" in note]
    assert not [note for note in fp32.notes if "bf16" in note]
    first, second = weights(tmp_path / "bf16"), weights(tmp_path / "fp32")
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(("seconds", "told"), [(10.0, True), (0.001, False)])
def test_a_training_of_more_than_twelve_hours_says_so_at_its_start(
    seconds: float, told: bool, digits: Digits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]

    class Slow(Recorder):
        def stop_requested(self) -> bool:  # once for each step
            clock[0] += seconds
            return super().stop_requested()

    recorder = Slow(stop_after_steps=4)
    monkeypatch.setattr("gan_models.training.loop.time.monotonic", lambda: clock[0])
    with pytest.raises(Stopped):
        run("dcgan", digits, tmp_path, "training.steps=36000", "training.tick=36000", recorder=recorder)
    sentence = "at 10 s a step the training will take about 100 hours more: whenever it is stopped, the same command"
    assert [note for note in recorder.notes if "hours more" in note] == (
        [f"{sentence} goes on from there"] if told else []
    )


def test_nan_can_be_flagged_instead(digits: Digits, tmp_path: Path) -> None:
    recorder = Recorder()
    outcome = run(
        "dcgan", digits, tmp_path, "optimizers.discriminator.lr=1e30", "training.on_nan=flag", recorder=recorder
    )
    assert outcome.unhealthy_steps
    assert any("became" in note for note in recorder.notes)


def test_collapse_is_noticed_recorded_and_stops_where_the_recipe_says(digits: Digits, tmp_path: Path) -> None:
    bound = "training.min_diversity=100"
    recorder = Recorder()
    assert run("dcgan", digits, tmp_path / "flag", bound, recorder=recorder).collapsed
    assert sum("collapsed at step" in note for note in recorder.notes) == 1
    assert read_info(tmp_path / "flag" / "generators" / "step-000012").collapsed
    with pytest.raises(RunError, match=r"samples collapsed at step 4: .*training.min_diversity=100"):
        run("dcgan", digits, tmp_path / "stop", bound, "training.on_collapse=stop")


def test_labels_asked_for_and_absent_is_a_sentence(digits: Digits, tmp_path: Path) -> None:
    split, metadata = digits
    unlabelled = Split(split.images, None, split.paths)
    with pytest.raises(RequestError, match="is conditional, but digits has no labels"):
        run("cgan-projection", (unlabelled, metadata), tmp_path)


def test_a_label_of_some_images_is_not_enough_for_what_needs_one_of_each(digits: Digits, tmp_path: Path) -> None:
    split, metadata = digits
    assert split.labels is not None
    labels = torch.where(torch.arange(len(split)) % 3 == 0, -1, split.labels)
    partly = dataclasses.replace(split, labels=labels)
    with pytest.raises(RequestError, match=r"needs a label of every image, and \d+ of \d+ .*data.unlabelled=drop"):
        run("cgan-projection", (partly, metadata), tmp_path)
    check_data(load_recipe("dcgan"), partly, metadata)
    check_data(load_recipe("sgan"), partly, metadata)
    assert len(partly.labelled()) == int((labels >= 0).sum())
    assert partly.labelled().labels is not None
    assert bool((partly.labelled().labels >= 0).all())
    assert split.labelled() is split


def test_domains_that_would_never_be_seen_are_refused(digits: Digits, tmp_path: Path) -> None:
    split, metadata = digits
    several = dataclasses.replace(split, domains=torch.arange(len(split)) % 3)
    with pytest.raises(RequestError, match=r"translates between 2 domains, and digits has 3 \(a, b, c"):
        run("cyclegan", (several, metadata.model_copy(update={"domain_names": ("a", "b", "c")})), tmp_path)


def test_one_image_is_a_sentence(digits: Digits, tmp_path: Path) -> None:
    split, metadata = digits
    with pytest.raises(RequestError, match="leaves 1 image to train on"):
        run("dcgan", (Split(split.images[:1], None, split.paths[:1]), metadata), tmp_path)


def test_history_has_every_tick_once(digits: Digits, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run("dcgan", digits, tmp_path, recorder=Recorder(stop_after_steps=4))
    run("dcgan", digits, tmp_path)
    rows = (tmp_path / "history.csv").read_text().splitlines()
    assert [float(row.split(",")[0]) for row in rows[1:]] == [4, 8, 12]
    assert json.loads((tmp_path / "generators" / "step-000012" / "generator.json").read_text())["step"] == 12
