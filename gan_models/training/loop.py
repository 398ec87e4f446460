"""The training loop: feeds batches to a game, averages its generator, reports, checkpoints, resumes.

It knows nothing of GANs beyond `gan_models.games.base.Game`. On the CPU the result is a pure function of recipe, data,
seed and thread count: a training that was killed and resumed equals one that was not, bit for bit.
"""

import csv
import io
import math
import os
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psutil
import torch
from torch import Tensor

from gan_models import ranks
from gan_models.atomic import write_text
from gan_models.averaging import ExponentialMovingAverage
from gan_models.data.table import AnySplit, Split, TableMetadata
from gan_models.errors import RequestError, RunError
from gan_models.families.interfaces import Generator
from gan_models.files import CHECKPOINTS_FOLDER, GENERATORS_FOLDER, HISTORY_FILE, SAMPLES_FOLDER
from gan_models.games.base import Batch, Stateful, build_game, computes_bf16
from gan_models.meter import Meter
from gan_models.recipes import Recipe, recipe_digest
from gan_models.sampling.diversity import diversity
from gan_models.sampling.generator import GeneratorInfo, save_generator
from gan_models.sampling.grids import image_grid, save_png
from gan_models.schedules import HalfLife, Moment, value_at
from gan_models.training.checkpoints import STATE_FORMAT, Checkpoints, Identity, newest_checkpoint, not_finite
from gan_models.training.feeding import Feed
from gan_models.training.probe import Probe
from gan_models.training.warm_start import Start, begin_with

SAVING_SHARE = 0.05  # of the time, that checkpoints may cost
LONG_HOURS = 12.0
_PROGRESS_SECONDS = 0.5
_SHAPE_OF_DATA = (
    *("image_shape", "class_names", "domain_names", "words", "attribute_names", "embedding", "depth", "ranges"),
)
"""Of the data, what is written down with a generator."""
_FORESEEN_AFTER = 10.0  # seconds: the first steps are slow


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
    seconds: float  # time spent training, over all the processes that took part
    collapsed: bool  # whether any tick after the warm-up saw a collapse
    unhealthy_steps: tuple[int, ...]  # ticks at which a loss was NaN or infinite (only with `on_nan: flag`)
    last_metrics: dict[str, float]


@dataclass
class _Progress:
    """How far a training is, and what it has shown so far."""

    step: int = 0
    images: int = 0  # real ones, drawn until then
    seconds: float = 0.0
    threads: int = 0
    was_diverse: bool = False
    collapsed: bool = False
    unhealthy_steps: list[int] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)

    def state_dict(self) -> dict[str, Any]:
        return vars(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)


