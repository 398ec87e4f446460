"""The InferenceService: its pod by Kubernetes' own schema, and what it has in common with what the other files say."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

INFRA = Path(__file__).parents[2] / "infra"
KUBERNETES = "1.32"
OF_KSERVE = {"minReplicas", "maxReplicas"}  # of the predictor; all else of it is a pod's


@pytest.fixture
def service() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((INFRA / "kserve/inference-service.yaml").read_text())
    return document


@pytest.fixture
def pod(service: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in service["spec"]["predictor"].items() if name not in OF_KSERVE}


@pytest.fixture
def container(pod: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod["containers"]
    return dict(container)


def validate(pod: dict[str, Any]) -> None:
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "generator"}, "spec": pod}
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_it_is_what_kserve_reads(service: dict[str, Any], container: dict[str, Any]) -> None:
    assert (service["apiVersion"], service["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    assert set(service["spec"]) == {"predictor"}
    assert container["name"] == "kserve-container"
    predictor = service["spec"]["predictor"]
    assert 1 <= predictor["minReplicas"] <= predictor["maxReplicas"]


def test_its_pod_fits_the_schema(pod: dict[str, Any]) -> None:
    validate(pod)


@pytest.mark.parametrize(("name", "value"), [("hostNetwrk", True), ("terminationGracePeriodSeconds", "soon")])
def test_a_wrong_pod_would_be_noticed(pod: dict[str, Any], name: str, value: Any) -> None:
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(pod | {name: value})


def test_it_is_confined(pod: dict[str, Any], container: dict[str, Any]) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} == set(container["resources"]["limits"]) == set(container["resources"]["requests"])
    assert {volume["name"] for volume in pod["volumes"]} == {mount["name"] for mount in container["volumeMounts"]}
    assert all("sizeLimit" in volume["emptyDir"] for volume in pod["volumes"])


def test_probes_ask_where_the_server_answers(container: dict[str, Any]) -> None:
    command = container["command"]
    port = int(command[command.index("--port") + 1])
    assert [each["containerPort"] for each in container["ports"]] == [port]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/ping", "port": port}


def test_it_starts_what_the_compose_file_starts(container: dict[str, Any]) -> None:
    """Which is what a test runs in a container and asks over HTTP."""
    generator = yaml.safe_load((INFRA / "compose.yaml").read_text())["services"]["generator"]
    assert container["command"] == generator["command"]
    assert container["image"].rpartition("/")[2] == re.sub(r"\$\{.*:-(.*)\}", r"\1", generator["image"])
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == set(generator["tmpfs"])
    names = {variable["name"] for variable in container["env"]}
    assert set(generator["environment"]) - {"MLFLOW_TRACKING_URI"} <= names


def test_mlflow_s_address_comes_from_the_secret_of_the_stages(container: dict[str, Any]) -> None:
    (source,) = container["envFrom"]
    overlay = yaml.safe_load((INFRA / "kustomize/overlays/dev/kustomization.yaml").read_text())
    made = {secret["name"]: secret["literals"] for secret in overlay["secretGenerator"]}
    assert made[source["secretRef"]["name"]] == ["MLFLOW_TRACKING_URI=http://mlflow:5000"]


def test_the_command_at_its_top_fills_everything_in() -> None:
    text = (INFRA / "kserve/inference-service.yaml").read_text()
    (words,) = re.findall(r"sed '(.*)'", text)
    done = subprocess.run(["sed", words], input=text, capture_output=True, text=True, check=True)
    (container,) = yaml.safe_load(done.stdout)["spec"]["predictor"]["containers"]
    model = next(each["value"] for each in container["env"] if each["name"] == "__pyfunc_model_path__")
    assert model == "models:/cgan-projection-digits@champion"
    assert container["image"].startswith("YOUR-REGISTRY/gan-pipeline-gpu:")
