from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from components.context import RunContext
from components.stage.progress import EventLog, EventReader, show_progress
from components.stage.stage import open_stage
from pipeline.commands.board import ProgressBoard


def test_the_reader_waits_for_the_rest_of_a_line_and_steps_over_damage(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    reader = EventReader(path)
    assert reader.read() == []
    path.write_bytes(b'{"kind": "start", "stage": "a"}\n{"kind": "no')
    assert [event["kind"] for event in reader.read()] == ["start"]
    assert reader.read() == []
    with path.open("ab") as file:
        file.write(b'te", "text": "x"}\nnot json\n[]\n{"kind": "end"}\n')
    assert [event["kind"] for event in reader.read()] == ["note", "end"]


def test_a_fast_loop_writes_few_events_but_always_the_last(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with show_progress(EventLog(path, "train_gan"), "training", 10_000) as bar:
        for step in range(10_000):
            bar.advance(loss=float(step))
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(events) < 50
    assert (events[-1]["done"], events[-1]["total"], events[-1]["figures"]) == (10_000, 10_000, {"loss": 9999.0})
    assert events[0]["stage"] == "train_gan"


def test_an_events_file_that_cannot_be_written_fails_no_stage(tmp_path: Path) -> None:
    with show_progress(EventLog(tmp_path / "missing" / "events.jsonl", "train_gan"), "training", 1) as bar:
        bar.advance()


def test_without_a_terminal_there_is_a_line_now_and_then() -> None:
    # In a process of its own: what a library of an earlier test still has in a C buffer is not taken for ours.
    code = (
        "from components.stage import progress\n"
        "progress.LINE_SECONDS = 0.0\n"
        "with progress.show_progress(progress.EventLog(None, 'train_gan'), 'training', 2) as bar:\n"
        "    bar.advance(loss=0.7312)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "train_gan: training 1/2 loss 0.731\n"
    assert done.stdout == ""


def test_the_board_tells_the_story_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "events.jsonl"
    monkeypatch.setenv("GAN_PIPELINE_EVENTS", str(path))
    context = RunContext(state_dir=str(tmp_path))
    screen = io.StringIO()
    with ProgressBoard(EventReader(path), screen) as board:
        with open_stage("train_gan", context) as stage:
            stage.note("goes on from step 200")
        with pytest.raises(ValueError, match="no"), open_stage("evaluate_gan", context):
            raise ValueError("no")
    lines = screen.getvalue().splitlines()
    assert lines[0] == "▸ 2 train"
    assert "2 train: goes on from step 200" in lines[1]
    assert lines[2].startswith("✓ 2 train: 0.")
    assert lines[-1].startswith("✗ 4 evaluate: failed after")
    assert board.errors[0]["stage"] == "evaluate_gan"


def test_the_board_marks_what_came_from_the_cache(tmp_path: Path) -> None:
    screen = io.StringIO()
    with ProgressBoard(EventReader(tmp_path / "none"), screen, {"prepare_data": "1 prepare data"}):
        pass
    assert screen.getvalue() == "✓ 1 prepare data: unchanged\n"


def test_the_board_knows_the_time_left(tmp_path: Path) -> None:
    board = ProgressBoard(EventReader(tmp_path / "none"), io.StringIO())
    row = board.rows["train_gan"]
    row.take({"kind": "start", "t": 100.0})
    row.take({"kind": "progress", "t": 100.0, "task": "training", "done": 0, "total": 400})
    row.take({"kind": "progress", "t": 110.0, "task": "training", "done": 100, "total": 400, "figures": {"loss": 1.0}})
    assert row.seconds_left == 30.0
