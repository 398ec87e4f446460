"""The leaderboard of trials that did well, badly, and not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import (
    LEADERBOARD_FILE,
    LEADERBOARD_PAGE_FILE,
    Choice,
    Figures,
    Leaderboard,
    StageFailure,
    Training,
)
from components.context import RunContext
from components.rank_trials import step
from components.rank_trials.tables import table
from components.stage.stage import open_stage
from gan_models.errors import RunError
from gan_models.metrics.protocol import Protocol, Reference

FD = "FD-classifier"


def protocol(split: str, samples: int = 50) -> Protocol:
    reference = Reference(data="d", source="s", split=split, images=50)
    return Protocol(extractor={"name": "classifier"}, reference=reference, samples=samples, parameters={})


@pytest.fixture
def trial(tmp_path: Path) -> Callable[..., tuple[dict[str, Any], list[Path]]]:
    """Its entry and the folders of its three stages."""

    def trial(
        name: str,
        score: float = 1.0,
        *,
        test: float = 4.0,
        collapsed: bool = False,
        fails: str = "",
        metric: str = FD,
        samples: int = 50,
        digest: str = "",
    ) -> tuple[dict[str, Any], list[Path]]:
        folders = [tmp_path / name / stage for stage in ("train_gan", "select_checkpoint", "evaluate_gan")]
        training, choice, report = folders
        for folder in folders:
            folder.mkdir(parents=True)
        Training(
            recipe="r", recipe_digest=digest or name, data_fingerprint="f", seed=3, steps=9, seconds=1.0,
            collapsed=collapsed, unhealthy_steps=(), generators=2, last_metrics={}, environment={},
        ).write(training)  # fmt: skip
        Choice(
            step=7, score=score, metric=FD, protocol=protocol("validation"), candidates=2, collapsed=0,
        ).write(choice)  # fmt: skip
        (choice / "generator.safetensors").write_text(name)
        metrics = {metric: test, "IS-classifier": 2.0, "confidence-classifier": 0.5}
        Figures(metrics=metrics, headline=[metric, "IS-classifier"], protocol=protocol("test", samples)).write(report)
        failed = False
        for folder in folders:
            failed = failed or folder.name == fails
            if failed:
                for file in folder.iterdir():
                    file.unlink()
                StageFailure(run_id="x", stage=fails, sentence="the loss | is <NaN>").write(folder)
        settings = {"optimizers.generator.lr": name, "seed": "3"}
        entry = {"key": f"key-{name}", "name": f"lr={name}", "settings": settings, "varied": [*settings], "seed": 3}
        return {**entry, "recipe_digest": name}, folders

    return trial


@pytest.fixture
def rank(tmp_path: Path) -> Callable[..., Leaderboard]:
    def rank(*trials: tuple[dict[str, Any], list[Path]]) -> Leaderboard:
        trainings, choices, reports = zip(*(folders for _, folders in trials), strict=True)
        request = step.Request(
            entries=[entry for entry, _ in trials], trainings=trainings, choices=choices, reports=reports,
            output=tmp_path / "out/leaderboard", selected=tmp_path / "out/selected", report=tmp_path / "out/report",
        )  # fmt: skip
        with open_stage("rank_trials", RunContext(state_dir=str(tmp_path / "state"))) as stage:
            return step.run(request, stage)

    return rank


def test_the_lowest_distance_is_first_and_handed_on(trial: Callable, rank: Callable, tmp_path: Path) -> None:
    """By the validation split: what the test split says of a trial is not what it is chosen by."""
    board = rank(trial("a", 3.0, test=1.0), trial("b", 1.0, test=2.5), trial("c", 2.0, test=2.0))
    assert [(one.place, one.name, one.score, one.figure, one.step) for one in board.trials] == [
        (1, "lr=b", 1.0, 2.5, 7),
        (2, "lr=c", 2.0, 2.0, 7),
        (3, "lr=a", 3.0, 1.0, 7),
    ]
    assert (board.ranked_by, board.split, board.metric) == (FD, "validation", FD)
    assert board.best == board.trials[0]
    assert board.trials[0].figures == {FD: 2.5, "IS-classifier": 2.0}
    assert Leaderboard.read(tmp_path / "out/leaderboard") == board
    assert (tmp_path / "out/selected/generator.safetensors").read_text() == "b"
    assert Figures.read(tmp_path / "out/report").metrics[FD] == 2.5


def test_collapsed_and_failed_trials_are_listed_behind_and_never_the_best(trial: Callable, rank: Callable) -> None:
    board = rank(
        trial("failed", fails="train_gan"),
        trial("collapsed", 0.1, collapsed=True),
        trial("late", fails="evaluate_gan"),
        trial("nothing-left", collapsed=True, fails="select_checkpoint"),
        trial("good", 5.0),
    )
    assert [(one.place, one.name, one.status) for one in board.trials] == [
        (1, "lr=good", "finished"),
        (None, "lr=collapsed", "collapsed"),
        (None, "lr=nothing-left", "collapsed"),
        (None, "lr=failed", "failed"),
        (None, "lr=late", "failed"),
    ]
    assert board.trials[3].sentence == "train_gan: the loss | is <NaN>"
    assert board.trials[4].sentence.startswith("evaluate_gan: ")


def test_a_figure_measured_in_another_way_is_not_compared(trial: Callable, rank: Callable) -> None:
    board = rank(trial("a", 3.0), trial("b", 0.1, samples=20), trial("c", 0.2, metric="FD-efficientnet-lite0"))
    ranked = [(one.place, one.name, one.score) for one in board.trials]
    assert ranked == [(1, "lr=a", 3.0), (None, "lr=b", None), (None, "lr=c", None)]
    assert board.trials[1].sentence == "samples 20 and 50, so it is not compared with the others"
    assert board.trials[2].sentence.startswith("judged by FD-classifier and FD-efficientnet-lite0, so it is not")


def test_where_no_trial_finished_the_stage_fails_and_the_leaderboard_is_there(
    trial: Callable, rank: Callable, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=r"no trial finished.* of lr=b: the training collapsed"):
        rank(trial("a", fails="train_gan"), trial("b", collapsed=True))
    assert Leaderboard.read(tmp_path / "out/leaderboard").best is None
    assert not (tmp_path / "out/selected").exists()


def test_folders_of_another_trial_are_noticed(trial: Callable, rank: Callable) -> None:
    with pytest.raises(RunError, match="is not the training of the trial lr=a"):
        rank(trial("a", digest="other"))


def test_a_table_for_people(trial: Callable, rank: Callable, tmp_path: Path) -> None:
    board = rank(trial("1e-4", 3.0), trial("1e30", fails="train_gan"))
    assert table(board) == [
        ["", "lr", "seed", "validation", FD, "step", "status"],
        ["1", "1e-4", "3", "3", "4", "7", "finished"],
        ["", "1e30", "3", "", "", "", "failed"],
    ]
    markdown = (tmp_path / "out/leaderboard" / LEADERBOARD_FILE).read_text()
    assert "| 1 | 1e-4 | 3 | 3 | 4 | 7 | finished |" in markdown
    assert r"- lr=1e30: train_gan: the loss \| is \<NaN\>" in markdown
    page = (tmp_path / "out/leaderboard" / LEADERBOARD_PAGE_FILE).read_text()
    assert "<td>1e-4</td>" in page
    assert "&lt;NaN&gt;" in page
    assert "IS-classifier" in page
