"""Chooses the best of the generators that a training kept: the nearest to images it was not trained on."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field

from components.artifacts import (
    SELECTION_CURVE_FILE,
    SELECTION_TABLE_FILE,
    Choice,
    Curves,
    ScoredCheckpoint,
    Training,
    write_selection_table,
)
from components.markdown import plain
from components.stage.request import StageRequest
from components.stage.stage import Stage
from components.tracking.journal import link_or_copy
from gan_models.atomic import new_folder
from gan_models.errors import RequestError, RunError
from gan_models.files import GENERATORS_FOLDER, HISTORY_FILE, INFO_FILE
from gan_models.metrics.locations import default_cache
from gan_models.recipes.schema import Evaluation, Selection

if TYPE_CHECKING:
    from gan_models.metrics.extraction import Extracted
    from gan_models.metrics.judge import Judge
    from gan_models.metrics.metric import Metric
    from gan_models.metrics.protocol import Protocol
    from gan_models.sampling.generator import GeneratorInfo


class Request(StageRequest):
    """What to choose from, and how."""

    training: Path
    dataset: Path
    selection: Selection
    evaluation: Evaluation
    output: Path  # the chosen generator folder to write, with the reasons for the choice beside it
    cache_dir: Path = Field(default_factory=default_cache)
    seed: int


class Candidate(NamedTuple):
    """A kept generator and its score."""

    folder: Path
    info: GeneratorInfo
    score: float
    metric: Metric
    name: str  # the key of the score
    protocol: Protocol
    needs_examples: bool

    @property
    def eligible(self) -> bool:
        return not self.info.collapsed and math.isfinite(self.score)


def run(request: Request, stage: Stage) -> Choice:
    """Scores every kept generator on the validation split and writes the best one.

    Raises:
        RequestError: the training folder holds no generators, the extractor does not fit the data, or too few samples
            are asked for.
        RunError: all of them have collapsed, or none is finite.
    """
    from gan_models.data.table import ImageTable
    from gan_models.metrics.judge import Judge, reference_split
    from gan_models.sampling.generator import is_finite

    started = time.monotonic()
    if request.selection.samples < 2:
        raise RequestError("selection.samples must be at least 2: one image has no spread to measure")
    folders = sorted(file.parent for file in (request.training / GENERATORS_FOLDER).glob(f"step-*/{INFO_FILE}"))
    if not folders:
        raise RequestError(
            f"{request.training} is not a training folder: it has no {GENERATORS_FOLDER}/step-*; run train_gan first"
        )
    if broken := [folder.name for folder in folders if not is_finite(folder)]:
        stage.note(f"left out, because their weights are not finite: {', '.join(broken)}")
        folders = [folder for folder in folders if folder.name not in broken]
    if not folders:
        raise RunError(
            f"no checkpoint of {request.training} has finite weights: train again with lower optimizers.*.lr, or "
            "training.precision=fp32"
        )
    table = ImageTable.open(request.dataset)
    stage.log_params({"selection": request.selection, "evaluation": request.evaluation, "seed": request.seed})
    judge = Judge.for_table(table, request.evaluation, cache=request.cache_dir, bars=stage.progress)
    stage.note(judge.sentence())
    split = reference_split(table.metadata, "validation")
    if split != "validation":
        stage.note(f"the data has no validation images: checkpoints are selected on the {split} split")
    reference = judge.real(split, request.selection.samples)
    candidates = []
    with stage.progress("scoring checkpoints", len(folders)) as bar:
        for folder in folders:
            candidates.append(candidate := _scored(folder, judge, split, reference, request))
            figures = {candidate.name: candidate.score, "diversity": candidate.info.diversity}
            stage.log_checkpoint(folder.name, candidate.info.step, figures)
            curve = {f"{split}/{name}": value for name, value in figures.items()}
            stage.headline(curve, step=candidate.info.step)
            bar.advance(step=str(candidate.info.step), score=candidate.score)
    best = _best(candidates, request.training)
    result = Choice(
        step=best.info.step,
        score=best.score,
        metric=best.name,
        protocol=best.protocol,
        candidates=len(candidates),
        collapsed=sum(candidate.info.collapsed for candidate in candidates),
        seconds=round(time.monotonic() - started, 1),
    )
    with new_folder(request.output) as target:
        _write(target, candidates, best, result, judge)
        _hand_on(request.training, target)
    for file in (SELECTION_CURVE_FILE, SELECTION_TABLE_FILE, Choice.FILE):
        stage.log_artifact(request.output / file)
    stage.log_artifact(request.output / SELECTION_CURVE_FILE, of_pipeline=True)
    said = (
        f"step {result.step} is the best of {result.candidates} checkpoints: {result.metric} {result.score:.3g}, "
        f"{result.protocol.sentence}"
    )
    stage.headline({}, f"**Checkpoint** {plain(said)}", {"checkpoint": f"step {result.step}"})
    stage.note(said)
    return result


def _scored(folder: Path, judge: Judge, split: str, reference: Extracted, request: Request) -> Candidate:
    """Every generator draws from the same latents, labels or images: what differs is the generator."""
    from gan_models.metrics.scores import METRICS, chosen_by

    generator, samples = judge.draw(folder, split, request.selection.samples, request.seed)
    features = judge.generated(samples, title="")
    seen = judge.comparison(samples, features, reference, split, request.evaluation.neighbours)
    name = chosen_by(seen)
    score = METRICS[name].of(seen)
    return Candidate(
        folder,
        generator.info,
        score=math.nan if score is None else score.value,
        metric=METRICS[name],
        name=judge.key(name),
        protocol=judge.protocol(seen, split),
        needs_examples=generator.module.needs_examples,
    )


def _best(candidates: list[Candidate], training: Path) -> Candidate:
    eligible = [candidate for candidate in candidates if candidate.eligible]
    if eligible:
        return min(eligible, key=lambda candidate: (candidate.metric.distance(candidate.score), candidate.info.step))
    unscored = next((candidate for candidate in candidates if not candidate.info.collapsed), None)
    if unscored:
        raise RunError(
            f"no checkpoint of {training} that has not collapsed has a score: {unscored.name} is no number by "
            f"{unscored.protocol.sentence}; give more images, or raise selection.samples and data.validation"
        )
    lowest = min(candidate.info.diversity for candidate in candidates)
    highest = max(candidate.info.diversity for candidate in candidates)
    raise RunError(
        f"all {len(candidates)} checkpoints of {training} have collapsed (their samples differ by {lowest:.2g} to "
        f"{highest:.2g} of what real images do): train again with another seed, a lower optimizers.*.lr or a "
        "regularizer"
    )


def _write(target: Path, candidates: list[Candidate], best: Candidate, result: Choice, judge: Judge) -> None:
    from gan_models.sampling.generator import MOST_EXAMPLES, folder_files, save_examples

    for name in folder_files(best.folder):
        link_or_copy(best.folder / name, target / name)
    if best.needs_examples:
        save_examples(target, judge.examples(result.protocol.reference.split, MOST_EXAMPLES))
    table = [(one.info.step, one.score, one.info.collapsed, one.info.diversity) for one in candidates]
    write_selection_table(target, [ScoredCheckpoint(*row) for row in table])
    result.write(target)
    _write_curve(target / SELECTION_CURVE_FILE, candidates, best, result.protocol)


def _hand_on(training: Path, target: Path) -> None:
    """What the evaluation's report tells of the training, which it does not get to see."""
    Curves.of_history(training / HISTORY_FILE).write(target)
    with suppress(RunError):  # a folder of generators is enough to choose from
        Training.read(training).write(target)


def _write_curve(path: Path, candidates: list[Candidate], best: Candidate, protocol: Protocol) -> None:
    """Score by step as PNG: what was chosen and what was refused."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6.4, 3.6), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    alive = [(one.info.step, one.score) for one in candidates if one.eligible]
    refused = [(one.info.step, one.score) for one in candidates if not one.eligible and math.isfinite(one.score)]
    axes.plot(*zip(*alive, strict=True), "o-", color="#33638d", label="checkpoints")
    if refused:
        axes.plot(*zip(*refused, strict=True), "x", color="#c0392b", markersize=9, mew=2, label="collapsed, refused")
    chosen = f"chosen: step {best.info.step}, {best.score:.3g}"
    axes.plot(best.info.step, best.score, "*", color="#e08e0b", markersize=17, label=chosen)
    if min(score for _, score in alive + refused) > 0:
        axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("training step")
    axes.set_ylabel(f"{best.name} ({protocol.reference.split} split)")
    # Small samples raise every point of the curve by about the same: good to compare by, no value to quote.
    title = f"{best.metric.better} is better; compare within the curve only ({protocol.reference.images} real images)"
    axes.set_title(title, fontsize=9)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path)
