"""A training on two nodes of a real cluster that has Kubeflow Trainer."""

from __future__ import annotations

from typing import Any

import pytest

from components.train_gan.train_job import GROUP, PLURAL, VERSION
from tests.cluster.cluster import Cluster

NODES = ("--nodes", "2", "--gpus", "1")
STEPS = 2000  # two processes that agree at every step take longer for each


@pytest.fixture(autouse=True)
def trainer(cluster: Cluster) -> None:
    if not cluster.has(f"{PLURAL}.{GROUP}"):
        pytest.skip("the cluster has no Kubeflow Trainer")


def jobs(cluster: Cluster) -> list[dict[str, Any]]:
    found = cluster.objects.list_namespaced_custom_object(GROUP, VERSION, cluster.namespace, PLURAL)
    return list(found["items"])


def nodes(cluster: Cluster) -> list[Any]:
    """The pods at work of the only TrainJob."""
    names = [job["metadata"]["name"] for job in jobs(cluster)]
    if len(names) != 1:
        return []
    found = cluster.core.list_namespaced_pod(
        cluster.namespace, label_selector=f"jobset.sigs.k8s.io/jobset-name={names[0]}"
    ).items
    return [pod for pod in found if pod.status.phase == "Running" and cluster.step_of(pod) >= 0]


def test_two_nodes_with_one_preempted(cluster: Cluster) -> None:
    run = cluster.submit("two nodes", *NODES, steps=STEPS)["id"]
    cluster.training_at(run, 1)
    first, _ = cluster.until("two nodes", lambda: nodes(cluster) if len(nodes(cluster)) == 2 else None)
    cluster.core.delete_namespaced_pod(first.metadata.name, cluster.namespace, grace_period_seconds=0)
    assert cluster.ended(run)["state"] == "SUCCEEDED"
    assert "going on from the checkpoint of step" in cluster.ask("runs", "logs", run, "--stage", "train-gan")
    assert not jobs(cluster)


def test_stopping_ends_the_nodes(cluster: Cluster) -> None:
    run = cluster.submit("two nodes stopped", *NODES, steps=STEPS)["id"]
    cluster.training_at(run, 1)
    cluster.ask("runs", "stop", run)
    cluster.until("end of the nodes", lambda: not nodes(cluster), seconds=120)
    assert cluster.ended(run)["state"] == "CANCELED"
