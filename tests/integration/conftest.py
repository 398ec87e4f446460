"""Real servers for tests: a Docker engine with the project's images, where it can be had, and MLflow."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException
from filelock import FileLock

REPO = Path(__file__).parents[2]


class TrackingServer:
    """`mlflow server` on a free port; started and killed as often as one likes on the same data."""

    def __init__(self, store: str, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.store = store
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        store = ["--backend-store-uri", self.store, "--artifacts-destination", str(self.folder / "artifacts")]
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
def tracking_server() -> Iterator[Callable[[str, Path], TrackingServer]]:
    """`tracking_server(store, folder)`: a server that is not started yet, and does not outlive the test."""
    servers: list[TrackingServer] = []

    def make(store: str, folder: Path) -> TrackingServer:
        servers.append(TrackingServer(store, folder))
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


@pytest.fixture(scope="session")
def docker_client() -> Iterator[docker.DockerClient]:
    """The engine that DOCKER_HOST names, or that listens at its usual place."""
    if shutil.which("docker") is None:
        pytest.skip("no docker command")
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        pytest.skip(f"no Docker engine answers: {error}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def images(docker_client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The images cpu and gpu, built from this code. IMAGE_OPTIONS says where the base image comes from.

    By one process at a time: to the next one all layers are there.
    """
    program = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{program}{os.pathsep}{os.environ['PATH']}"}
    with FileLock(tmp_path_factory.getbasetemp().parent / "images.lock"):
        built = subprocess.run(
            ["sh", REPO / "infra/images/build.sh", "cpu", "gpu"],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
    if "failed to resolve source metadata" in built.stderr or "pull access denied" in built.stderr:
        pytest.skip("the base image cannot be fetched: name one with IMAGE_OPTIONS")
    assert built.returncode == 0, built.stderr[-3000:]
    from pipeline.versions import package_version

    return {target: f"gan-pipeline-{target}:{package_version()}" for target in ("cpu", "gpu")}
