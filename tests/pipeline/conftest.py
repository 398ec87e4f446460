"""A `gan-pipeline` to call in tests: in this process, with its output and exit code."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.cli import call
from tests.pipeline.kfp_server import KfpServer
from tests.pipeline.kubernetes_server import KubernetesServer
from tests.webhook import Hook, webhook


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one line on standard error; fails where there is more, or a traceback."""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("gan-pipeline: ")
        return lines[0].removeprefix("gan-pipeline: ")


@pytest.fixture(autouse=True)
def _no_tracking_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "GAN_PIPELINE_RUN", "GAN_PIPELINE_EVENTS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ask(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """`ask("run", "--recipe", "dcgan")` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def ask(*arguments: str | Path) -> Answer:
        capfd.readouterr()
        code = call([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Answer(code, out, err)

    return ask


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Hook]]:
    """Its address is in the environment, as HOOK."""
    with webhook() as (handler, address):
        monkeypatch.setenv("HOOK", f"{address}/s3cret")
        monkeypatch.setattr("components.notify.webhook.WAIT_SECONDS", 0.0)
        yield handler


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of 12 unlabelled grey images, 8x8."""
    folder = tmp_path / "images"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)
    for index, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{index}.png")
    return folder


@pytest.fixture
def without_kubernetes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whoever runs the tests may have access to a cluster; returns the file where `kubectl`'s settings would be."""
    settings = tmp_path / "kubectl-settings"
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(settings))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return settings


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, without_kubernetes: Path) -> Iterator[KfpServer]:
    """A Kubeflow Pipelines that commands find by themselves, and nothing else that they could."""
    for name in [name for name in os.environ if name.startswith(("GAN_PIPELINE_CLUSTER_", "KF_PIPELINES_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setattr("pipeline.engines.cluster.runs.POLL_SECONDS", 0.01)
    monkeypatch.setattr("pipeline.engines.cluster.client.REPEAT_WAIT", 0.01)
    with KfpServer() as server:
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", server.address)
        yield server


@pytest.fixture
def kubernetes(server: KfpServer, without_kubernetes: Path) -> Iterator[KubernetesServer]:
    """The Kubernetes below the test's `server`, as `kubectl` would reach it."""
    with KubernetesServer(server) as kubernetes:
        kubernetes.write_settings(without_kubernetes)
        yield kubernetes
