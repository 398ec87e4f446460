"""`gan-pipeline cluster check` against a KFP and a Kubernetes over real HTTP."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.kfp_server import KfpServer
from tests.pipeline.kubernetes_server import KubernetesServer

IMAGE = f"registry.example/gan-pipeline@sha256:{'0123456789abcdef' * 4}"
CLASS = "/apis/storage.k8s.io/v1/storageclasses/nfs"
CORE = "/api/v1/namespaces/team"


def policy(name: str) -> dict[str, Any]:
    return {"data": {"workflowDefaults": f"spec: {{templateDefaults: {{retryStrategy: {{retryPolicy: {name}}}}}}}"}}


@pytest.fixture
def kubernetes(kubernetes: KubernetesServer) -> KubernetesServer:
    """With all that a run needs."""
    kubernetes.pods_in = "team"
    kubernetes.kept |= {
        f"{CORE}/persistentvolumeclaims/state": {
            "spec": {"accessModes": ["ReadWriteMany"], "storageClassName": "nfs"},
            "status": {"phase": "Bound"},
        },
        f"{CORE}/secrets/tracking": {"data": {"MLFLOW_TRACKING_URI": base64.b64encode(b"http://mlflow").decode()}},
        f"{CORE}/resourcequotas": {"items": []},
        CLASS: {"provisioner": "nfs.csi.k8s.io", "volumeBindingMode": "WaitForFirstConsumer"},
        "/api/v1/namespaces/kubeflow/configmaps/workflow-controller-configmap": policy("Always"),
    }
    return kubernetes


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[KfpServer]:
    for name in [name for name in os.environ if name.startswith(("GAN_PIPELINE_CLUSTER_", "KF_PIPELINES_"))]:
        monkeypatch.delenv(name)
    with KfpServer(multi_user=True) as server:
        monkeypatch.setenv("KF_PIPELINES_ENDPOINT", server.address)
        yield server


ALL = ("--namespace", "team", "--image", IMAGE, "--pvc", "state", "--secret", "tracking", "--nodes", "2", "--gpus", "4")


@pytest.fixture
def check(ask: Callable, server: KfpServer) -> Callable[..., dict[str, tuple[str, str]]]:
    def check(*arguments: str, code: int = 0) -> dict[str, tuple[str, str]]:
        answer = ask("cluster", "check", *(arguments or ALL), "--json")
        assert answer.code == code, answer.out + answer.err
        found = json.loads(answer.out)
        assert all(finding["source"] for finding in found)
        assert [method for method, _ in server.requests if method != "GET"] == [], "nothing is changed"
        return {finding["what"]: (finding["state"], finding["sentence"]) for finding in found}

    return check


def test_all_that_a_run_needs_is_there(check: Callable, kubernetes: KubernetesServer) -> None:
    found = check()
    assert {state for state, _ in found.values()} == {"ok"}
    assert list(found) == [
        *("server", "mode", "experiment", "image", "claim", "storage class", "secret tracking", "role", "quota"),
        *("pods", "nodes' pods", "retry policy"),
    ]
    assert found["server"][1] == "version 2.17.0"
    assert found["claim"][1] == "state is Bound, ReadWriteMany, class nfs"
    assert found["storage class"][1] == "nfs, by nfs.csi.k8s.io, when the first pod comes"
    asks = "would be admitted, with cpu 1, memory 4Gi, {} of nvidia.com/gpu each; Argo's own containers come on top"
    assert (found["pods"][1], found["nodes' pods"][1]) == (asks.format(1), asks.format(4))
    assert kubernetes.changed == []


def test_as_people_see_it(ask: Callable, server: KfpServer, kubernetes: KubernetesServer) -> None:
    server.version = "2.15.3"
    answer = ask("cluster", "check", *ALL)
    assert (answer.code, answer.out.splitlines()[0]) == (
        1,
        "✗ server: version 2.15.3: update it to 2.16 or newer  [health answer]",
    )
    assert "✓ mode: for many users: pods run in team  [health answer]" in answer.out


def gone(kubernetes: KubernetesServer, what: str) -> None:
    kubernetes.kept[next(path for path in kubernetes.kept if what in path)] = 404


def of_one_node(kubernetes: KubernetesServer) -> None:
    kubernetes.kept[f"{CORE}/persistentvolumeclaims/state"]["spec"]["accessModes"] = ["ReadWriteOnce"]


def without_class(kubernetes: KubernetesServer) -> None:
    kubernetes.kept[CLASS] = 404
    kubernetes.kept[f"{CORE}/persistentvolumeclaims/state"]["status"]["phase"] = "Pending"


def of_few_gpus(kubernetes: KubernetesServer) -> None:
    quota = {"metadata": {"name": "team"}, "spec": {"hard": {"requests.nvidia.com/gpu": "4"}}}
    kubernetes.kept[f"{CORE}/resourcequotas"] = {"items": [quota]}


def of_policy(name: str) -> Callable[[KubernetesServer], None]:
    path = "/api/v1/namespaces/kubeflow/configmaps/workflow-controller-configmap"
    return lambda kubernetes: kubernetes.kept.update({path: policy(name) if name else {"data": {}}})


@pytest.mark.parametrize(
    ("mishap", "what", "state", "words"),
    [
        (lambda k: gone(k, "claims"), "claim", "wrong", "is not there in the namespace team: make it first"),
        (of_one_node, "claim", "wrong", "2 nodes need one that is ReadWriteMany"),
        (lambda k: gone(k, "secrets"), "secret tracking", "wrong", "is not there"),
        (lambda k: k.kept.update({f"{CORE}/secrets/tracking": {"data": {}}}), "secret tracking", "wrong", "lacks"),
        (
            lambda k: k.kept.update({f"{CORE}/secrets/tracking": 403}),
            "secret tracking",
            "unknown",
            "let you look (403)",
        ),
        (lambda k: k.allowed.discard("delete"), "role", "wrong", "default-editor may not delete trainjobs"),
        (without_class, "storage class", "wrong", "there is no nfs, so the claim stays Pending: make it anew"),
        (lambda k: k.kept.update({CLASS: 403}), "storage class", "unknown", "let you look (403)"),
        (lambda k: k.allowed.discard("list"), "role", "ok", "but not list events: nodes that are refused would be"),
        (of_few_gpus, "quota", "wrong", "team allows 4 of nvidia.com/gpu: ask for fewer than 8"),
        (of_policy("OnError"), "retry policy", "ok", "killed for memory is not; for that, in workflow-controller"),
        (of_policy(""), "retry policy", "wrong", "a pod that is preempted ends the run"),
    ],
)
def test_what_is_wrong_comes_with_its_remedy(
    check: Callable,
    kubernetes: KubernetesServer,
    mishap: Callable[[KubernetesServer], Any],
    what: str,
    state: str,
    words: str,
) -> None:
    mishap(kubernetes)
    found = check(code=int(state == "wrong"))
    assert found[what][0] == state, found[what]
    assert words in found[what][1]
    assert sum(other != "ok" for other, _ in found.values()) == (state != "ok")


QUOTA = "exceeded quota: team, requested: requests.nvidia.com/gpu=4, used: 8, limited: 8"


def test_admission_is_asked_by_a_dry_run(check: Callable, kubernetes: KubernetesServer) -> None:
    """In the words that a run would fail with, and without a pod being made."""
    kubernetes.admission = QUOTA
    found = check(code=1)
    refused = f'Kubernetes would refuse them: pods "gan-pipeline-check-x7x2p" is forbidden: {QUOTA}; ask for less, or'
    for what in ("pods", "nodes' pods"):
        assert found[what][0] == "wrong"
        assert found[what][1].startswith(refused), found[what][1]
    assert kubernetes.changed == []


def test_who_may_not_make_pods_is_told_nothing_of_admission(check: Callable, kubernetes: KubernetesServer) -> None:
    kubernetes.may_create, kubernetes.admission = False, QUOTA
    found = check()
    assert found["pods"] == ("unknown", "needs the right to create pods: none is made, it is a dry run")


def test_a_claim_that_is_bound_needs_no_class(check: Callable, kubernetes: KubernetesServer) -> None:
    kubernetes.kept[CLASS] = 404
    assert check()["storage class"][0] == "ok"


def test_without_kubernetes_it_is_unknown(check: Callable, without_kubernetes: Path) -> None:
    found = check()
    assert found["claim"] == ("unknown", "needs access to the Kubernetes API (kubectl's settings)")
    assert found["server"][0] == "ok"


def test_without_an_image_there_is_no_more_to_ask(check: Callable) -> None:
    assert check("--namespace", "team", code=1)["placement"] == (
        "wrong",
        "there is no image for the stages to run in: give --image, by tag or digest",
    )


def test_a_server_that_is_away_is_the_one_sentence(ask: Callable, server: KfpServer) -> None:
    answer = ask("cluster", "check", "--host", "http://no-such-host.invalid")
    assert (answer.code, "there is no host" in answer.sentence) == (2, True)
