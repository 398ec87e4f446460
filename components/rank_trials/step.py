"""Ranks the trials of a sweep by the figure that generators are chosen by, and hands on the best one.

A trial that failed or collapsed is listed as such, behind the others, and never handed on.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from components.artifacts import (
    LEADERBOARD_FILE,
    LEADERBOARD_PAGE_FILE,
    Choice,
    Figures,
    Leaderboard,
    RankedTrial,
    Training,
)
from components.rank_trials.tables import markdown, page
from components.stage.request import StageRequest
from components.stage.stage import Stage
from components.stage.trials import failure_in
from components.tracking.journal import link_or_copy
from gan_models.atomic import new_folder, write_text
from gan_models.errors import RunError
from gan_models.metrics.scores import deciding


class Entry(BaseModel):
    """What a trial is."""

    key: str
    name: str
    settings: dict[str, str]
    varied: list[str]  # the keys of these in their order, which a mapping loses on the way through KFP
    seed: int
    recipe_digest: str
    """Of what it was to be trained with: the folders of a trial are known by it and the seed."""


class Request(StageRequest):
    """Which trials there are, and what came of them; the lists are in the same order."""

    entries: list[Entry]
    trainings: list[Path]
    choices: list[Path]
    reports: list[Path]
    output: Path
    selected: Path  # filled from the best trial, as is
    report: Path


def run(request: Request, stage: Stage) -> Leaderboard:
    """Writes the leaderboard; RunError where there is no trial to hand on, or folders are not those of the trials."""
    folders = list(zip(request.trainings, request.choices, request.reports, strict=True))
    if len(folders) != len(request.entries):
        raise RunError(
            f"there are {len(request.entries)} trials and the outputs of {len(folders)}: start the sweep anew"
        )
    trials = [_look_at(entry, *each) for entry, each in zip(request.entries, folders, strict=True)]
    measure = next((_measure(figures) for _, figures in trials if figures is not None), "")
    board = Leaderboard(
        metric=measure,
        varied=request.entries[0].varied,
        trials=_ranked([_placed(trial, figures, measure) for trial, figures in trials]),
    )
    with new_folder(request.output) as target:
        board.write(target)
        write_text(target / LEADERBOARD_FILE, markdown(board))
        write_text(target / LEADERBOARD_PAGE_FILE, page(board))
    for file in (Leaderboard.FILE, LEADERBOARD_FILE, LEADERBOARD_PAGE_FILE):
        stage.log_artifact(request.output / file)
    counts = {status: sum(trial.status == status for trial in board.trials) for status in ("collapsed", "failed")}
    stage.log_metrics({"trials": len(board.trials), **counts})
    best = board.best
    if best is None:
        stage.headline({}, markdown(board))
        first = board.trials[0]
        raise RunError(f"no trial finished, so none is the best; of {first.name}: {first.sentence or first.status}")
    stage.headline(best.figures, markdown(board), tags={"best_trial": best.name})
    stage.note(f"{best.name} is the best of {len(board.trials)} trials: {board.metric} {best.figure:.4g}")
    place = [entry.key for entry in request.entries].index(best.key)
    for source, copy in ((request.choices[place], request.selected), (request.reports[place], request.report)):
        with new_folder(copy) as target:
            shutil.copytree(source, target, copy_function=link_or_copy, dirs_exist_ok=True)
    return board


def _look_at(entry: Entry, training: Path, choice: Path, report: Path) -> tuple[RankedTrial, Figures | None]:
    """A trial without its place, and the figures of its evaluation where it got so far."""
    about = entry.model_dump(exclude={"recipe_digest", "varied"})
    failures = (failure_in(folder) for folder in (training, choice, report))
    sentence = next((f"{failure.stage}: {failure.sentence}" for failure in failures if failure), "")
    if failure_in(training):
        return RankedTrial(place=None, **about, status="failed", sentence=sentence), None
    trained = Training.read(training)
    if (trained.recipe_digest, trained.seed) != (entry.recipe_digest, entry.seed):
        raise RunError(f"what lies at {training} is not the training of the trial {entry.name}: start the sweep anew")
    if sentence:  # of a collapse the choice of a checkpoint, which finds none, is the consequence
        status: Literal["collapsed", "failed"] = "collapsed" if trained.collapsed else "failed"
        return RankedTrial(place=None, **about, status=status, sentence=sentence), None
    figures = Figures.read(report)
    trial = RankedTrial(
        place=None,
        **about,
        status="collapsed" if trained.collapsed else "finished",
        step=Choice.read(choice).step,
        figures={name: figures.metrics[name] for name in figures.headline},
        sentence="the training collapsed" if trained.collapsed else "",
    )
    return trial, figures


def _measure(figures: Figures) -> str:
    """What the deciding figures of two trials must have in common to be compared: whatever identifies the measurement.

    That is the full name today; a digest of the protocol beside the figures belongs in here, and nowhere else.
    """
    return deciding(figures.metrics)


def _placed(trial: RankedTrial, figures: Figures | None, measure: str) -> RankedTrial:
    """With the deciding figure, where the trial has one that is measured like those of the others."""
    if figures is None:
        return trial
    if not measure or _measure(figures) != measure:
        why = f"judged by {_measure(figures) or 'no figure that decides'}, so it is not compared with the others"
        return trial.model_copy(update={"sentence": trial.sentence or why})
    return trial.model_copy(update={"figure": figures.metrics[deciding(figures.metrics)]})


def _ranked(trials: Sequence[RankedTrial]) -> list[RankedTrial]:
    """Finished ones first, then collapsed, then failed ones; the lowest figure first, those without one last."""
    order = ("finished", "collapsed", "failed")
    found = sorted(trials, key=lambda one: (order.index(one.status), one.figure is None, one.figure or 0.0))
    has_place = [trial.status == "finished" and trial.figure is not None for trial in found]
    return [
        trial.model_copy(update={"place": number}) if placed else trial
        for number, (trial, placed) in enumerate(zip(found, has_place, strict=True), 1)
    ]
