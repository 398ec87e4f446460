"""A real tracking server that is down, refuses, works, dies in the middle and comes back."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from components.context import RunContext
from components.stage.stage import PIPELINE, open_stage
from components.tracking.backend import tracker_of
from components.tracking.mlflow.client import connect, create_database
from components.tracking.relay import Relay, count_unsent
from components.tracking.sqlite_address import sqlite_uri
from gan_models.errors import RequestError


@pytest.fixture
def server(tmp_path: Path, tracking_server: Callable[[str, Path], Any]) -> Any:
    folder = tmp_path / "server"
    folder.mkdir()
    create_database(folder / "mlflow.db")
    return tracking_server(sqlite_uri(folder / "mlflow.db"), folder)


@pytest.mark.slow
def test_no_figure_is_lost_or_doubled_whatever_the_server_does(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.tracking.relay.LONGEST_WAIT_SECONDS", 1.0)
    monkeypatch.setattr("components.tracking.relay.REFUSED_WAIT_SECONDS", 1.0)
    grid = tmp_path / "grid.png"
    Image.new("L", (8, 8)).save(grid)
    context = RunContext(
        state_dir=str(tmp_path / "work"), tracking_uri=server.uri, relay="external", titles={"train_gan": "2 train"}
    )
    step = 0
    with open_stage(PIPELINE, context), open_stage("train_gan", context) as stage, Relay(context) as relay:

        def train(seconds: float) -> None:
            nonlocal step
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                stage.log_metrics({"loss": float(step), "accuracy": 0.5}, step=step)
                if step % 10 == 0:
                    stage.log_image(grid, "samples", step)
                step += 1
                time.sleep(0.05)

        assert tracker_of(server.uri).check(server.uri) == "away"
        train(1.0)

        server.start("--allowed-hosts", "mlflow.example")
        with pytest.raises(RequestError, match="--allowed-hosts"):
            tracker_of(server.uri).check(server.uri)
        refused = relay.drain(30)
        assert "refuses" in refused.sentence
        assert refused.entries > 10
        server.kill()

        server.start()
        assert tracker_of(server.uri).check(server.uri) == "reachable"
        train(1.5)
        while count_unsent(context) > 20:
            train(0.2)
        server.kill()
        train(2.0)
        assert count_unsent(context) > 20
        server.start()
        train(1.0)
        assert not relay.drain(60)
    with Relay(context) as relay:
        assert not relay.drain(60)

    client = connect(server.uri)
    experiment = client.get_experiment_by_name(context.experiment)
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert sorted(runs) == ["2 train", "gan-pipeline"]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    run_id = runs["2 train"].info.run_id
    for key in ("loss", "accuracy"):
        assert sorted(metric.step for metric in client.get_metric_history(run_id, key)) == list(range(step))
    images = [file.path for file in client.list_artifacts(run_id, "images") if file.path.endswith(".png")]
    assert sorted(int(path.split("+")[2]) for path in images) == list(range(0, step, 10))
