from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path

import pytest

from components import clock
from components.lease import Lease, LeaseLostError
from components.tracking.journal import Journal, read_acknowledged, read_all, read_lines
from gan_models.errors import RunError


def metrics(step: int, **values: float) -> dict[str, object]:
    return {"kind": "metrics", "step": step, "values": values}


def test_what_a_resumed_stage_repeats_is_written_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "train_gan")
    journal.append(metrics(100, loss=1.0))
    journal.append({"kind": "params", "values": {"lr": "0.1"}})
    journal.append({"kind": "image", "key": "samples", "step": 100, "file": "a"})
    journal.close()

    journal = Journal(tmp_path, "train_gan")
    assert not journal.append(metrics(100, loss=1.0))
    assert not journal.append({"kind": "params", "values": {"lr": "0.1"}})
    assert not journal.append({"kind": "image", "key": "samples", "step": 100, "file": "b"})
    assert journal.append(metrics(100, loss=9.0, accuracy=0.5))
    assert journal.append(metrics(200, loss=0.9))
    journal.close()

    logged = [(e["step"], e["values"]) for e in read_all(journal.path) if e["kind"] == "metrics"]
    assert logged == [(100, {"loss": 1.0}), (100, {"accuracy": 0.5}), (200, {"loss": 0.9})]


