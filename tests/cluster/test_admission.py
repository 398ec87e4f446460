"""A namespace of a real cluster that enforces what a careful administrator does."""

from __future__ import annotations

from tests.cluster.cluster import Cluster

ENFORCE = "pod-security.kubernetes.io/enforce"


def test_pod_security_restricted(cluster: Cluster) -> None:
    namespace = cluster.core.read_namespace(cluster.namespace)
    before = (namespace.metadata.labels or {}).get(ENFORCE)
    cluster.core.patch_namespace(cluster.namespace, {"metadata": {"labels": {ENFORCE: "restricted"}}})
    try:
        assert cluster.submit("restricted", "--wait")["state"] == "SUCCEEDED"
    finally:
        cluster.core.patch_namespace(cluster.namespace, {"metadata": {"labels": {ENFORCE: before}}})