@dataclass
class _RandomState:
    """torch's global random streams."""

    device: torch.device

    def state_dict(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        return states

    def load_state_dict(self, states: Mapping[str, Any]) -> None:
        torch.set_rng_state(states["cpu"].cpu())
        if self.device.type == "cuda" and "cuda" in states:
            torch.cuda.set_rng_state(states["cuda"].cpu(), self.device)


@dataclass(frozen=True)
class _Pace:
    """How fast it goes since a moment."""

    images: int  # drawn until then
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return max(time.monotonic() - self.began, 1e-9)


def train(
    recipe: Recipe,
    split: AnySplit,
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
    recipe.check_ranks(ranks.count())
    torch.set_num_threads(recipe.training.threads or max(1, len(os.sched_getaffinity(0)) // ranks.count()))
    return _Training(recipe, split, metadata, folder, seed, device, reporter, start, keep_discriminator).run()


_ABSENT = {
    "labels": "is conditional, but {source} has no labels: use an unconditional recipe such as dcgan, or a source with "
    "class folders, or a label column in a table",
    "domains": "translates between domains, but {source} has {domains}: use a source with folders trainA and trainB, a "
    "folder for each domain, or a `domain` column of at least two values",
    "attributes": "gives and takes attributes, but {source} says nothing of any: use a source with `attributes`, or "
    "set game.transfers=domains",
    "partners": "learns from pairs, but {source} has none: use a folder with sub-folders A and B that hold images of "
    "equal names, or a source with a `partner` column",
    "captions": "draws what a text says, but {source} has no captions: use a source with a `caption` column, or with "
    "a text file beside each image",
    "embeddings": "reads texts as embeddings given with the data, but {source} has none: use a source with a column "
    "`embedding`, or set networks.generator.text_encoder=gru for one with captions",
}
"""What is said of a recipe where a column that it needs is absent, by the column's name in a `Split`."""


def check_data(recipe: Recipe, split: AnySplit, metadata: TableMetadata) -> None:
    """Refuses data that a recipe cannot be trained on: RequestError for what is absent, or too few images."""
    domains = len(metadata.domain_names)
    for column, sentence in _ABSENT.items():
        if column in recipe.needs and (getattr(split, column) is None or (column == "domains" and domains < 2)):
            said = sentence.format(source=metadata.source, domains=domains)
            raise RequestError(f"recipe {recipe.name!r} {said}")
    absent = 0 if split.labels is None else int((split.labels < 0).sum())
    if absent and "labels" in recipe.needs and not recipe.game.partly_labelled:
        raise RequestError(
            f"recipe {recipe.name!r} needs a label of every image, and {absent} of {len(split)} training images of "
            f"{metadata.source} have none: prepare them with data.unlabelled=drop"
        )
    recipe.check_domains(metadata.source, metadata.domain_names)
    if len(split) < 2:
        raise RequestError(f"{metadata.source} leaves {len(split)} image to train on: a GAN needs at least 2")


@dataclass
class _Training:
    recipe: Recipe
    split: AnySplit
    metadata: TableMetadata
    folder: Path
    seed: int
    device: torch.device
    reporter: Reporter
    start: Start | None
    keep_discriminator: bool

    def __post_init__(self) -> None:
        recipe, start = self.recipe, self.start
        self.settings = recipe.training
        identity = Identity(
            recipe_name=recipe.name,
            recipe_digest=recipe_digest(recipe),
            data_fingerprint=self.metadata.fingerprint,
            seed=self.seed,
            start=start.digest if start else "",
            state_format=STATE_FORMAT,
        )
        stops = self.settings.on_nan == "stop"
        self.checkpoints = Checkpoints(
            self.folder / CHECKPOINTS_FOLDER, identity, self.settings.steps, only_finite=stops
        )
        torch.manual_seed(self.seed)
        self.game = build_game(recipe, self.metadata.shape, self.device)
        samplers = {size: self.game.sampler(self.split, size, self.seed) for size in self.settings.batch_sizes}
        self.feed = Feed(self.split, samplers, recipe.needs)
        self.game.prepare(self.split, self.seed)
        if start is not None:
            begin_with(start, self.game)
        self.average = ExponentialMovingAverage(self.game.generator)
        self.probe = Probe(self.game.generator, self.split, self.seed)
        self.meter = Meter()
        self.progress = _Progress(threads=torch.get_num_threads())
        self.told_not_finite = self.told_long = False
        self.saved: dict[str, Stateful] = {
            "game": self.game,
            "average": self.average,
            "meter": self.meter,
            "progress": self.progress,
            "random": _RandomState(self.device),
        }
        self.save_interval = self.stated_interval = self.settings.checkpoint_seconds
        steps, keep = self.settings.steps, min(self.settings.keep, self.settings.steps)
        self.kept_steps = {round(steps * (index + 1) / keep) for index in range(keep)}

    def run(self) -> Outcome:
        with closing(self.feed):
            return self._run()

    def _run(self) -> Outcome:
        if self.settings.precision == "bf16" and not computes_bf16(self.device):
            self.reporter.note("this processor has no instructions for bf16: training in fp32, which is faster on it")
        self._resume()
        self.saved_at = self.counted_until = time.monotonic()
        self.tick_pace = self.shown_pace = _Pace(self.progress.images)
        began, first = time.monotonic(), self.progress.step
        while self.progress.step < self.settings.steps:
            # The players move.
            self.meter.add(self.game.step(self._draw, report=self._ends_tick(self.progress.step + 1)))
            self.progress.step += 1
            # What is due is agreed on: one of the processes does it for all.
            step, last = self.progress.step, self.progress.step == self.settings.steps
            stop, due = ranks.lead_says(self.reporter.stop_requested(), self._checkpoint_is_due())
            report, save = self._ends_tick(step), last or stop or due
            if report or save:
                self.meter.average_ranks()
            if ranks.is_lead():
                self._average(step)
                self._look(step, report=report)
                if save:
                    self._save()
                self._show(step)
                self._foresee(step - first, time.monotonic() - began)
            elif report:
                self.meter.clear()
            if stop and not last:
                raise Stopped(step)
        return self._outcome()

    def _ends_tick(self, step: int) -> bool:
        return step % self.settings.tick == 0 or step == self.settings.steps

    def _average(self, step: int) -> None:
        decay, as_published = self.settings.ema, isinstance(self.settings.ema, HalfLife)
        self.average.update(self.game.generator, step, value_at(decay, self._moment()), warm_up=not as_published)

    def _moment(self) -> Moment:
        """The game's, with the images that it has been given."""
        batch = int(value_at(self.settings.batch_size, self.game.moment))
        return self.game.moment._replace(images=self.progress.images, batch=batch)

    def _draw(self) -> Batch:
        size = int(value_at(self.settings.batch_size, self.game.moment))
        batch = self.feed.batch(size, self.progress.images // size)
        self.progress.images += size
        return batch.changed(flip=self.settings.flip, load_size=self.settings.load_size)

    def _outcome(self) -> Outcome:
        last_metrics = self.progress.history[-1] if self.progress.history else {}
        return Outcome(
            steps=self.progress.step,
            seconds=self.progress.seconds,
            collapsed=self.progress.collapsed,
            unhealthy_steps=tuple(self.progress.unhealthy_steps),
            last_metrics={name: value for name, value in last_metrics.items() if name != "step"},
        )

    # --- looking: fixed latents drawn with the averaged generator, which is kept, reported on, or both

    def _look(self, step: int, *, report: bool) -> None:
        if not report and step not in self.kept_steps:
            return
        snapshot = self.average.snapshot(self.game.generator, self.probe.warm_up)
        images = self.probe.draw(snapshot)
        share = diversity(images, self.probe.labels) / self.probe.real_diversity
        if step in self.kept_steps:
            self._keep(step, snapshot, share)
        if report:
            grid = self.folder / SAMPLES_FOLDER / f"step-{step:06d}.png"
            save_png(image_grid(self.probe.grid(images), self.probe.columns), grid, scale=max(1, 64 // images.shape[1]))
            self._tick(step, share, grid)

    def _is_low(self, share: float) -> bool:
        return not share >= self.settings.min_diversity

    def _keep(self, step: int, snapshot: Generator, share: float) -> None:
        info = GeneratorInfo(
            recipe_name=self.recipe.name,
            **{name: getattr(self.metadata, name) for name in _SHAPE_OF_DATA},
            step=step,
            seed=self.seed,
            data_fingerprint=self.metadata.fingerprint,
            diversity=share,
            collapsed=self._is_low(share),
        )
        companions = self.game.companions()
        if self.keep_discriminator:
            companions |= {"discriminator": self.game.discriminator.state_dict()}
        target = self.folder / GENERATORS_FOLDER / f"step-{step:06d}"
        weights = snapshot.state_dict()
        self._check_finite(step, {"generator": weights, **companions})
        save_generator(target, weights, self.recipe, info, companions)

    def _tick(self, step: int, share: float, grid: Path) -> None:
        metrics = {name: float(value) for name, value in self.meter.means().items()}
        self.meter.clear()
        metrics |= {
            "G/diversity": share,
            "images_per_second": self._rate(self.tick_pace),
            "memory_gb": _memory_gb(self.device),
        }
        if not isinstance(self.split, Split):
            metrics["data_wait"] = self.feed.waited / self.tick_pace.seconds  # of the time
        self.progress.history.append({"step": float(step)} | metrics)
        self._write_history()
        self._check_health(step, metrics)
        self._check_collapse(step, share)
        self.reporter.tick(step, metrics, grid)
        self.tick_pace, self.feed.waited = _Pace(self.progress.images), 0.0

    def _rate(self, pace: _Pace) -> float:
        """Images of a second."""
        return (self.progress.images - pace.images) / pace.seconds

    def _write_history(self) -> None:
        """The whole table anew at every tick: it is small, and a resumed run must not append to rows it will repeat."""
        names = list(dict.fromkeys(name for row in self.progress.history for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, names, restval="")
        writer.writeheader()
        writer.writerows(self.progress.history)
        write_text(self.folder / HISTORY_FILE, text.getvalue())

    def _show(self, step: int) -> None:
        if self.shown_pace.seconds < _PROGRESS_SECONDS and step < self.settings.steps:
            return
        losses = {name: value for name, value in self.meter.means().items() if name in ("D/loss", "G/loss")}
        figures = {"images/s": self._rate(self.shown_pace)} | {name: float(value) for name, value in losses.items()}
        self.reporter.progress(step, figures)
        self.shown_pace = _Pace(self.progress.images)

    def _foresee(self, done: int, seconds: float) -> None:
        """Says once that it will take long, as soon as that can be told."""
        if self.told_long or seconds < _FORESEEN_AFTER:
            return
        self.told_long = True
        hours = (self.settings.steps - self.progress.step) * seconds / done / 3600
        if hours > LONG_HOURS:
            self.reporter.note(
                f"at {seconds / done:.3g} s a step the training will take about {hours:,.0f} hours more: whenever it "
                "is stopped, the same command goes on from there"
            )

    # --- health

    def _check_health(self, step: int, metrics: Mapping[str, float]) -> None:
        broken = sorted(name for name, value in metrics.items() if not math.isfinite(value))
        if not broken:
            return
        self.progress.unhealthy_steps.append(step)
        self._diverged(
            f"{broken[0]} became {metrics[broken[0]]} between steps {step - self.settings.tick} and {step}: lower the "
            "learning rates, set training.precision=fp32, or try another seed"
        )

    def _check_finite(self, step: int, state: Mapping[str, Any]) -> None:
        """Of what is about to be written: losses may look well when an average or an optimizer no longer is."""
        if (self.settings.on_nan == "stop" or not self.told_not_finite) and (place := not_finite(state)):
            self.told_not_finite = True
            self._diverged(
                f"{place} holds values that are not finite by step {step}: lower the learning rates, set "
                "training.precision=fp32, or try another seed"
            )

    def _diverged(self, sentence: str) -> None:
        if self.settings.on_nan != "stop":
            self.reporter.note(sentence)
            return
        newest = newest_checkpoint(self.checkpoints.folder)
        kept = [path.name.removeprefix("step-").lstrip("0") for path in self._kept()]
        intact = [
            *([f"the checkpoint of step {newest.step}"] if newest else []),
            *([f"the generators of steps {', '.join(kept)}"] if kept else []),
        ]
        raise RunError(f"{sentence}; intact in {self.folder}: {' and '.join(intact) or 'nothing, it was too early'}")

    def _kept(self) -> list[Path]:
        return sorted((self.folder / GENERATORS_FOLDER).glob("step-*"))

    def _check_collapse(self, step: int, share: float) -> None:
        """A fall under the bound after having been above it, or never having got above it by a quarter of the way."""
        low = self._is_low(share)
        self.progress.was_diverse |= not low
        if not low or not (self.progress.was_diverse or step >= self.settings.steps / 4):
            return
        sentence = (
            f"samples collapsed at step {step}: they differ {share:.3f} times as much as real images do, under the "
            f"bound training.min_diversity={self.settings.min_diversity}"
        )
        first, self.progress.collapsed = not self.progress.collapsed, True
        if self.settings.on_collapse == "stop":
            raise RunError(f"{sentence}; try another seed, a lower learning rate for D, or another game")
        if first:
            self.reporter.note(f"{sentence}; such generators are not selected")

    # --- checkpoints

    def _checkpoint_is_due(self) -> bool:
        return time.monotonic() - self.saved_at >= self.save_interval

    def _save(self) -> None:
        if self.settings.on_nan == "stop" and not all(torch.isfinite(value) for value in self.meter.sums.values()):
            return  # The tick will stop this run; what is on the disk is healthy.
        now = time.monotonic()
        self.progress.seconds += now - self.counted_until
        self.counted_until = now
        state = {name: part.state_dict() for name, part in self.saved.items()}
        self._check_finite(self.progress.step, state)
        self.checkpoints.save(self.progress.step, state)
        self.saved_at = time.monotonic()
        self._pace_saving(self.saved_at - now)

    def _pace_saving(self, took: float) -> None:
        """The interval that was asked for, or a longer one where saving would cost too much of the time; 0 is meant."""
        asked = self.settings.checkpoint_seconds
        self.save_interval = max(asked, took / SAVING_SHARE) if asked else 0.0
        if self.save_interval > self.stated_interval * (1 if self.stated_interval == asked else 2):
            self.stated_interval = self.save_interval
            self.reporter.note(
                f"a checkpoint took {took:.2g} s to write: there is one every {self.save_interval:.3g} s in place of "
                f"{asked:g}, so that they cost {SAVING_SHARE:.0%} of the time; as much work is lost when a process dies"
            )

    def _resume(self) -> None:
        with ranks.lead_first():
            loaded = self.checkpoints.load_newest(self.reporter.note, self.device)
        if loaded is None:
            return
        step, state = loaded
        for name, part in self.saved.items():
            part.load_state_dict(state[name])
        if step < self.settings.steps:
            self.reporter.note(f"going on from the checkpoint of step {step}")
        before, self.progress.threads = self.progress.threads, torch.get_num_threads()
        if before != self.progress.threads:
            self.reporter.note(
                f"now {self.progress.threads} threads, {before} before: the result will not equal an uninterrupted "
                "run's bit for bit"
            )


def _memory_gb(device: torch.device) -> float:
    """Peak memory on an accelerator, resident memory of the process on the CPU; in GB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return float(psutil.Process().memory_info().rss) / 1e9
