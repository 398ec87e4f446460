"""Scratch folders: the next run clears away after one that was killed, and touches nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from components import scratch
from components.context import RunContext

HOLD = "from components.scratch import scratch_folder\nwith scratch_folder() as f:\n print(f, flush=True)\n input()"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of this test's own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_a_living_process_keeps_its_folder_and_a_killed_one_does_not() -> None:
    owner = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    folder = Path(owner.stdout.readline().strip())
    (folder / "file").write_text("")
    with scratch.scratch_folder():
        assert folder.is_dir()
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    with scratch.scratch_folder() as mine:
        assert not folder.exists()
        assert mine.is_dir()
    assert not mine.exists()


def test_a_run_without_a_work_directory_has_one_that_is_cleared_away_later(place: Path) -> None:
    abandoned = place / RunContext().state_dir.replace(f"-{os.getpid()}-", "-999999999-")
    abandoned.mkdir()
    mine = Path(RunContext().state_dir)
    assert mine.parent == place
    assert not abandoned.exists()


@pytest.mark.parametrize(
    "name",
    [
        "gan-pipeline-mine",
        "gan-pipeline-1234abcd",  # as earlier versions named them: nobody knows whose
        "gan-pipeline-abcdef-999999999-1.00-0123abcd",  # of another machine
        "gan-pipeline-{machine}-999999999-1.00-0123abcd.log",
        "my-gan-pipeline-{machine}-999999999-1.00-0123abcd",
    ],
)
def test_what_is_no_scratch_folder_of_this_machine_is_never_touched(place: Path, name: str) -> None:
    folder = place / name.format(machine=scratch._machine())
    folder.mkdir()
    with scratch.scratch_folder():
        assert folder.is_dir()


def test_another_user_s_folder_and_a_link_are_never_touched(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead = f"gan-pipeline-{scratch._machine()}-999999999-1.00-0123abcd"
    (place / "precious").mkdir()
    (place / dead).symlink_to(place / "precious")
    with scratch.scratch_folder():
        assert (place / "precious").is_dir()
        assert (place / dead).is_symlink()
    (place / dead).unlink()
    (place / dead).mkdir()
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    with scratch.scratch_folder():
        assert (place / dead).is_dir()
    monkeypatch.setattr(os, "getuid", lambda: me)
    with scratch.scratch_folder():
        assert not (place / dead).exists()