def test_a_clock_that_is_set_back_bends_no_duration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither while a process runs nor between two attempts, whose clocks may be those of two machines."""
    real = time.time
    journal = Journal(tmp_path, "train_gan")
    journal.append(metrics(1, loss=1.0))
    monkeypatch.setattr(time, "time", lambda: real() - 3600)
    time.sleep(0.02)
    journal.append(metrics(2, loss=1.0))
    journal.close()
    monkeypatch.setattr(clock, "_BEGAN", real() - 3600)
    again = Journal(tmp_path, "train_gan")
    again.append(metrics(3, loss=1.0))
    again.close()
    first, second, third = (entry["t"] for entry in read_all(journal.path))
    assert 15 <= second - first < 3_600_000
    assert third == second


def test_a_line_torn_by_a_kill_is_ignored_and_then_cut_off(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "train_gan")
    journal.append(metrics(1, loss=1.0))
    journal.close()
    with journal.path.open("ab") as file:
        file.write(b'{"kind":"metrics","step":2,"val')

    assert [entry["step"] for entry in read_all(journal.path)] == [1]
    journal = Journal(tmp_path, "train_gan")
    journal.append(metrics(2, loss=2.0))
    journal.close()
    assert [entry["step"] for entry in read_all(journal.path)] == [1, 2]


def test_a_journal_of_one_torn_line_becomes_empty(tmp_path: Path) -> None:
    (tmp_path / "train_gan.jsonl").write_bytes(b"x" * 200_000)
    journal = Journal(tmp_path, "train_gan")
    assert journal.path.stat().st_size == 0
    journal.close()


def test_a_damaged_line_in_the_middle_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "train_gan.jsonl"
    path.write_bytes(b'{"kind":"start"}\n\0\0\0\0\n[1]\n{"kind":"end"}\n')
    assert [entry["kind"] for entry in read_all(path)] == ["start", "damaged", "damaged", "end"]
    Journal(tmp_path, "train_gan").close()


def test_long_lines_are_read_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "evaluate_gan")
    journal.append({"kind": "headline", "values": {}, "markdown": "x" * 50_000})
    journal.append({"kind": "tags", "values": {"a": "b"}})
    journal.close()
    headline, tags = read_lines(journal.path)
    assert [line.entry["kind"] for line in (headline, tags)] == ["headline", "tags"]
    assert list(read_lines(journal.path, headline.end)) == [tags]


def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path, "train_gan")
    journal.append(metrics(1, loss=1.0))
    real = os.write
    calls = []

    def full(file: int, data: bytes) -> int:
        calls.append(data)
        if len(calls) == 1:
            return real(file, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        journal.append(metrics(2, loss=2.0))
    monkeypatch.undo()
    journal.append(metrics(2, loss=2.0))
    journal.close()
    assert [entry["step"] for entry in read_all(journal.path)] == [1, 2]


def test_a_second_writer_is_told_so(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "train_gan")
    with pytest.raises(RunError, match="train_gan of this run is being written by another process"):
        Journal(tmp_path, "train_gan", patience=0.05)
    journal.close()
    Journal(tmp_path, "train_gan", patience=0.05).close()


def test_copies_survive_the_original_and_orphans_are_deleted(tmp_path: Path, png: Path) -> None:
    journal = Journal(tmp_path, "train_gan")
    kept, sent, orphan = journal.keep_copy(png), journal.keep_copy(png), journal.keep_copy(png)
    journal.append({"kind": "image", "key": "a", "step": 1, "file": sent})
    acknowledged = journal.path.stat().st_size
    journal.append({"kind": "image", "key": "a", "step": 2, "file": kept})
    journal.close()
    png.unlink()
    journal.path.with_suffix(".ack.json").write_text(json.dumps({"bytes": acknowledged}))

    Journal(tmp_path, "train_gan").close()
    assert {path.name for path in journal.spool.iterdir()} == {kept}
    assert orphan != kept


def test_a_checkpoint_takes_the_time_of_the_same_metric(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "select_checkpoint")
    journal.append({**metrics(100, FD=3.0), "t": 5})
    journal.append({"kind": "checkpoint", "name": "step-100", "step": 100, "values": {"FD": 3.0, "IS": 9.0}})
    assert not journal.append(metrics(100, IS=9.0))
    journal.close()
    assert list(read_all(journal.path))[1]["times"] == {"FD": 5}


@pytest.mark.parametrize("ack", ["", "{", "[]", '{"bytes": "x"}'])
def test_a_damaged_acknowledgement_makes_everything_doubtful(tmp_path: Path, ack: str) -> None:
    (tmp_path / "a.jsonl").write_text('{"kind":"start"}\n')
    (tmp_path / "a.ack.json").write_text(ack)
    assert read_acknowledged(tmp_path / "a.jsonl") == (0, True)


def test_an_acknowledgement_beyond_the_end_is_doubtful(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"kind":"start"}\n')
    assert read_acknowledged(path) == (0, False)
    path.with_suffix(".ack.json").write_text('{"bytes": 999}')
    assert read_acknowledged(path) == (path.stat().st_size, True)


def test_one_that_was_taken_over_writes_nothing_more(
    tmp_path: Path, png: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Journal(tmp_path, "train_gan")
    first.append(metrics(1, loss=1.0))
    monkeypatch.setattr(Lease, "_is_over", lambda *_: True)  # as if it had been silent
    second = Journal(tmp_path, "train_gan")
    second.append(metrics(2, loss=2.0))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "lease" not in str(path)}
    with pytest.raises(LeaseLostError, match="the stage train_gan of this run has gone to another attempt"):
        first.append(metrics(3, loss=3.0))
    with pytest.raises(LeaseLostError):
        first.keep_copy(png)
    first.close()
    assert {path: path.read_bytes() for path in before} == before
    assert list(first.spool.iterdir()) == []
    second.append(metrics(3, loss=3.5))
    second.close()
    assert [entry["values"]["loss"] for entry in read_all(second.path)] == [1.0, 2.0, 3.5]


def test_an_error_after_being_taken_over_cuts_nothing_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The volume came back, and with it the lines of the one that went on."""
    first = Journal(tmp_path, "train_gan")
    monkeypatch.setattr(Lease, "_is_over", lambda *_: True)
    second = Journal(tmp_path, "train_gan")
    taken = iter([None])

    def check() -> None:
        if next(taken, "taken") == "taken":
            raise LeaseLostError("gone")

    def fail(*_: object) -> int:
        second.append(metrics(2, loss=2.0))
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(first._lease, "check", check)
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, line: fail() if file == first._file else real(file, line))
    with pytest.raises(LeaseLostError):
        first.append(metrics(1, loss=1.0))
    assert [entry["step"] for entry in read_all(second.path)] == [2]
    first.close()
    second.close()
