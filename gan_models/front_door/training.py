"""From a source and a recipe to a trained generator, in this process."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor

from gan_models.data.sources import parse_source
from gan_models.data.table import ImageTable
from gan_models.data.table_file import TABLE_FILE
from gan_models.errors import RequestError, RunError, home_path
from gan_models.files import CHECKPOINTS_FOLDER, HISTORY_FILE
from gan_models.front_door.display import Display, display
from gan_models.front_door.drawing import chosen_device
from gan_models.front_door.preparing import import_into, named
from gan_models.recipes import Recipe, load_recipe, model_document, recipe_digest
from gan_models.recipes.loading import overridden, parse_recipe
from gan_models.recipes.schema import Data
from gan_models.sampling.generator import MOST_EXAMPLES, LoadedGenerator, Samples, load_generator, save_examples
from gan_models.sampling.locating import last_generator
from gan_models.training.continuing import begin_from, find_shorter
from gan_models.training.loop import Outcome, Stopped
from gan_models.training.loop import train as run_loop

DATA_FOLDER = "data"


@dataclass(frozen=True, eq=False)
class Trained:
    """A finished training."""

    folder: Path
    """Holds generators/ (kept on the way, `training.keep` of them), samples/ (a grid each tick), history.csv and
    checkpoints/."""
    recipe: Recipe
    table: ImageTable
    outcome: Outcome
    device: torch.device

    @cached_property
    def generator(self) -> LoadedGenerator:
        """The last one. Which of those kept is the best is for `gan-pipeline run` to say: it measures them all."""
        return load_generator(_last(self.folder), self.device)

    def sample(
        self,
        num: int = 64,
        *,
        seed: int = 0,
        labels: Tensor | Sequence[str | int] | str | None = None,
        truncation: float | None = None,
    ) -> Samples:
        """Draws images from the last generator, as `LoadedGenerator.sample`."""
        return self.generator.sample(num, seed=seed, labels=labels, truncation=truncation)

    @cached_property
    def history(self) -> dict[str, list[float]]:
        """Columns of history.csv by name (`step`, `G/loss`, `D/loss`, `G/diversity` ...), a row each `training.tick`
        steps; NaN where a metric was not measured."""
        with (self.folder / HISTORY_FILE).open(newline="") as file:
            rows = list(csv.DictReader(file))
        return {name: [float(row[name] or math.nan) for row in rows] for name in (rows[0] if rows else ())}

    def __repr__(self) -> str:
        collapsed = ", collapsed" if self.outcome.collapsed else ""
        return f"<{self.recipe.name} after {self.outcome.steps} steps{collapsed}, in {self.folder}>"


def train(
    source: str | Path | ImageTable,
    recipe: str | Path | Recipe = "dcgan",
    folder: str | Path = "trainings",
    *,
    steps: int | None = None,
    size: int | tuple[int, int] | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    device: str | torch.device = "auto",
    progress: bool = True,
) -> Trained:
    """Trains a recipe on a source, in this process, and returns when it has ended.

    Each training has a folder of its own in `folder`, named after what decides its result; the prepared images lie
    beside it, in data/. The same call goes on from the newest checkpoint of a training that was interrupted, returns at
    once what has ended, and with more `steps` goes on from the end of the shorter one. The global random state and
    number of threads of torch are set.

    Args:
        source: as `gm.prepare` takes it; or an `ImageTable` that it returned, or the folder of one.
        recipe: a recipe's name (`gm.recipe_names()`), the path of a YAML, or a `Recipe`.
        folder: where trainings are kept.
        steps: `training.steps` of the recipe.
        size: `data.size`, the side of square images in pixels, or (height, width).
        settings: any others by their names, such as `{"training.batch_size": 32, "networks.latent": 64}`.
        device: `auto` is the GPU where there is one.
        progress: whether to show a bar, and sentences on the way.

    Raises:
        RequestError: an unknown source, recipe or setting; source and recipe that do not go together; another process
            that trains there.
        RunError: the training diverged or collapsed and the recipe says stop.
        KeyboardInterrupt: it was interrupted; what it had done is saved.
    """
    place, chosen = home_path(folder), chosen_device(device)
    asked = {**(settings or {}), **_given({"training.steps": steps, "data.size": size})}
    if repeated := [name for name in asked if name in (settings or {}) and asked[name] != (settings or {})[name]]:
        raise RequestError(f"{repeated[0]} is given twice, with different values: give one of them")
    if not 0 <= seed < 2**63:
        raise RequestError(f"seed={seed}: expected a whole number from 0 on")
    table = _table_of(source)
    if table is None:
        assert not isinstance(source, ImageTable)
        whole = _recipe(recipe, {**asked, "data.source": named(source)}).completed()
        _check(whole)
        name = parse_source(whole.data.source, whole.data.fields)
        missing = whole.needs - name.carried()
        if missing:
            raise RequestError(_lacks(whole, whole.data.source, missing))
        if whole.game.most_domains and not name.known.needs_network:
            whole.check_domains(whole.data.source, name.open().domain_names)
        table = _prepared(whole.data, place / DATA_FOLDER, progress)
    else:
        whole = _of_table(_recipe(recipe, {k: v for k, v in asked.items() if not k.startswith("data.")}), table, asked)
        _check(whole)
    return _train(whole, table, place, seed, chosen, progress)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _recipe(recipe: str | Path | Recipe, settings: Mapping[str, Any]) -> Recipe:
    """With the settings; RequestError where there is none, or it has no such settings."""
    overrides = []
    for name, value in settings.items():
        try:
            overrides.append(f"{name}={json.dumps(value)}")
        except (TypeError, ValueError):
            raise RequestError(f"{name}: expected a number, text, a list or a mapping (got {value!r})") from None
    if isinstance(recipe, Recipe):
        return overridden(recipe.model_dump(mode="json"), overrides, f"recipe {recipe.name!r}")
    text = str(recipe) if isinstance(recipe, str) else f"{recipe.absolute()}"
    return load_recipe(text, overrides)


def _of_table(recipe: Recipe, table: ImageTable, asked: Mapping[str, Any]) -> Recipe:
    """For images that have been prepared already, as they are."""
    have = table.metadata.options
    for name, value in asked.items():
        section, _, key = name.partition(".")
        if section == "data" and have.get(key) != (list(value) if isinstance(value, tuple) else value):
            raise RequestError(
                f"{name}={value!r}: {table.folder} was prepared with {key}={have.get(key)!r}; prepare the images "
                "again, into another folder"
            )
    return parse_recipe(model_document(recipe) | {"data": have}, origin=f"recipe {recipe.name!r}")


def _check(recipe: Recipe) -> None:
    if (recipe.training.ranks or 1) > 1:
        raise RequestError(
            f"training.ranks={recipe.training.ranks}: gm.train is one process; `gan-pipeline run` trains in several"
        )


def _lacks(recipe: Recipe, source: str, missing: frozenset[str]) -> str:
    others = "such as dcgan" if missing == {"labels"} else "that goes without"
    return f"recipe {recipe.name!r} needs {' and '.join(sorted(missing))}, and {source} has none: use a recipe {others}"


def _table_of(source: str | Path | ImageTable) -> ImageTable | None:
    """A data set that was given, or whose folder was; None where it has to be prepared first."""
    if isinstance(source, ImageTable):
        return source
    folder = home_path(source)
    return ImageTable.open(folder) if (folder / TABLE_FILE).is_file() else None


def _prepared(data: Data, place: Path, progress: bool) -> ImageTable:
    """The data set of these options and this content, prepared where it is not there yet."""
    source = parse_source(data.source, data.fields)
    decides = json.dumps([data.model_dump(mode="json"), source.digest()], sort_keys=True)
    output = place / f"{source.short}-{hashlib.sha256(decides.encode()).hexdigest()[:8]}".replace("/", "-")
    with _alone(place / f".{output.name}.lock", f"another process prepares images in {output}"):
        if not (output / TABLE_FILE).is_file():
            import_into(output, data, progress=progress)
    return ImageTable.open(output)


def _train(recipe: Recipe, table: ImageTable, place: Path, seed: int, device: torch.device, progress: bool) -> Trained:
    def home(recipe: Recipe) -> Path:
        return place / f"{recipe.file_name}-{recipe_digest(recipe)[:8]}-{table.metadata.fingerprint[:8]}-seed{seed}"

    folder = home(recipe)
    split = table.fitting("train", device)
    with _alone(folder / ".lock", f"another process trains in {folder}"):
        with display("training", recipe.training.steps, silent=not progress) as shown, _interruptible() as interrupted:
            _go_on_from_shorter(recipe, home, shown)
            reporter = _Reporter(shown, interrupted)
            try:
                outcome = run_loop(recipe, split, table.metadata, folder, seed=seed, device=device, reporter=reporter)
            except Stopped as stopped:
                at = f"interrupted at step {stopped.step}"
                raise KeyboardInterrupt(f"{at}; the same call goes on from there") from None
            shown.show(outcome.steps, {})
        trained = Trained(folder, recipe, table, outcome, device)
        if trained.generator.module.needs_examples and trained.generator.examples is None:
            held_out = "validation" if table.metadata.count("validation") else "train"
            save_examples(_last(folder), table.mapped(held_out).first(MOST_EXAMPLES))
            trained = Trained(folder, recipe, table, outcome, device)  # which has not loaded it yet
    return trained


def _go_on_from_shorter(recipe: Recipe, home: Callable[[Recipe], Path], shown: Display) -> None:
    """More steps than a training here had: it goes on from its end, where that makes the same."""
    if any((home(recipe) / CHECKPOINTS_FOLDER).glob("step-*")) or recipe.paced_by:
        return
    if shorter := find_shorter(recipe, home):
        begin_from(shorter, recipe, home(recipe), shutil.copy2)
        shown.say(f"going on with the training of {shorter.steps} steps that is here, from step {shorter.step}")


def _last(folder: Path) -> Path:
    kept = last_generator(folder)
    if kept is None:
        raise RunError(f"{folder} holds no generator any more: remove the folder and train again")
    return kept


@contextmanager
def _alone(lock: Path, otherwise: str) -> Iterator[None]:
    """Holds a lock; RequestError where another process does, or where nothing can be written."""
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(lock)
        held.acquire(timeout=0)
    except Timeout:
        raise RequestError(f"{otherwise}: wait for it, or name another folder") from None
    except OSError as error:
        raise RequestError(f"{lock.parent} cannot be written: {error.strerror or error}; name another folder") from None
    try:
        yield
    finally:
        held.release()


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Ctrl-C, or a notebook's stop button, asks for a stop at the next step; a second one does not wait for it."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


class _Reporter:
    """Shows what the loop tells."""

    def __init__(self, shown: Display, interrupted: threading.Event) -> None:
        self._shown, self._interrupted = shown, interrupted

    def progress(self, step: int, figures: Mapping[str, float]) -> None:
        self._shown.show(step, figures)

    def tick(self, step: int, metrics: Mapping[str, float], grid: Path) -> None:
        pass

    def note(self, sentence: str) -> None:
        self._shown.say(sentence)

    def stop_requested(self) -> bool:
        return self._interrupted.is_set()
