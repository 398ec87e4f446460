"""Trains the recipe's GAN on the training split and hands on the generators that were kept on the way.

State that must outlive the process (checkpoints, kept generators, sample grids) lies in the work directory, in a folder
named after everything the training is a pure function of; the stage's output is filled from it at the end.
"""

from __future__ import annotations

import csv
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifacts import Champion, Training
from components.lease import PATIENCE_SECONDS, Lease, term_seconds
from components.stage.environment import environment
from components.stage.progress import Progress
from components.stage.request import StageRequest
from components.stage.stage import Interrupted, Stage, patience_seconds
from components.tracking.journal import link_or_copy
from components.train_gan.supervisor import keep_training, restarts_allowed
from gan_models.atomic import guarded, new_folder
from gan_models.errors import RequestError, RunError
from gan_models.files import CHECKPOINTS_FOLDER, GENERATORS_FOLDER, HISTORY_FILE, SAMPLES_FOLDER
from gan_models.recipes import Recipe, model_document, recipe_digest
from gan_models.recipes.fitting import doubt_of_fit
from gan_models.recipes.loading import parse_recipe

if TYPE_CHECKING:
    from gan_models.data.table_file import TableMetadata
    from gan_models.training.loop import Outcome
    from gan_models.training.warm_start import Start

LEASE_FOLDER = "lease"
_CURVES = ("D/loss", "G/loss", "G/diversity")
_GRID_SERIES = "samples"


class Request(StageRequest):
    """What to train, on what, and where."""

    model: dict[str, Any]
    """The recipe's name, description and the sections that decide the weights (`gan_models.recipes.model_document`)."""
    dataset: Path  # a dataset folder of prepare_data
    output: Path  # the training folder to write: generators/, samples/, history.csv, training.json
    seed: int
    state_dir: Path | None = None  # what outlives this process; default: the work directory of the stage's run
    champion: Path | None = None
    """A folder of find_champion; its generator, where there is one that fits, is what the training starts from."""
    warm_start: bool = False
    """Start from the champion, and keep D's weights beside the generators for the training after this one."""
    code_version: str = ""
    """Changes when the project's code does: a training is never continued by other code than began it."""


def run(request: Request, stage: Stage) -> Training:
    """Trains, or goes on from the newest checkpoint.

    Raises:
        RequestError: recipe and data do not go together, or another run trains here.
        RunError: the training diverged or collapsed and the recipe says stop; another one trains here, on a cluster.
        LeaseLostError: another one has taken over, because this one was not heard of for a while.
        Interrupted: a stop was asked for; the checkpoint is written.
    """
    from gan_models.data.table_file import read_metadata
    from gan_models.training.loop import Stopped

    metadata = read_metadata(request.dataset)
    recipe = parse_recipe(request.model | {"data": metadata.options}, origin="the recipe")
    start = _start(request, recipe, metadata, stage)
    digest = start.digest if start else ""
    state_dir = request.state_dir or Path(stage.context.state_dir)

    def place(recipe: Recipe) -> Path:
        return state_folder(state_dir, recipe, metadata.fingerprint, request.seed, request.code_version, digest)

    folder = place(recipe)
    with _only_here(folder, stage) as lease, stage.progress("training", recipe.training.steps) as bar:
        stage.log_params({**model_document(recipe), "seed": request.seed, **({"start": digest} if digest else {})})
        source, counts = metadata.source, {"counts": metadata.counts}
        stage.log_dataset(source, metadata.fingerprint, source, counts, context="training")
        _go_on_from_shorter(recipe, place, stage)
        _replay_history(folder, stage)
        if doubt := doubt_of_fit(recipe, metadata.channels, len(metadata.class_names)):
            stage.note(doubt)
        try:
            outcome = _train(request, recipe, folder, start, lease, _StageReporter(stage, bar, lease))
        except Stopped as stopped:
            raise Interrupted(f"interrupted at step {stopped.step}; the same command continues from there") from None
        recorded = environment()
        stage.set_tags({**recorded, "recipe": recipe.name, "collapsed": str(outcome.collapsed).lower()})
        result = Training(
            recipe=recipe.name,
            recipe_digest=recipe_digest(recipe),
            data_fingerprint=metadata.fingerprint,
            seed=request.seed,
            generators=sum(1 for _ in (folder / GENERATORS_FOLDER).glob("step-*")),
            environment=recorded,
            **vars(outcome),
        )
        _publish(folder, request.output, result)
    stage.log_artifact(request.output / HISTORY_FILE)
    stage.log_artifact(request.output / Training.FILE)
    return result


def _go_on_from_shorter(recipe: Recipe, place: Callable[[Recipe], Path], stage: Stage) -> None:
    """More steps than a training here had: it goes on from its end, or it is said why not."""
    from gan_models.training.continuing import begin_from, find_shorter

    if any((place(recipe) / CHECKPOINTS_FOLDER).glob("step-*")):
        return
    shorter = find_shorter(recipe, place)
    if shorter is None:
        return
    if recipe.paced_by:
        stage.note(
            f"the training of {shorter.steps} steps that is here cannot be gone on with: by {recipe.paced_by} each of "
            f"its steps would have been another one of {recipe.training.steps}; training from the start"
        )
        return
    begin_from(shorter, recipe, place(recipe), link_or_copy)
    stage.note(f"going on with the training of {shorter.steps} steps that is here, from step {shorter.step}")


