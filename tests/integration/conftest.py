"""A Docker engine and the project's images, where they can be had."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

REPO = Path(__file__).parents[2]


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
def images(docker_client: docker.DockerClient) -> dict[str, str]:
    """The images cpu and gpu, built from this code. IMAGE_OPTIONS says where the base image comes from."""
    program = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{program}{os.pathsep}{os.environ['PATH']}"}
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
