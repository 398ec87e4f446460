"""Whatever is killed, whenever: MLflow has each figure once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.context import RunContext
from components.tracking.mlflow.client import connect
from components.tracking.sqlite_address import sqlite_uri

HERE = Path(__file__).parent


@pytest.fixture
def context(tmp_path: Path) -> RunContext:
    work = tmp_path / "work"
    work.mkdir()
    return RunContext(
        state_dir=str(work),
        tracking_uri=sqlite_uri(tmp_path / "s" / "mlflow.db"),
        relay="external",
        titles={"train_gan": "2 train"},
    )


def script(mode: str, context: RunContext, *arguments: int) -> None:
    done = subprocess.run(
        [sys.executable, HERE / "tracking_under_fire.py", mode, context.model_dump_json(), *map(str, arguments)],
        cwd=context.state_dir,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_twenty_kills_of_stage_and_relay_lose_and_double_nothing(context: RunContext) -> None:
    script("fire", context, 20, 7)
    client = connect(context.tracking_uri)
    experiment = client.get_experiment_by_name(context.experiment)
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert sorted(runs) == ["2 train", "gan-pipeline"]
    train = runs["2 train"]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for key in ("loss", "accuracy"):
        history = client.get_metric_history(train.info.run_id, key)
        assert sorted(metric.step for metric in history) == list(range(1500))
    assert all(metric.value == metric.step / 10 for metric in client.get_metric_history(train.info.run_id, "loss"))
    images = [file.path for file in client.list_artifacts(train.info.run_id, "images") if file.path.endswith(".png")]
    assert sorted(int(path.split("+")[2]) for path in images) == list(range(0, 1500, 100))
    models = client.search_logged_models([experiment.experiment_id], max_results=100)
    assert sorted(model.name for model in models) == sorted(f"step-{step}" for step in range(0, 1500, 100))
    assert all(sorted(metric.key for metric in model.metrics) == ["FD", "loss"] for model in models)
    assert sorted(output.step for output in train.outputs.model_outputs) == list(range(0, 1500, 100))
    assert train.data.params == {"steps": "1500", "lr": "0.1"}


@pytest.mark.slow
def test_four_processes_may_use_a_new_store_first(context: RunContext) -> None:
    script("first-use", context, 4)
    client = connect(context.tracking_uri)
    experiments = {experiment.name: experiment for experiment in client.search_experiments()}
    assert set(experiments) == {"Default", "gan-pipeline"}
    assert len(client.search_runs([experiments["gan-pipeline"].experiment_id])) == 4
    store = Path(context.tracking_uri.removeprefix("sqlite:///")).parent
    assert {path.name for path in store.iterdir()} <= {"mlflow.db", "mlflow.db.lock", "mlflow-artifacts"}
