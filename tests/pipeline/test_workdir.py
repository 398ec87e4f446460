"""The work directory: who may use it, and what is kept or swept up."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from components.artifacts import StageFailure
from gan_models.errors import RequestError
from pipeline.workdir import RunRecord, WorkDirectory, open_workdir


def record() -> RunRecord:
    return RunRecord(
        name="n", digest="d", recipe="dcgan", source="digits", seed=0, experiment="e", code_version="0.1.0+0"
    )


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    with open_workdir(tmp_path / "run") as workdir:
        written = record()
        workdir.write_record(written)
        assert workdir.record() == written


@pytest.mark.parametrize("text", ["", "{", '{"run_id": 1}'])
def test_a_damaged_record_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    assert WorkDirectory(tmp_path).record() is None


HOLDER = """
import sys, time
from pathlib import Path
from pipeline.workdir import open_workdir
with open_workdir(Path(sys.argv[1])):
    print("mine", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "mine\n"
    yield process
    process.kill()
    process.wait()


def test_two_runs_in_one_work_directory(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with pytest.raises(RequestError, match="another run is using the work directory"), open_workdir(tmp_path / "run"):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    with open_workdir(tmp_path / "run"):
        pass


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RequestError, match="holds other things"), open_workdir(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_is_no_work_directory(tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(RequestError, match="is a file"), open_workdir(tmp_path / "run"):
        pass


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=2**40, free=12 * 2**20))
    with pytest.raises(RequestError, match="only 12 MB are free"), open_workdir(tmp_path / "run"):
        pass
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EROFS, "is read-only"), (errno.EACCES, "no permission"), (errno.ENOSPC, "the disk is full")],
)
def test_a_disk_that_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> None:
    def refuse(path: Path, *arguments: object, **keywords: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(RequestError, match=words), open_workdir(tmp_path / "run"):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(RequestError, match="no permission"), open_workdir(tmp_path / "run"):
            pass
    finally:
        tmp_path.chmod(0o700)


def test_a_word_that_kfp_local_would_replace(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="replaces the word python3"), open_workdir(tmp_path / "python3.11"):
        pass


def test_outputs_of_a_stage_that_was_cut_off_are_removed(tmp_path: Path) -> None:
    with open_workdir(tmp_path / "run") as workdir:
        for stage, done in {"a/prepare-data": True, "a/train-gan": False, "b/train-gan": False}.items():
            (workdir.artifacts / stage / "out").mkdir(parents=True)
            if done:
                (workdir.artifacts / stage / "executor_output.json").touch()
    with open_workdir(tmp_path / "run") as workdir:
        left = sorted(str(path.relative_to(workdir.artifacts)) for path in workdir.artifacts.glob("*/*"))
        assert left == ["a/prepare-data"]
        assert not (workdir.artifacts / "b").exists()


def test_results_point_at_the_newest_outputs_and_move_with_the_folder(tmp_path: Path) -> None:
    with open_workdir(tmp_path / "run") as workdir:
        for attempt in ("one", "two"):
            output = workdir.artifacts / attempt / "samples"
            output.mkdir(parents=True)
            (output / "grid.png").write_text(attempt)
            links = workdir.link_results({"samples": output, "metrics": output})
    assert links == {"samples": tmp_path / "run/results/samples"}
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere/results/samples/grid.png").read_text() == "two"


def test_a_copy_does_not_take_outputs_of_the_place_it_was_copied_from(tmp_path: Path) -> None:
    """kfp remembers outputs by absolute paths, and the old ones are still there."""
    with open_workdir(tmp_path / "ö run") as first:
        for entry, place in {"own": first.artifacts / "a/dataset", "text": None}.items():
            output = {"dataset": {"uri": str(place)}} if place else {"count": 3}
            (first.cache / f"{entry}.json").write_text(json.dumps(output))
    with open_workdir(tmp_path / "ö run") as again:
        assert {each.stem for each in again.cache.iterdir()} == {"own", "text"}
    shutil.copytree(tmp_path / "ö run", tmp_path / "copy")
    with open_workdir(tmp_path / "copy") as copy:
        assert {each.stem for each in copy.cache.iterdir()} == {"text"}


def test_what_a_trial_left_unfinished_or_failed_is_swept_up_and_nothing_else(tmp_path: Path) -> None:
    """kfp keeps the outputs of a loop's turns one folder deeper."""
    with open_workdir(tmp_path) as workdir:
        turns = workdir.artifacts / "gan-sweep-1"
        stages = {
            name: turns / place
            for name, place in {
                "done": "for-loop-1-iteration-0/train-gan",
                "killed": "for-loop-1-iteration-0/evaluate-gan",
                "failed": "for-loop-1-iteration-1/train-gan",
                "prepared": "prepare-data",
            }.items()
        }
        for stage in stages.values():
            (stage / "output").mkdir(parents=True)
            (stage / "executor_output.json").write_text("{}")
        (stages["killed"] / "executor_output.json").unlink()
        StageFailure(run_id="x", stage="train_gan", sentence="NaN").write(stages["failed"] / "output")
    with open_workdir(tmp_path):
        assert {name for name, stage in stages.items() if stage.exists()} == {"done", "prepared"}
        assert not stages["failed"].parent.exists()