def _train(
    request: Request, recipe: Recipe, folder: Path, start: Start | None, lease: Lease, reporter: _StageReporter
) -> Outcome:
    """In this process, or in one for each GPU: of this machine, or of the nodes that the environment names."""
    import torch

    from components.train_gan.rank import Job, train_together
    from components.train_gan.train_job import Nodes, train_on_nodes
    from gan_models import ranks

    job = Job(
        recipe=recipe.model_dump(mode="json"),
        dataset=request.dataset,
        folder=folder,
        seed=request.seed,
        start=request.champion and Champion.generator(request.champion) if start else None,
        keep_discriminator=request.warm_start,
    )
    restarts = restarts_allowed()
    if nodes := Nodes.from_environment():
        nodes.check(recipe)
        train = partial(train_on_nodes, job, nodes, reporter)
    else:
        count = ranks.wanted(recipe, torch.cuda.device_count())
        if count == 1 and not restarts:
            return job.train(torch.device("cuda" if torch.cuda.is_available() else "cpu"), reporter)
        train = partial(train_together, job.model_copy(update={"fence": lease.fence}), count, reporter)
    return keep_training(train, folder / CHECKPOINTS_FOLDER, restarts, reporter)


def _start(request: Request, recipe: Recipe, metadata: TableMetadata, stage: Stage) -> Start | None:
    """The champion's weights, if asked for and if they fit: a new class in the data must not end a schedule."""
    from gan_models.training.warm_start import read_start

    champion = Champion.generator(request.champion) if request.warm_start and request.champion else None
    if champion is None:
        return None
    try:
        start = read_start(champion, recipe, metadata)
    except RequestError as error:
        stage.note(f"no warm start: {error}; training from random weights")
        return None
    stage.note(f"starting from the champion's {'G and D' if start.discriminator else 'G'}")
    return start


def state_folder(
    state_dir: Path, recipe: Recipe, fingerprint: str, seed: int, code_version: str = "", start: str = ""
) -> Path:
    """Where the training of (recipe, data, seed, code, start) keeps its state: another one of them, another folder."""
    code = f"-{hashlib.sha256(code_version.encode()).hexdigest()[:6]}" if code_version else ""
    begun = f"-from-{start[:8]}" if start else ""
    name = f"{recipe.file_name}-{recipe_digest(recipe)[:8]}-{fingerprint[:8]}-seed{seed}{begun}{code}"
    return state_dir / "training" / name


def _replay_history(folder: Path, stage: Stage) -> None:
    """Logs the ticks of earlier attempts again: the journal leaves out what it has, and a new one starts complete."""
    if not (folder / HISTORY_FILE).is_file():
        return
    with (folder / HISTORY_FILE).open(newline="") as file:
        for row in csv.DictReader(file):
            step = int(float(row.pop("step")))
            _log_tick(stage, step, {name: float(value) for name, value in row.items() if value})
            grid = folder / SAMPLES_FOLDER / f"step-{step:06d}.png"
            if grid.is_file():
                stage.log_image(grid, _GRID_SERIES, step)


def _log_tick(stage: Stage, step: int, metrics: Mapping[str, float]) -> None:
    """All figures are the stage's; those that show how it goes are the pipeline's, too."""
    stage.log_metrics(metrics, step=step)
    stage.headline({name: value for name, value in metrics.items() if name in _CURVES}, step=step)


class _StageReporter:
    """Passes what the loop says on to the stage."""

    def __init__(self, stage: Stage, bar: Progress, lease: Lease) -> None:
        self._stage = stage
        self._bar = bar
        self._lease = lease

    def progress(self, step: int, figures: Mapping[str, float]) -> None:
        self._bar.set(step, **figures)

    def tick(self, step: int, metrics: Mapping[str, float], grid: Path) -> None:
        _log_tick(self._stage, step, metrics)
        self._stage.log_image(grid, _GRID_SERIES, step)

    def note(self, sentence: str) -> None:
        self._stage.note(sentence)

    def stop_requested(self) -> bool:
        if self._lease.lost:
            self._lease.check()  # there is nothing to save any more
        return self._stage.stop_requested


@contextmanager
def _only_here(folder: Path, stage: Stage) -> Iterator[Lease]:
    """Holds the folder's lease while entered, so that one process at a time writes there (`components.lease`).

    It is the stage's: a training process that is started again, or that writes for it, has the same number.
    """
    sentence = f"another process is training in {folder}"
    lease = Lease(folder / LEASE_FOLDER, f"the training in {folder}")
    patience = patience_seconds()
    waiting = stage.while_waiting(f"{sentence}: waiting until it has ended, or was silent for {term_seconds():g} s")
    if not lease.acquire(patience, waiting):
        if patience == PATIENCE_SECONDS:
            raise RequestError(f"{sentence}: wait for it, or use another work directory")
        raise RunError(f"{sentence}, still: see whether an earlier pod of it is alive")
    try:
        with guarded(lease.check):
            yield lease
    finally:
        lease.release()


def _publish(folder: Path, output: Path, result: Training) -> None:
    """Fills the stage's output from the state folder, by hard links where the file system allows."""
    with new_folder(output) as target:
        for part in (GENERATORS_FOLDER, SAMPLES_FOLDER):
            if (folder / part).is_dir():
                left_out = shutil.ignore_patterns(".*")
                shutil.copytree(folder / part, target / part, copy_function=link_or_copy, ignore=left_out)
        link_or_copy(folder / HISTORY_FILE, target / HISTORY_FILE)
        result.write(target)
