from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from components.context import PIPELINE, RunContext
from components.tracking.mlflow import runs
from components.tracking.mlflow.client import connect
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


class _NoLock:
    def __enter__(self) -> None:
        raise OSError(37, "No locks available")

    def __exit__(self, *_: object) -> None: ...
