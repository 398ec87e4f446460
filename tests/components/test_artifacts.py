"""What select_checkpoint hands on about a training: the curves, and the table of checkpoints."""

import math
from pathlib import Path

from components.artifacts import Curves, ScoredCheckpoint, read_selection_table, write_selection_table


def history(folder: Path, rows: int) -> Path:
    lines = ["step,D/loss,G/loss", *(f"{10.0 * n},{n / 7},{'nan' if n % 2 else ''}" for n in range(1, rows + 1))]
    (folder / "history.csv").write_text("\n".join(lines) + "\n")
    return folder / "history.csv"


def test_curves_hold_every_step_of_a_short_training(tmp_path: Path) -> None:
    found = Curves.of_history(history(tmp_path, 3))
    assert found.steps == [10, 20, 30]
    assert found.series == {"D/loss": [1 / 7, 2 / 7, 3 / 7], "G/loss": [None, None, None]}
    found.write(tmp_path)
    assert Curves.read(tmp_path) == found


def test_long_ones_are_thinned_and_end_where_the_training_did(tmp_path: Path) -> None:
    found = Curves.of_history(history(tmp_path, 5000))
    assert Curves.MOST // 2 < len(found.steps) <= Curves.MOST
    assert found.steps[-1] == 50_000
    assert len({second - first for first, second in zip(found.steps, found.steps[1:], strict=False)}) == 1


def test_no_history_or_a_damaged_one_is_no_curve(tmp_path: Path) -> None:
    assert Curves.of_history(tmp_path / "history.csv").steps == []
    (tmp_path / "history.csv").write_text("step,a\nnot,a number\n")
    assert Curves.of_history(tmp_path / "history.csv").steps == []


def test_the_selection_table_comes_back_by_step(tmp_path: Path) -> None:
    rows = [ScoredCheckpoint(200, 1.25, True, 0.5), ScoredCheckpoint(100, math.nan, False, 0.75)]
    write_selection_table(tmp_path, rows)
    assert (tmp_path / "selection.csv").read_text().splitlines()[:2] == [
        "step,score,collapsed,diversity",
        "200,1.25,true,0.5",
    ]
    first, second = read_selection_table(tmp_path)
    assert (first.step, first.eligible, second) == (100, False, rows[0])
    assert not second.eligible
    (tmp_path / "selection.csv").write_text("step,score\nx,y\n")
    assert read_selection_table(tmp_path) == []
    assert read_selection_table(tmp_path / "none") == []
