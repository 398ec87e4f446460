"""What a cluster is given: the same five stages, each with what it needs, and none of the known traps."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.context import RunContext
from components.train_gan.supervisor import RESTARTS_VARIABLE
from components.train_gan.train_job import manifest
from gan_models.errors import RequestError
from pipeline.definitions.training import make_training_pipeline
from pipeline.engines.cluster.lint import lint
from pipeline.engines.cluster.placement import Placement
from pipeline.engines.cluster.settings import Connection
from pipeline.engines.cluster.submission import ClusterPipeline, compile_for_cluster, run_parameter
from pipeline.request.plan import make_plan
from pipeline.request.request import Request

GOLDEN = Path(__file__).parents[2] / "golden" / "training-on-cluster.yaml"
IMAGE = f"registry.example/gan-pipeline:0.1.0@sha256:{'0123456789abcdef' * 4}"
PLACEMENT = Placement(
    image=IMAGE,
    gpus=2,
    node_selector=("gpu=a100",),
    toleration=("nvidia.com/gpu:NoSchedule", "spot=yes"),
    pvc="gan-state",
    secret=("mlflow-login",),
    pull_secret=("registry-login",),
    label=("team=vision",),
)
STAGES = ["prepare-data", "train-gan", "select-checkpoint", "evaluate-gan", "export-samples"]


def arguments(placement: Placement = PLACEMENT) -> dict[str, Any]:
    connection = Connection(experiment="faces", tracking_uri="http://mlflow:5000")
    run = run_parameter("night", connection, placement)
    return {**make_plan(Request(recipe="dcgan", data="digits")).parameters(), "run": run}


@pytest.fixture(scope="module")
def compiled() -> ClusterPipeline:
    return compile_for_cluster(make_training_pipeline(), PLACEMENT, arguments())


def containers(pipeline: ClusterPipeline) -> dict[str, dict[str, Any]]:
    executors = pipeline.spec["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): executor["container"] for name, executor in executors.items()}


def settings(pipeline: ClusterPipeline) -> dict[str, dict[str, Any]]:
    executors = pipeline.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): executor for name, executor in executors.items()}


def test_it_is_the_golden_one(compiled: ClusterPipeline) -> None:
    """GAN_PIPELINE_UPDATE_GOLDEN=1 writes it anew. The stages' sources are left out: their own tests hold them."""
    shown = ClusterPipeline(copy.deepcopy(dict(compiled.spec)), compiled.platform)
    for name, container in containers(shown).items():
        container["command"][-1] = f"<source of {name}>"
    if os.environ.get("GAN_PIPELINE_UPDATE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(yaml.safe_dump_all([shown.spec, shown.platform]))
    assert [shown.spec, shown.platform] == list(yaml.safe_load_all(GOLDEN.read_text()))


def test_its_stages_are_those_of_the_local_pipeline(compiled: ClusterPipeline) -> None:
    from pipeline.definitions.training import make_training_pipeline

    here = make_training_pipeline().pipeline_spec.deployment_spec["executors"]
    assert list(containers(compiled)) == sorted(STAGES)
    for name, container in containers(compiled).items():
        assert container["command"] == list(here[f"exec-{name}"]["container"]["command"])
        assert container["image"] == IMAGE
        assert here[f"exec-{name}"]["container"]["image"] != IMAGE, "the local engine is not touched"


def test_only_preparation_is_cached_and_only_training_retried(compiled: ClusterPipeline) -> None:
    tasks = compiled.spec["root"]["dag"]["tasks"]
    assert [name for name in STAGES if tasks[name]["cachingOptions"].get("enableCache")] == ["prepare-data"]
    assert [name for name in STAGES if "retryPolicy" in tasks[name]] == ["train-gan"]
    assert tasks["train-gan"]["retryPolicy"]["maxRetryCount"] == 3
    assert tasks["train-gan"]["retryPolicy"]["backoffFactor"] == 2.0


def test_every_pod_asks_for_cpu_and_memory(compiled: ClusterPipeline) -> None:
    """A quota refuses those that do not."""
    for container in containers(compiled).values():
        assert container["resources"]["resourceCpuRequest"] == "1"
        assert container["resources"]["resourceMemoryRequest"] == "4Gi"


def test_a_queue_of_kueue_is_a_label_of_pods_and_nodes() -> None:
    queue = "kueue.x-k8s.io/queue-name"
    placement = Placement(image=IMAGE, gpus=1, nodes=2, pvc="state", label=(f"{queue}=team",))
    nodes = placement.training_nodes()
    assert nodes is not None
    assert nodes.labels[queue] == "team"
    made = manifest("train-gan-1", "abc", Path("/job.json"), Path("/said.jsonl"), nodes)
    assert made["metadata"]["labels"][queue] == "team"


def test_the_time_for_retries_ends_no_attempt(compiled: ClusterPipeline) -> None:
    """`backoffMaxDuration` counts from the first attempt, and whatever is under way at its end is killed."""
    policy = compiled.spec["root"]["dag"]["tasks"]["train-gan"]["retryPolicy"]
    attempt = int(settings(compiled)["train-gan"]["activeDeadlineSeconds"])
    waits = sum(60 * 2**number for number in range(policy["maxRetryCount"]))
    assert int(policy["backoffMaxDuration"].removesuffix("s")) >= attempt * (policy["maxRetryCount"] + 1) + waits


def test_the_training_is_supervised_where_it_can_go_on(compiled: ClusterPipeline) -> None:
    given = {
        name: {each["name"]: each["value"] for each in box.get("env", [])} for name, box in containers(compiled).items()
    }
    assert [name for name, env in given.items() if RESTARTS_VARIABLE in env] == ["train-gan"]
    assert {env["GAN_PIPELINE_CLAIM"] for env in given.values()} == {"gan-state"}, "a sentence names it"


def test_gpus_go_where_they_are_of_use_with_shared_memory_and_nodes(compiled: ClusterPipeline) -> None:
    given, placed = containers(compiled), settings(compiled)
    gpus = {name: each.get("resources", {}).get("accelerator", {}).get("resourceCount") for name, each in given.items()}
    assert gpus == {
        "prepare-data": None,
        "train-gan": "2",
        "select-checkpoint": "1",
        "evaluate-gan": "1",
        "export-samples": "1",
    }
    for name, stage in placed.items():
        with_gpu = gpus[name] is not None
        shm = {"volumeName": "shm", "mountPath": "/dev/shm", "medium": "Memory", "sizeLimit": "2Gi"}
        assert stage.get("emptyDirMounts", []) == [shm] * with_gpu
        assert stage.get("nodeSelector", {}).get("labels", {}) == ({"gpu": "a100"} if with_gpu else {})
        assert len(stage.get("tolerations", [])) == 2 * with_gpu


def test_of_several_nodes_the_training_is_the_launcher() -> None:
    from components.train_gan.train_job import NODES_VARIABLE, POD_NAME_VARIABLE, POD_UID_VARIABLE, Nodes

    placement = PLACEMENT.model_copy(update={"nodes": 3})
    pipeline = compile_for_cluster(make_training_pipeline(), placement, arguments(placement))
    container, placed = containers(pipeline)["train-gan"], settings(pipeline)["train-gan"]
    assert "accelerator" not in container.get("resources", {})
    assert not {"nodeSelector", "tolerations", "emptyDirMounts"} & set(placed)
    fields = {field["name"]: field["fieldPath"] for field in placed["fieldPathAsEnv"]}
    assert (fields[POD_NAME_VARIABLE], fields[POD_UID_VARIABLE]) == ("metadata.name", "metadata.uid")
    (text,) = [each["value"] for each in container["env"] if each["name"] == NODES_VARIABLE]
    nodes = Nodes.model_validate_json(text)
    assert (nodes.count, nodes.gpus, nodes.image, nodes.pvc, nodes.mount) == (3, 2, IMAGE, "gan-state", "/state")
    assert nodes.node_selector == {"gpu": "a100"}
    assert nodes.tolerations == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "spot", "operator": "Equal", "value": "yes"},
    ]
    assert nodes.pull_secrets == ["registry-login"]
    assert (nodes.labels["team"], nodes.labels["gan-pipeline/stage"]) == ("vision", "train-gan")
    others = containers(compile_for_cluster(make_training_pipeline(), PLACEMENT, arguments()))
    assert all(containers(pipeline)[name] == others[name] for name in STAGES if name != "train-gan")


