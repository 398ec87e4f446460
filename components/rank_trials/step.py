"""Ranks the trials of a sweep by the score that generators are chosen by, and hands on the best one.

That is on the validation split, as for checkpoints: the figures of the test split stay what nothing was chosen by.
A trial that failed or collapsed is listed as such, behind the others, and never handed on.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

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
    seen = [_look_at(entry, *each) for entry, each in zip(request.entries, folders, strict=True)]
    first = next((judged for _, judged in seen if judged), None)
    board = Leaderboard(
        ranked_by=first.choice.metric if first else "",
        split=first.choice.protocol.reference.split if first else "",
        metric=deciding(first.figures.metrics) if first else "",
        varied=request.entries[0].varied,
        trials=_ranked([_placed(trial, judged, first) for trial, judged in seen]),
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
        said = board.trials[0]
        raise RunError(f"no trial finished, so none is the best; of {said.name}: {said.sentence or said.status}")
    stage.headline(best.figures, markdown(board), tags={"best_trial": best.name})
    stage.note(f"{best.name} is the best of {len(board.trials)} trials: {board.ranked_by} {best.score:.4g}")
    place = [entry.key for entry in request.entries].index(best.key)
    for source, copy in ((request.choices[place], request.selected), (request.reports[place], request.report)):
        with new_folder(copy) as target:
            shutil.copytree(source, target, copy_function=link_or_copy, dirs_exist_ok=True)
    return board


class Judged(NamedTuple):
    """What is known of a trial that got so far."""

    choice: Choice
    figures: Figures


def _look_at(entry: Entry, training: Path, choice: Path, report: Path) -> tuple[RankedTrial, Judged | None]:
    """A trial without its place, and how it was judged."""
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
    judged = Judged(Choice.read(choice), Figures.read(report))
    trial = RankedTrial(
        place=None,
        **about,
        status="collapsed" if trained.collapsed else "finished",
        step=judged.choice.step,
        figures={name: judged.figures.metrics[name] for name in judged.figures.headline},
        sentence="the training collapsed" if trained.collapsed else "",
    )
    return trial, judged


def _difference(ours: Judged, theirs: Judged) -> str:
    """Why two trials cannot be compared, "" where they can: by score and figure, each made by its protocol."""
    keys = [(each.choice.metric, deciding(each.figures.metrics)) for each in (ours, theirs)]
    if keys[0] != keys[1]:
        return f"judged by {' and '.join(filter(None, keys[0]))}"
    pairs = ((ours.choice, theirs.choice), (ours.figures, theirs.figures))
    return next((found for one, other in pairs if (found := one.protocol.difference(other.protocol))), "")


def _placed(trial: RankedTrial, judged: Judged | None, first: Judged | None) -> RankedTrial:
    """With score and figure, where they are measured like those of the first trial that has any."""
    if judged is None or first is None:
        return trial
    if difference := _difference(judged, first):
        why = f"{difference}, so it is not compared with the others"
        return trial.model_copy(update={"sentence": trial.sentence or why})
    figure = judged.figures.metrics.get(deciding(judged.figures.metrics))
    return trial.model_copy(update={"score": judged.choice.score, "figure": figure})


def _ranked(trials: Sequence[RankedTrial]) -> list[RankedTrial]:
    """Finished ones first, then collapsed, then failed ones; the lowest score first, those without one last."""
    order = ("finished", "collapsed", "failed")
    found = sorted(trials, key=lambda one: (order.index(one.status), one.score is None, one.score or 0.0))
    has_place = [trial.status == "finished" and trial.score is not None for trial in found]
    return [
        trial.model_copy(update={"place": number}) if placed else trial
        for number, (trial, placed) in enumerate(zip(found, has_place, strict=True), 1)
    ]
