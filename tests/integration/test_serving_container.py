"""A registered generator in a container as the compose file and KServe start it, asked over HTTP."""

from __future__ import annotations

import base64
import io
import json
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import docker
import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from components.context import RunContext
from components.stage.stage import open_stage
from components.tracking.champions import Lineage
from components.tracking.mlflow.champions import MlflowChampions
from components.tracking.relay import Relay
from gan_models.data.shape import DataShape
from gan_models.families.building import build_generator
from gan_models.recipes import load_recipe
from gan_models.sampling.generator import GeneratorInfo, save_generator
from tests.integration.conftest import TrackingServer

REPO = Path(__file__).parents[2]
NAME = "cgan-digits"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]  # the first one builds the images


@pytest.fixture
def generator(tmp_path: Path) -> Path:
    """An untrained one of ten classes, which a container's user can read."""
    torch.manual_seed(0)
    recipe = load_recipe("cgan-projection", ["networks.generator.width=8", "data.size=16"])
    info = GeneratorInfo(
        recipe_name="cgan-projection", image_shape=(1, 16, 16), class_names=tuple("0123456789"), step=1, seed=0,
        data_fingerprint="f", diversity=1.0, collapsed=False,
    )  # fmt: skip
    folder = tmp_path / "generator"
    save_generator(folder, build_generator(recipe, DataShape((1, 16, 16), 10)).state_dict(), recipe, info)
    return readable(folder)


@pytest.fixture
def registry(generator: Path, tracking_server: Callable[[str, Path], TrackingServer], tmp_path: Path) -> TrackingServer:
    """A real MLflow server in which it is the champion."""
    server = tracking_server(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path)
    server.start()
    context = RunContext(state_dir=str(tmp_path / "work"), tracking_uri=server.uri, relay="external")
    with open_stage("export_samples", context) as stage:
        stage.log_generator(generator, NAME, Lineage.of_folder(generator), {"FD-classifier-test-10": 1.5})
    with Relay(context) as relay:
        assert not relay.drain(60)
    MlflowChampions(server.uri).promote(NAME)
    return server


def readable(folder: Path) -> Path:
    """A copy in a place that every user may look into."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


@contextmanager
def running(
    client: docker.DockerClient, images: dict[str, str], settings: dict[str, str], volumes: dict[Path, str]
) -> Iterator[tuple[Any, str]]:
    """The compose file's service `generator` as any user, with other settings and volumes, and its address."""
    service = yaml.safe_load((REPO / "infra/compose.yaml").read_text())["services"]["generator"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    changed = {"0.0.0.0": "127.0.0.1", "8080": port}  # the network is the host's, so that any engine can be asked
    container = client.containers.run(
        images[service["image"].partition(":")[0].removeprefix("gan-pipeline-")],
        [changed.get(word, word) for word in service["command"]],
        environment={**service["environment"], **settings},
        read_only=service["read_only"],
        cap_drop=service["cap_drop"],
        security_opt=service["security_opt"],
        tmpfs=dict.fromkeys(service["tmpfs"], ""),
        volumes={str(path): {"bind": place, "mode": "ro"} for path, place in volumes.items()},
        user="54321:54321",
        network_mode="host",
        detach=True,
    )
    try:
        yield container, f"http://127.0.0.1:{port}"
    finally:
        container.remove(force=True, v=True)


def wait_until_ready(container: Any, address: str) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end:
        with suppress(OSError), urllib.request.urlopen(f"{address}/ping", timeout=5):
            return
        container.reload()
        assert container.status == "running", container.logs().decode()
        time.sleep(0.5)
    raise TimeoutError(container.logs().decode())


def ask(address: str, rows: list[dict[str, Any]]) -> tuple[int, Any]:
    """Status and answer."""
    body = json.dumps({"dataframe_records": rows}).encode()
    request = urllib.request.Request(f"{address}/invocations", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def sampled(container: Any, *options: str) -> np.ndarray:
    """What `gan-pipeline sample` draws in the same container, of the generator mounted at /mnt/generator."""
    words = ["gan-pipeline", "sample", "/mnt/generator", "--num", "1", "--out", "/tmp/grid.png", *options]
    code, said = container.exec_run(words)
    assert code == 0, said
    code, content = container.exec_run(["base64", "-w0", "/tmp/grid.png"])
    assert code == 0
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


@pytest.mark.parametrize("source", ["registry", "folder"])
def test_a_container_answers_with_what_sample_draws(
    source: str,
    docker_client: docker.DockerClient,
    images: dict[str, str],
    registry: TrackingServer,
    generator: Path,
    tmp_path: Path,
) -> None:
    volumes = {generator: "/mnt/generator"}
    settings = {"__pyfunc_model_path__": f"models:/{NAME}@champion", "MLFLOW_TRACKING_URI": registry.uri}
    if source == "folder":  # as KServe puts it there
        (stored,) = (tmp_path / "artifacts").rglob("MLmodel")
        model = readable(Path(shutil.copytree(stored.parent, tmp_path / "model")))
        volumes[model] = "/mnt/models"
        settings = {"__pyfunc_model_path__": "/mnt/models", "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    with running(docker_client, images, settings, volumes) as (container, address):
        wait_until_ready(container, address)
        status, answer = ask(address, [{"seed": 4, "label": "7", "truncation": 0.5}, {"seed": 5, "label": "2"}])
        assert status == 200
        first, second = answer["predictions"]
        assert (first["seed"], first["label"], second["seed"], second["label"]) == (4, "7", 5, "2")
        wanted = [
            sampled(container, "--seed", "4", "--labels", "7", "--truncation", "0.5"),
            sampled(container, "--seed", "5", "--labels", "2"),
        ]
        for prediction, image in zip((first, second), wanted, strict=True):
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(prediction["image"])))), image)
        status, answer = ask(address, [{"seed": 0, "label": "sheep"}])
        assert status == 400
        assert answer["message"].startswith("row 0: unknown class 'sheep'")
        container.stop(timeout=120)
        container.reload()
        assert container.attrs["State"]["ExitCode"] == 0, "it was killed, and with it whatever it was answering"
