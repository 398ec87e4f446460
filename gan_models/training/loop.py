"""The training loop: feeds batches to a game, averages its generator, reports, checkpoints, resumes.

It knows nothing of GANs beyond `gan_models.games.Game`. On the CPU the result is a pure function of recipe, data, seed
and thread count: a training that was killed and resumed equals one that was not, bit for bit.
"""

from __future__ import annotations

import csv
import io
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psutil
import torch
from torch import Tensor

from gan_models import ranks
from gan_models.atomic import write_text
from gan_models.averaging import ExponentialMovingAverage
from gan_models.data.table import EpochSampler, Split, TableMetadata
from gan_models.errors import RequestError, RunError
from gan_models.families.building import Generator
from gan_models.files import GENERATORS_FOLDER, HISTORY_FILE, SAMPLES_FOLDER
from gan_models.games import Batch, Game, build_game
from gan_models.recipes import Recipe, recipe_digest
from gan_models.recipes.sharing import check_sharing
from gan_models.sampling.diversity import diversity
from gan_models.sampling.generator import GeneratorInfo, save_generator
from gan_models.sampling.grids import image_grid, save_png
from gan_models.training.checkpoints import Checkpoints, Identity
from gan_models.training.probe import Probe
from gan_models.training.warm_start import Start, begin_with

CHECKPOINTS_FOLDER = "checkpoints"
_PROGRESS_SECONDS = 0.5


class Reporter(Protocol):
    """Where the loop tells what happens; a stage shows progress and logs to MLflow, a notebook may print."""

    def progress(self, step: int, figures: Mapping[str, float]) -> None:
        """About twice a second."""

    def tick(self, step: int, metrics: Mapping[str, float], grid: Path) -> None:
        """Every `training.tick` steps: means over the interval, and the PNG of fixed-latent samples."""

    def note(self, sentence: str) -> None:
        """Something the user should know."""

    def stop_requested(self) -> bool:
        """Whether to write a checkpoint and stop; asked after every step."""


class Stopped(Exception):  # noqa: N818  (not an error)
    """The training was asked to stop; its checkpoint is written, and the same call goes on from it."""

    def __init__(self, step: int) -> None:
        super().__init__(f"stopped at step {step}, its checkpoint is written")
        self.step = step


@dataclass(frozen=True)
class Outcome:
    """What a finished training left in its folder."""

    steps: int
    seconds: float
    """Time spent training, over all the processes that took part."""
    collapsed: bool
    """Whether any tick after the warm-up saw a collapse."""
    unhealthy_steps: tuple[int, ...]
    """Ticks at which a loss was NaN or infinite (only with `on_nan: flag`)."""
    last_metrics: dict[str, float]


@dataclass
class _Progress:
    """The loop's own part of a checkpoint."""

    step: int = 0
    batches: int = 0
    seconds: float = 0.0
    was_diverse: bool = False
    collapsed: bool = False
    unhealthy_steps: list[int] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)


