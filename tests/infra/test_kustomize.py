"""The Kubernetes manifests: each overlay builds, and everything in it is what Kubernetes' own schemas ask for."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pipeline.engines.cluster.settings import read_settings

KUSTOMIZE = Path(__file__).parents[2] / "infra" / "kustomize"
OVERLAYS = ["dev", "gpu"]
KUBERNETES = "1.32"

Manifest = dict[str, Any]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Manifest]]:
    """An overlay's manifests, with secrets as somebody would fill them in."""
    tool = next((words for words in (["kubectl", "kustomize"], ["kustomize", "build"]) if shutil.which(words[0])), None)
    if tool is None:
        pytest.skip("neither kubectl nor kustomize is installed")
    copy = tmp_path_factory.mktemp("infra") / "kustomize"
    shutil.copytree(KUSTOMIZE, copy, ignore=shutil.ignore_patterns("secrets.env"))
    for example in copy.rglob("*.env.example"):
        example.with_suffix("").write_text(example.read_text().replace("=", "=filled-in"))

    def build(overlay: str) -> list[Manifest]:
        done = subprocess.run([*tool, str(copy / "overlays" / overlay)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return list(yaml.safe_load_all(done.stdout))

    return build


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest, build: Callable[[str], list[Manifest]]) -> list[Manifest]:
    return build(request.param)


def pods(manifests: list[Manifest]) -> Iterator[tuple[dict[str, str], dict[str, Any]]]:
    """Labels and specification of every pod."""
    for manifest in manifests:
        if manifest["kind"] in ("Deployment", "StatefulSet"):
            template = manifest["spec"]["template"]
            yield template["metadata"]["labels"], template["spec"]


def names(manifests: list[Manifest], kind: str) -> set[str]:
    return {manifest["metadata"]["name"] for manifest in manifests if manifest["kind"] == kind}


def test_the_base_fits_the_schemas() -> None:
    """Also where no overlay can be built."""
    for file in (*(KUSTOMIZE / "base").glob("*.yaml"), *KUSTOMIZE.glob("*.yaml")):
        if file.name != "kustomization.yaml":
            for manifest in yaml.safe_load_all(file.read_text()):
                kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_the_scheduler_s_pod_is_given_settings_that_there_are() -> None:
    made = {each["kind"]: each for each in yaml.safe_load_all((KUSTOMIZE / "scheduler.yaml").read_text())}
    settings = read_settings({}, made["ConfigMap"]["data"], Path("/nowhere"))
    assert settings.placement().pvc == "gan-pipeline-work"
    pod = made["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts["state"] == settings.placement().mount, "data has to be named as the pods of runs see it"
    assert str(settings.connection.token_file) == f"{mounts['login']}/token"
    assert container["workingDir"] == mounts["schedules"]
    assert {volume["name"] for volume in pod["volumes"]} == set(mounts)


def test_every_manifest_fits_the_schemas(manifests: list[Manifest]) -> None:
    assert {"Deployment", "StatefulSet", "NetworkPolicy", "Secret"} <= {manifest["kind"] for manifest in manifests}
    for manifest in manifests:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_a_wrong_manifest_would_be_noticed(manifests: list[Manifest]) -> None:
    deployment = next(manifest for manifest in manifests if manifest["kind"] == "Deployment")
    deployment["spec"]["replicas"] = "one"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES, strict=True)


def test_all_that_pods_ask_for_is_there(manifests: list[Manifest]) -> None:
    for _, pod in pods(manifests):
        assert pod["serviceAccountName"] in names(manifests, "ServiceAccount")
        for volume in pod["volumes"]:
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in names(manifests, "PersistentVolumeClaim")
        for container in pod["containers"]:
            for variable in container.get("env", []):
                if "valueFrom" in variable:
                    assert variable["valueFrom"]["secretKeyRef"]["name"] in names(manifests, "Secret")
            for source in container.get("envFrom", []):
                assert source["configMapRef"]["name"] in names(manifests, "ConfigMap")


def test_services_and_policies_select_pods(manifests: list[Manifest]) -> None:
    labels = [labels for labels, _ in pods(manifests)]
    for manifest in manifests:
        if manifest["kind"] == "Service":
            wanted = manifest["spec"]["selector"]
        elif manifest["kind"] == "NetworkPolicy":
            wanted = manifest["spec"]["podSelector"]["matchLabels"]
        else:
            continue
        assert any(wanted.items() <= each.items() for each in labels), manifest["metadata"]["name"]
    selected = [m["spec"]["podSelector"]["matchLabels"] for m in manifests if m["kind"] == "NetworkPolicy"]
    assert all(any(wanted.items() <= each.items() for wanted in selected) for each in labels), "a pod without a policy"


def test_containers_are_limited_watched_and_without_rights(manifests: list[Manifest]) -> None:
    for _, pod in pods(manifests):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"]:
            assert {"cpu", "memory"} <= set(container["resources"]["limits"])
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_mlflow_is_probed_at_health_and_knows_its_hosts(manifests: list[Manifest]) -> None:
    (container,) = next(pod for labels, pod in pods(manifests) if labels["app.kubernetes.io/name"] == "mlflow")[
        "containers"
    ]
    assert {container[probe]["httpGet"]["path"] for probe in container if probe.endswith("Probe")} == {"/health"}
    (settings,) = [manifest for manifest in manifests if manifest["kind"] == "ConfigMap"]
    hosts = settings["data"]["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    namespace = settings["metadata"]["namespace"]
    assert {"mlflow:5000", f"mlflow.{namespace}:5000", f"mlflow.{namespace}.svc.cluster.local:5000"} <= set(hosts)
    assert not [host for host in hosts if "*" in host.partition(":")[0]], "mlflow.* is mlflow.attacker.example, too"


def test_no_password_but_in_secrets(manifests: list[Manifest]) -> None:
    (database,) = [
        m for m in manifests if m["kind"] == "Secret" and m["metadata"]["name"].startswith("mlflow-database")
    ]
    assert database["metadata"]["name"] != "mlflow-database", "a changed password restarts what uses it"
    for manifest in manifests:
        if manifest["kind"] != "Secret":
            assert "filled-in" not in yaml.safe_dump(manifest)
    assert (
        not list(KUSTOMIZE.rglob("secrets.env")) or "secrets.env" in (KUSTOMIZE.parents[1] / ".gitignore").read_text()
    )


def test_roles_read_and_make_train_jobs_and_nothing_else(manifests: list[Manifest]) -> None:
    for manifest in manifests:
        assert manifest["kind"] not in ("ClusterRole", "ClusterRoleBinding")
        for rule in manifest.get("rules", []):
            changes = {"create", "delete"} if rule["resources"] == ["trainjobs"] else set()
            assert set(rule["verbs"]) <= {"get", "list", "watch"} | changes
            assert "secrets" not in rule["resources"]
    (training,) = (
        each for each in manifests if each["kind"] == "Role" and each["metadata"]["name"].endswith("-train-jobs")
    )
    assert {"apiGroups": [""], "resources": ["events"], "verbs": ["list"]} in training["rules"]
