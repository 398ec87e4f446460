"""A real tracking server that is down, refuses, works, dies in the middle and comes back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from components.shared.context import RunContext
from components.shared.mlflow_client import connect, create_database
from components.shared.relay import Relay, count_unsent
from components.shared.stage import PIPELINE, open_stage
from components.shared.tracking import check_tracking
from gan_models.errors import RequestError


class Server:
    """`mlflow server` on a free port; started and killed as often as one likes on the same data."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        create_database(folder / "mlflow.db")

    def start(self, *options: str) -> None:
        store = ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"]
        store += ["--artifacts-destination", str(self.folder / "artifacts")]
        address = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *store, *address, *options],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )
        end = time.monotonic() + 120
        while time.monotonic() < end:
            with suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=5):
                return
            time.sleep(0.1)
        raise TimeoutError("the server did not start")

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server")
    yield server
    server.kill()


@pytest.mark.slow
def test_no_figure_is_lost_or_doubled_whatever_the_server_does(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.shared.relay.LONGEST_WAIT_SECONDS", 1.0)
    monkeypatch.setattr("components.shared.relay.REFUSED_WAIT_SECONDS", 1.0)
    grid = tmp_path / "grid.png"
    Image.new("L", (8, 8)).save(grid)
    context = RunContext(state_dir=str(tmp_path / "work"), tracking_uri=server.uri, relay="external")
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

        assert check_tracking(server.uri) == "away"
        train(1.0)

        server.start("--allowed-hosts", "mlflow.example")
        with pytest.raises(RequestError, match="--allowed-hosts"):
            check_tracking(server.uri)
        refused = relay.drain(30)
        assert "refuses" in refused.reason
        assert refused.entries > 10
        server.kill()

        server.start()
        assert check_tracking(server.uri) == "reachable"
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
