from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from components.context import PIPELINE, RunContext
from components.tracking.mlflow import runs
from components.tracking.mlflow.client import connect
from components.tracking.mlflow.sender import MlflowSender
from components.tracking.sqlite_address import sqlite_uri


@pytest.mark.parametrize("trouble", ["somebody is stuck with the lock", "the volume has no locks"])
def test_runs_are_made_once_whatever_becomes_of_the_lock(
    trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = RunContext(state_dir=str(tmp_path), tracking_uri=sqlite_uri(tmp_path / "mlflow.db"))
    context.tracking_folder.mkdir(parents=True)
    stuck = FileLock(context.tracking_folder / "runs.lock")
    stuck.acquire()
    monkeypatch.setattr(runs, "LOCK_SECONDS", 0.1)
    if trouble == "the volume has no locks":
        monkeypatch.setattr(runs, "FileLock", lambda *_, **__: _NoLock())
    client = connect(context.tracking_uri)
    first, second = (runs.PipelineRuns(client, context).of(PIPELINE) for _ in range(2))
    assert first == second


def test_a_run_that_is_made_late_began_when_it_did(tmp_path: Path) -> None:
    """What the store could not be told at once ended before it is told: its duration is not negative."""
    context = RunContext(state_dir=str(tmp_path), tracking_uri=sqlite_uri(tmp_path / "mlflow.db"))
    context.tracking_folder.mkdir(parents=True)
    client = connect(context.tracking_uri)
    sender = MlflowSender(context)
    sender.send("train_gan", tmp_path, [{"kind": "start", "t": 1000}], False)
    sender.send("train_gan", tmp_path, [{"kind": "end", "t": 4000, "status": "FINISHED"}], False)
    for stage in ("train_gan", PIPELINE):
        assert client.get_run(sender.runs.of(stage)).info.start_time == 1000
    assert client.get_run(sender.runs.of("train_gan")).info.end_time == 4000


class _NoLock:
    def __enter__(self) -> None:
        raise OSError(37, "No locks available")

    def __exit__(self, *_: object) -> None: ...
