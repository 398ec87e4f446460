"""A real Kubeflow Pipelines, named by `make test-cluster KFP_HOST=...`; without one all of this is skipped.

How it is reached is read from the `gan-pipeline.toml` of the working directory, as by `gan-pipeline submit`; KFP_HOST
and MODE say which server and what kind it is. Pods are looked at, deleted and killed by the Kubernetes API, as
kubectl's settings name it; what needs that is skipped without.
"""

from __future__ import annotations

import json
import os
import shutil
import urllib.request
from pathlib import Path

import pytest

from pipeline.engines.cluster.settings import FILE
from tests.cluster.cluster import Cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """The one that KFP_HOST names."""
    host = os.environ.get("KFP_HOST")
    if not host:
        pytest.skip("KFP_HOST names no Kubeflow Pipelines: make test-cluster KFP_HOST=http://...")
    folder, settings = tmp_path_factory.mktemp("cluster"), Path(FILE)
    if settings.is_file():
        shutil.copy(settings, folder)
    os.environ["GAN_PIPELINE_CLUSTER_HOST"] = host
    health = json.load(urllib.request.urlopen(f"{host.rstrip('/')}/apis/v2beta1/healthz", timeout=30))
    mode = "multi-user" if health.get("multi_user") else "single-user"
    assert mode == os.environ.get("MODE", "single-user"), f"the server's mode is {mode}: say MODE={mode}"
    return Cluster(folder, mode)