def train(
    recipe: Recipe,
    split: Split,
    metadata: TableMetadata,
    folder: Path,
    *,
    seed: int,
    device: torch.device,
    reporter: Reporter,
    start: Start | None = None,
    keep_discriminator: bool = False,
) -> Outcome:
    """Trains `recipe` on `split`, resuming from the newest checkpoint in `folder`, and leaves generators there.

    Args:
        start: weights to begin with, instead of random ones.
        keep_discriminator: keep D's weights beside each generator, so that a later training can start from both.

    Raises:
        RequestError: recipe and data do not go together, or the folder holds another training.
        RunError: a loss became NaN or infinite, or samples collapsed, where the recipe says stop.
        Stopped: the reporter asked for it.
    """
    check_data(recipe, split, metadata)
    check_sharing(recipe.game.kind, recipe.training.batch_size, ranks.count())
    torch.set_num_threads(recipe.training.threads or max(1, len(os.sched_getaffinity(0)) // ranks.count()))
    return _Loop(recipe, split, metadata, folder, seed, device, reporter, start, keep_discriminator).run()


def check_data(recipe: Recipe, split: Split, metadata: TableMetadata) -> None:
    """Refuses data that a recipe cannot be trained on.

    Raises:
        RequestError: labels needed and absent, or too few images for a batch.
    """
    if "labels" in recipe.needs and split.labels is None:
        raise RequestError(
            f"recipe {recipe.name!r} is conditional, but {metadata.source} has no labels: "
            "use an unconditional recipe such as dcgan, or a source with class folders or a label column"
        )
    if "domains" in recipe.needs and (split.domains is None or len(metadata.domain_names) < 2):
        raise RequestError(
            f"recipe {recipe.name!r} translates between domains, but {metadata.source} has "
            f"{len(metadata.domain_names)}: use a source with a `domain` column of at least two values"
        )
    if "captions" in recipe.needs and split.captions is None:
        raise RequestError(
            f"recipe {recipe.name!r} draws what a text says, but {metadata.source} has no captions: "
            "use a source with a `caption` column"
        )
    if len(split) < 2:
        raise RequestError(f"{metadata.source} leaves {len(split)} image to train on: a GAN needs at least 2")


class _Loop:
    def __init__(
        self,
        recipe: Recipe,
        split: Split,
        metadata: TableMetadata,
        folder: Path,
        seed: int,
        device: torch.device,
        reporter: Reporter,
        start: Start | None,
        keep_discriminator: bool,
    ) -> None:
        self.recipe, self.training, self.reporter = recipe, recipe.training, reporter
        self.split, self.metadata, self.folder, self.seed, self.device = split, metadata, folder, seed, device
        self.identity = Identity(
            recipe_name=recipe.name,
            recipe_digest=recipe_digest(recipe),
            data_fingerprint=metadata.fingerprint,
            seed=seed,
            start=start.digest if start else "",
        )
        self.checkpoints = Checkpoints(folder / CHECKPOINTS_FOLDER, self.identity)
        self.sampler = EpochSampler(len(split), recipe.training.batch_size, seed)
        torch.manual_seed(seed)
        self.game: Game = build_game(recipe, metadata.shape, device)
        self.game.prepare(split, seed)
        if start is not None:
            begin_with(start, self.game)
        self.keep_discriminator = keep_discriminator
        self.average = ExponentialMovingAverage(self.game.generator, recipe.training.ema)
        self.probe = Probe(self.game.generator, split, seed)
        self.state = _Progress()
        self.saved_at = self.counted_until = self.tick_started = self.shown_at = time.monotonic()
        self.tick_batches = self.tick_images = self.shown_batches = 0
        self.sums: dict[str, Tensor] = {}
        self.summed = 0
        steps, keep = self.training.steps, min(self.training.keep, self.training.steps)
        self.kept_steps = {round(steps * (index + 1) / keep) for index in range(keep)}

    def run(self) -> Outcome:
        self._resume()
        self._start_clocks()
        while self.state.step < self.training.steps:
            self._step()
            step = self.state.step
            last = step == self.training.steps
            report = step % self.training.tick == 0 or last
            stop, due = ranks.lead_says(self.reporter.stop_requested(), self._checkpoint_is_due())
            save = last or stop or due
            if report or save:
                self.sums = ranks.averaged(self.sums)
            if ranks.is_lead():
                self._lead(step, report=report, save=save)
            elif report:
                self.sums, self.summed = {}, 0
            if stop and not last:
                raise Stopped(step)
        last_metrics = self.state.history[-1] if self.state.history else {}
        return Outcome(
            steps=self.state.step,
            seconds=self.state.seconds,
            collapsed=self.state.collapsed,
            unhealthy_steps=tuple(self.state.unhealthy_steps),
            last_metrics={name: value for name, value in last_metrics.items() if name != "step"},
        )

    def _lead(self, step: int, *, report: bool, save: bool) -> None:
        """What one of the processes does for all: looks, reports, saves."""
        if report or step in self.kept_steps:
            self._look_at_samples(step, report=report)
        if save:
            self._save()
        self._show_progress(step)

    def _step(self) -> None:
        # Gradient norms are measured at the tick's own step: one value, not a mean, for none of the cost.
        report = (self.state.step + 1) % self.training.tick == 0 or self.state.step + 1 == self.training.steps
        metrics = self.game.step(self._draw, report=report)
        self.state.step += 1
        if ranks.is_lead():
            self.average.update(self.game.generator, self.state.step)
        for name, value in metrics.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.summed += 1

    def _draw(self) -> Batch:
        index = ranks.share(self.sampler.indices(self.state.batches))
        self.state.batches += 1
        images, labels = self.split.batch(index)
        index, needs = index.to(self.device), self.recipe.needs
        return Batch(
            images,
            labels if "labels" in needs else None,
            self.split.domains[index] if "domains" in needs and self.split.domains is not None else None,
            self.split.captions[index] if "captions" in needs and self.split.captions is not None else None,
        )

    def _look_at_samples(self, step: int, *, report: bool) -> None:
        """Draws the fixed latents with the averaged generator; keeps it, reports on it, or both."""
        snapshot = self.average.snapshot(self.game.generator, self.probe.warm_up)
        images = self.probe.draw(snapshot)
        share = diversity(images, self.probe.labels) / self.probe.real_diversity
        low = not share >= self.training.min_diversity
        if step in self.kept_steps:
            self._keep(step, snapshot, share, low)
        if report:
            grid = self.folder / SAMPLES_FOLDER / f"step-{step:06d}.png"
            save_png(image_grid(self.probe.grid(images), self.probe.columns), grid, scale=max(1, 64 // images.shape[1]))
            self._tick(step, share, grid)

    def _keep(self, step: int, snapshot: Generator, share: float, collapsed: bool) -> None:
        info = GeneratorInfo(
            recipe_name=self.recipe.name,
            image_shape=self.metadata.image_shape,
            class_names=self.metadata.class_names,
            domain_names=self.metadata.domain_names,
            words=self.metadata.words,
            step=step,
            seed=self.seed,
            data_fingerprint=self.metadata.fingerprint,
            diversity=share,
            collapsed=collapsed,
        )
        target = self.folder / GENERATORS_FOLDER / f"step-{step:06d}"
        companions = self.game.companions()
        if self.keep_discriminator:
            companions |= {"discriminator": self.game.discriminator.state_dict()}
        save_generator(target, snapshot.state_dict(), self.recipe, info, companions)

    def _tick(self, step: int, share: float, grid: Path) -> None:
        metrics = self._take_means()
        seconds = time.monotonic() - self.tick_started
        images = self.tick_images + (self.state.batches - self.tick_batches) * self.training.batch_size
        metrics |= {
            "G/diversity": share,
            "images_per_second": images / seconds if seconds > 0 else 0.0,
            "memory_gb": _memory_gb(self.device),
        }
        self.state.history.append({"step": float(step)} | metrics)
        self._write_history()
        self._check_health(step, metrics)
        self._check_collapse(step, share)
        self.reporter.tick(step, metrics, grid)
        self.tick_started, self.tick_batches, self.tick_images = time.monotonic(), self.state.batches, 0

    def _take_means(self) -> dict[str, float]:
        """Means over the steps since the last tick; gradient norms were added once, at its last step."""
        count = self.summed
        means = {
            name: float(value) / (1 if name.endswith("gradient_norm") else count) for name, value in self.sums.items()
        }
        self.sums, self.summed = {}, 0
        return means

    def _check_health(self, step: int, metrics: Mapping[str, float]) -> None:
        broken = sorted(name for name, value in metrics.items() if not math.isfinite(value))
        if not broken:
            return
        self.state.unhealthy_steps.append(step)
        sentence = (
            f"{broken[0]} became {metrics[broken[0]]} between steps {step - self.training.tick} and {step}: lower the "
            "learning rates, set training.precision=fp32, or try another seed"
        )
        if self.training.on_nan == "stop":
            raise RunError(f"{sentence}; the generators kept before that step are intact in {self.folder}")
        self.reporter.note(sentence)

    def _check_collapse(self, step: int, share: float) -> None:
        """A fall under the bound after having been above it, or never having got above it by a quarter of the way."""
        low = not share >= self.training.min_diversity
        self.state.was_diverse |= not low
        if not low or not (self.state.was_diverse or step >= self.training.steps / 4):
            return
        sentence = (
            f"samples collapsed at step {step}: they differ {share:.3f} times as much as real images do, under the "
            f"bound training.min_diversity={self.training.min_diversity}"
        )
        first, self.state.collapsed = not self.state.collapsed, True
        if self.training.on_collapse == "stop":
            raise RunError(f"{sentence}; try another seed, a lower learning rate for D, or another game")
        if first:
            self.reporter.note(f"{sentence}; such generators are not selected")

    # --- checkpoints

    def _save(self) -> None:
        if any(not math.isfinite(float(value)) for value in self.sums.values()) and self.training.on_nan == "stop":
            return  # The tick will stop this run; what is on the disk is healthy.
        now = time.monotonic()
        self.state.seconds += now - self.counted_until
        self.counted_until = now
        state = {
            "game": self.game.state_dict(),
            "average": self.average.state_dict(),
            "progress": vars(self.state),
            "sums": self.sums,
            "summed": self.summed,
            "tick_images": self.tick_images + (self.state.batches - self.tick_batches) * self.training.batch_size,
            "random": _random_state(self.device),
            "threads": torch.get_num_threads(),
        }
        self.checkpoints.save(self.state.step, state)
        self.saved_at = time.monotonic()

    def _resume(self) -> None:
        with ranks.lead_first():
            loaded = self.checkpoints.load_newest(self.reporter.note, self.device)
        if loaded is None:
            return
        step, state = loaded
        self.game.load_state_dict(state["game"])
        self.average.load_state_dict(state["average"])
        self.state = _Progress(**state["progress"])
        self.sums, self.summed = state["sums"], state["summed"]
        _set_random_state(state["random"], self.device)
        if step < self.training.steps:
            self.reporter.note(f"going on from the checkpoint of step {step}")
        if state["threads"] != torch.get_num_threads():
            self.reporter.note(
                f"now {torch.get_num_threads()} threads, {state['threads']} before: the result will not equal an "
                "uninterrupted run's bit for bit"
            )

    def _start_clocks(self) -> None:
        now = time.monotonic()
        self.saved_at = self.counted_until = self.tick_started = self.shown_at = now
        self.tick_batches, self.tick_images = self.state.batches, 0
        self.shown_batches = self.state.batches

    def _checkpoint_is_due(self) -> bool:
        return time.monotonic() - self.saved_at >= self.training.checkpoint_seconds

    # --- reports

    def _write_history(self) -> None:
        """The whole table anew at every tick: it is small, and a resumed run must not append to rows it will repeat."""
        names = list(dict.fromkeys(name for row in self.state.history for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, restval="")
        writer.writeheader()
        writer.writerows(self.state.history)
        write_text(self.folder / HISTORY_FILE, text.getvalue())

    def _show_progress(self, step: int) -> None:
        now = time.monotonic()
        if now - self.shown_at < _PROGRESS_SECONDS and step < self.training.steps:
            return
        images = (self.state.batches - self.shown_batches) * self.training.batch_size
        figures = {"images/s": images / max(now - self.shown_at, 1e-9)}
        for name in ("D/loss", "G/loss"):
            if name in self.sums:
                figures[name] = float(self.sums[name]) / self.summed
        self.reporter.progress(step, figures)
        self.shown_at, self.shown_batches = now, self.state.batches


def _memory_gb(device: torch.device) -> float:
    """Peak memory on an accelerator, resident memory of the process on the CPU; in GB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return float(psutil.Process().memory_info().rss) / 1e9


def _random_state(device: torch.device) -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def _set_random_state(states: Mapping[str, Any], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"].cpu())
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"].cpu(), device)