def test_without_gpus_all_stages_go_to_the_nodes() -> None:
    placement = Placement(image=IMAGE, node_selector=("pool=cpu",))
    pipeline = compile_for_cluster(make_training_pipeline(), placement, arguments(placement))
    assert all(stage["nodeSelector"]["labels"] == {"pool": "cpu"} for stage in settings(pipeline).values())
    assert "retryPolicy" not in pipeline.spec["root"]["dag"]["tasks"]["train-gan"], "nothing to go on from"


def test_every_stage_has_state_login_label_and_an_end(compiled: ClusterPipeline) -> None:
    for name, stage in settings(compiled).items():
        assert [mount["mountPath"] for mount in stage["pvcMount"]] == ["/state"]
        assert stage["secretAsEnv"][0]["secretName"] == "mlflow-login"
        assert stage["securityContext"] == {"runAsNonRoot": True}
        assert stage["podMetadata"]["labels"]["gan-pipeline/stage"] == name
        assert stage["podMetadata"]["labels"]["team"] == "vision"
        assert stage["activeDeadlineSeconds"] == str((48 if name == "train-gan" else 12) * 3600)
        assert stage["imagePullSecret"][0]["secretName"] == "registry-login"


def test_a_pod_finds_its_run_and_its_state(compiled: ClusterPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """The identity comes from a label that KFP sets: equal over retries, another for each run of a schedule."""
    (field,) = settings(compiled)["train-gan"]["fieldPathAsEnv"]
    assert field["fieldPath"] == "metadata.labels['pipeline/runid']"
    monkeypatch.setenv(field["name"], "kfp-run-1")
    contexts = [RunContext.from_environment(arguments()["run"]) for _ in range(2)]
    assert contexts[0] == contexts[1]
    assert (contexts[0].run_id, contexts[0].state_dir) == ("kfp-run-1", "/state/runs/night")
    assert (contexts[0].relay, contexts[0].tracking_uri) == ("in-process", "http://mlflow:5000")
    monkeypatch.setenv(field["name"], "kfp-run-2")
    assert RunContext.from_environment(arguments()["run"]).run_id == "kfp-run-2"


def test_equal_settings_compile_to_equal_bytes(compiled: ClusterPipeline) -> None:
    again = compile_for_cluster(make_training_pipeline(), PLACEMENT, arguments())
    assert yaml.safe_dump(again.body) == yaml.safe_dump(compiled.body)


def test_tasks_in_groups_are_placed_as_well() -> None:
    from tests.pipeline.engines.local.grouped_pipeline import grouped

    given = {name: arguments()[name] for name in ("data", "source_version", "code_version", "run")}
    pipeline = compile_for_cluster(grouped, PLACEMENT, given)
    assert set(containers(pipeline)) == {"prepare-data", "decide", "act", "tell"}
    assert {container["image"] for container in containers(pipeline).values()} == {IMAGE}
    assert all(stage["pvcMount"] for stage in settings(pipeline).values())


# -- the lint ----------------------------------------------------------------------------------------------------------


def spoil_image(image: str) -> Callable[..., None]:
    def spoil(spec: dict[str, Any], platform: dict[str, Any], given: dict[str, Any]) -> None:
        spec["deploymentSpec"]["executors"]["exec-train-gan"]["container"]["image"] = image

    return spoil


def pip_install(spec: dict[str, Any], platform: dict[str, Any], given: dict[str, Any]) -> None:
    spec["deploymentSpec"]["executors"]["exec-train-gan"]["container"]["command"].insert(0, "pip install kfp")


def literal_secret(spec: dict[str, Any], platform: dict[str, Any], given: dict[str, Any]) -> None:
    container = spec["deploymentSpec"]["executors"]["exec-train-gan"]["container"]
    container["env"] = [{"name": "MLFLOW_TRACKING_PASSWORD", "value": "s3cret"}]


def no_shared_memory(spec: dict[str, Any], platform: dict[str, Any], given: dict[str, Any]) -> None:
    del platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-train-gan"]["emptyDirMounts"]


def no_volume(spec: dict[str, Any], platform: dict[str, Any], given: dict[str, Any]) -> None:
    del platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-train-gan"]["pvcMount"]


def no_platform(spec: dict[str, Any], platform: dict[str, Any], given: dict[str, Any]) -> None:
    platform.clear()


def argue(**changes: Any) -> Callable[..., None]:
    def spoil(spec: dict[str, Any], platform: dict[str, Any], given: dict[str, Any]) -> None:
        given.update(changes)

    return spoil


def forget(spec: dict[str, Any], platform: dict[str, Any], given: dict[str, Any]) -> None:
    del given["seed"]


TRAPS = {
    "latest": (spoil_image("gan-pipeline:latest"), "gan-pipeline:latest may be another image tomorrow (train-gan)"),
    "no tag": (spoil_image("registry:5000/gan-pipeline"), "may be another image tomorrow"),
    "kfp's default image": (spoil_image("python:3.11"), "there is no image of this project for train-gan"),
    "pip": (pip_install, "train-gan installs packages at run time"),
    "a password": (literal_secret, "train-gan carries the value of MLFLOW_TRACKING_PASSWORD"),
    "no /dev/shm": (no_shared_memory, "train-gan has a GPU and 64 MB of /dev/shm"),
    "retries from zero": (no_volume, "train-gan is retried and would start over"),
    "lost settings": (no_platform, "train-gan is retried and would start over"),
    "None": (argue(seed=None), "its parameter 'seed' has no value"),
    "missing": (forget, "its parameter 'seed' has no value"),
    "unknown": (argue(sed=1), "it has no parameter 'sed'"),
    "type": (argue(seed="1"), "its parameter 'seed' is of type NUMBER_INTEGER, not str"),
    "truth": (argue(seed=True), "not bool"),
    "too long": (argue(model="x" * 100_001), "longer than 100 kB"),
    "too long together": (
        argue(model="x" * 60_000, data="y" * 60_000),
        "kB together, and a stage's command line takes",
    ),
    "too large": (
        argue(**dict.fromkeys(("data", "model", "selection"), "x" * 99_000), export="\N{SNOWMAN}" * 120_000),
        "kB",
    ),
    "a login": (argue(run='{"tracking_uri": "http://ann:s3cret@mlflow"}'), "what looks like a login or a key"),
}


def test_what_we_compile_has_no_trap(compiled: ClusterPipeline) -> None:
    assert lint(compiled.spec, compiled.platform, arguments()) == []


@pytest.mark.parametrize("trap", TRAPS)
def test_each_trap_is_a_sentence(compiled: ClusterPipeline, trap: str) -> None:
    spoil, words = TRAPS[trap]
    spec, platform, given = copy.deepcopy(dict(compiled.spec)), copy.deepcopy(dict(compiled.platform)), arguments()
    spoil(spec, platform, given)
    findings = lint(spec, platform, given)
    assert any(words in finding for finding in findings), findings
    assert "s3cret" not in json.dumps(findings)


def test_a_trap_stops_the_compilation() -> None:
    with pytest.raises(RequestError, match=r"the pipeline cannot be submitted: .* has no parameter 'sed'"):
        compile_for_cluster(make_training_pipeline(), PLACEMENT, {**arguments(), "sed": 1})
