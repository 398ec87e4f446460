"""The tracking path of a team: an MLflow server whose runs lie in PostgreSQL, both of which go away during a run."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from components.context import RunContext
from components.stage.stage import PIPELINE, open_stage
from components.tracking.mlflow.client import connect
from components.tracking.relay import Relay, count_unsent

pytestmark = pytest.mark.slow


class Database:
    """A PostgreSQL cluster of its own, that can crash and come back. It does not run as root."""

    def __init__(self, programs: Path, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"postgresql+psycopg2://mlflow:secret@127.0.0.1:{self.port}/postgres"
        self._programs = programs
        self._folder = folder
        self._user: dict[str, Any] = (
            {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
        )
        (folder / "password").write_text("secret")
        if self._user:
            for place in (folder, folder / "password"):
                shutil.chown(place, "postgres", "postgres")
        arguments = ["--username=mlflow", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--no-sync"]
        self._call("initdb", *arguments)

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories="
        self._call("pg_ctl", "--wait", f"--log={self._folder / 'log'}", f"--options={options}", "start")

    def crash(self) -> None:
        """Ends it as a power cut would: it recovers from its log at the next start."""
        self._call("pg_ctl", "--wait", "--mode=immediate", "stop")

    def _call(self, program: str, *arguments: str) -> None:
        # Into a file: a pipe would stay open for as long as the database that `pg_ctl start` leaves behind.
        with (self._folder / "output").open("w+") as output:
            done = subprocess.run(
                [str(self._programs / program), f"--pgdata={self._folder / 'data'}", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                check=False,
                **self._user,
            )
            output.seek(0)
            assert done.returncode == 0, f"{program}: {output.read()}"


def programs() -> Path | None:
    """Where PostgreSQL's programs are; Debian keeps them off PATH."""
    found = [*Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if on_path := shutil.which("initdb"):
        found.append(Path(on_path))
    return found[0].parent if found else None


@pytest.fixture
def database() -> Iterator[Database]:
    place = programs()
    if place is None and os.getuid() == 0 and shutil.which("apt-get"):
        subprocess.run(
            ["sh", "-c", "apt-get update -qq && apt-get install -qq --no-install-recommends postgresql"],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            check=False,
        )
        place = programs()
    if place is None:
        pytest.skip("there is no PostgreSQL, and it cannot be installed (not root, not Debian, or no package index)")
    # Not below pytest's own folder, which only its owner may enter.
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as folder:
        database = Database(place, Path(folder))
        database.start()
        try:
            yield database
        finally:
            database.crash()


def test_a_restart_of_server_and_database_loses_and_doubles_nothing(
    database: Database,
    tracking_server: Callable[[str, Path], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("components.tracking.relay.LONGEST_WAIT_SECONDS", 1.0)
    monkeypatch.setattr("components.tracking.relay.REFUSED_WAIT_SECONDS", 1.0)
    grid = tmp_path / "grid.png"
    Image.new("L", (8, 8)).save(grid)
    server = tracking_server(database.uri, tmp_path)
    server.start()
    context = RunContext(
        state_dir=str(tmp_path / "work"), tracking_uri=server.uri, relay="external", titles={"train_gan": "2 train"}
    )
    step = 0
    with open_stage(PIPELINE, context), open_stage("train_gan", context) as stage, Relay(context) as relay:

        def train(steps: int) -> None:
            nonlocal step
            for step in range(step, step + steps):  # noqa: B020
                stage.log_metrics({"loss": float(step), "accuracy": 0.5}, step=step)
                if step % 10 == 0:
                    stage.log_image(grid, "samples", step)
                time.sleep(0.02)
            step += 1

        stage.log_params({"training": {"steps": 210}})
        train(60)
        wait_for(lambda: count_unsent(context) < 40)
        database.crash()  # in the middle of what is being sent; the server answers with errors now
        train(60)
        assert count_unsent(context) > 40
        server.kill()
        train(30)
        database.start()
        server.start()
        train(60)
        assert not relay.drain(60)
    with Relay(context) as relay:
        assert not relay.drain(60)

    assert step == 210
    client = connect(server.uri)
    experiment = client.get_experiment_by_name(context.experiment)
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert sorted(runs) == ["2 train", "gan-pipeline"]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    run = runs["2 train"]
    assert run.data.params["training.steps"] == "210"
    for key in ("loss", "accuracy"):
        history = client.get_metric_history(run.info.run_id, key)
        assert sorted(metric.step for metric in history) == list(range(step))
    images = [file.path for file in client.list_artifacts(run.info.run_id, "images") if file.path.endswith(".png")]
    assert sorted(int(path.split("+")[2]) for path in images) == list(range(0, step, 10))
    written = b"".join(path.read_bytes() for path in (tmp_path / "work").rglob("*") if path.is_file())
    assert b"secret" not in written, "the password of the database is the server's alone"


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)
