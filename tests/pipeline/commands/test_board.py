"""The board of a run: how far each stage is, on a terminal and in a log."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from components.stage.progress import EventReader
from pipeline.commands import board
from pipeline.commands.board import ProgressBoard


def events(path: Path, *more: dict[str, object]) -> EventReader:
    """Of a training at step 400 of 4400, ten seconds after it began."""
    base = {"stage": "train_gan", "kind": "progress", "task": "training", "total": 4400}
    told = [
        {"t": 0.0, "stage": "train_gan", "kind": "start"},
        {**base, "t": 0.0, "done": 0},
        {**base, "t": 10.0, "done": 400, "figures": {"images/s": 1030.0, "D/loss": 0.28}},
        *more,
    ]
    path.write_text("".join(json.dumps(event) + "\n" for event in told))
    return EventReader(path)


def test_a_log_says_the_step_of_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "LINE_SECONDS", -1.0)
    drawn = io.StringIO()
    ProgressBoard(events(tmp_path / "events"), drawn).read()
    assert "2 train: training 400/4400, 1:40 left, images/s 1.03e+03 D/loss 0.28" in drawn.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_shows_the_step_of_how_many(tmp_path: Path, width: int) -> None:
    shown = ProgressBoard(events(tmp_path / "events"), io.StringIO())
    shown.read()
    shown._console = Console(file=(drawn := io.StringIO()), width=width)
    shown._console.print(shown._table())
    lines = drawn.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "training 400/4400" in next(line for line in lines if "2 train" in line)
    assert "/" not in next(line for line in lines if "1 prepare data" in line)


def test_millions_are_written_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "LINE_SECONDS", -1.0)
    more = {"t": 20.0, "stage": "train_gan", "kind": "progress", "task": "training", "done": 1234567, "total": 2000000}
    drawn = io.StringIO()
    ProgressBoard(events(tmp_path / "events", more), drawn).read()
    assert "training 1234567/2000000" in drawn.getvalue()
