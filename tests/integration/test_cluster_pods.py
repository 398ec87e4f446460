"""The compiled pipeline's own commands, run as a cluster runs them: a process for each stage, with what a pod is given.

A small stand-in for KFP's launcher resolves the inputs, and for the kubelet the environment; images and scheduling are
what it leaves out.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.engines.cluster.settings import read_settings
from pipeline.engines.cluster.submission import ClusterPipeline, build_submission
from pipeline.request.request import Request

pytestmark = pytest.mark.slow

REPO = Path(__file__).parents[2]
SETTINGS = (
    "data.size=8",
    "networks.generator.width=8",
    "networks.discriminator.width=8",
    "training.steps=24",
    "training.tick=1",
    "training.batch_size=16",
    "training.keep=3",
    "training.threads=1",
    "training.checkpoint_seconds=0",
    "selection.samples=50",
    "evaluation.samples=100",
    "export.samples=8",
)


class Pods:
    """The pods of one run."""

    def __init__(self, folder: Path, run_id: str, pipeline: ClusterPipeline, arguments: Mapping[str, Any]) -> None:
        self.root = folder / run_id
        self.run_id = run_id
        self.spec = pipeline.spec
        self.placed = pipeline.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        self.arguments = arguments

    def start(self, name: str) -> subprocess.Popen[str]:
        task = self.spec["root"]["dag"]["tasks"][name]
        component = self.spec["components"][task["componentRef"]["name"]]
        label = component["executorLabel"]
        container = self.spec["deploymentSpec"]["executors"][label]["container"]
        asked = json.dumps(self._executor_input(name, task, component))
        command = [part.replace("{{$}}", asked) for part in (*container["command"], *container["args"])]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "GAN_PIPELINE_"))}
        environment = {
            **kept,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPO),
            "OMP_NUM_THREADS": "1",
            **{each["name"]: each["value"] for each in container.get("env", [])},
            **{each["name"]: self._field(each["fieldPath"]) for each in self.placed[label]["fieldPathAsEnv"]},
        }
        return subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, name: str) -> None:
        pod = self.start(name)
        said = pod.communicate(timeout=300)[0]
        assert pod.returncode == 0, said[-3000:]

    def _field(self, path: str) -> str:
        assert path == "metadata.labels['pipeline/runid']"
        return self.run_id

    def _executor_input(self, name: str, task: Any, component: Any) -> dict[str, Any]:
        parameters = {
            key: self.arguments[source["componentInputParameter"]]
            for key, source in task["inputs"].get("parameters", {}).items()
        }
        sources = {key: source["taskOutputArtifact"] for key, source in task["inputs"].get("artifacts", {}).items()}
        inputs = {
            key: self._artifact(source["producerTask"], source["outputArtifactKey"]) for key, source in sources.items()
        }
        made = component.get("outputDefinitions", {}).get("artifacts", {})
        outputs = {key: self._artifact(name, key) for key in made}
        (self.root / name).mkdir(parents=True, exist_ok=True)
        return {
            "inputs": {"parameterValues": parameters, "artifacts": inputs},
            "outputs": {"artifacts": outputs, "outputFile": str(self.root / name / "executor_output.json")},
        }

    def _artifact(self, task: str, key: str) -> dict[str, Any]:
        made = self.spec["components"][f"comp-{task}"]["outputDefinitions"]["artifacts"][key]
        return {"artifacts": [{"name": key, "uri": str(self.root / task / key), "type": made["artifactType"]}]}

    def weights(self) -> str:
        (last,) = (self.root / "train-gan/training/generators").glob("step-*24/generator.safetensors")
        return hashlib.sha256(last.read_bytes()).hexdigest()


def submission(tmp_path: Path, name: str, tracked: bool) -> tuple[ClusterPipeline, dict[str, Any]]:
    flags = {"image": "registry.example/gan-pipeline:0.1.0", "pvc": "state", "mount": str(tmp_path / "state")}
    request = Request(recipe="dcgan", data="digits", overrides=SETTINGS, name=name)
    made = build_submission(request, read_settings(flags, {}, tmp_path))
    run = json.loads(made.arguments["run"])
    if tracked:
        run["tracking_uri"] = f"sqlite:///{tmp_path}/mlflow.db"
    return made.pipeline, {**made.arguments, "run": json.dumps(run)}


STAGES = ["prepare-data", "train-gan", "select-checkpoint", "evaluate-gan", "export-samples"]


def test_a_preempted_training_goes_on_in_its_next_pod(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    (tmp_path / "state").mkdir()
    pods = Pods(tmp_path, "run-1", *submission(tmp_path, "night", tracked=True))
    pods.run("prepare-data")
    training = pods.start("train-gan")
    deadline = time.monotonic() + 120
    while not list((tmp_path / "state").glob("runs/night/training/*/checkpoints/*")):
        assert training.poll() is None, training.communicate()[0][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(training.pid, signal.SIGKILL)
    training.wait()
    assert not (pods.root / "train-gan/training/training.json").exists(), "it was killed too late"
    for stage in STAGES[1:]:
        pods.run(stage)

    whole = Pods(tmp_path, "run-2", *submission(tmp_path, "undisturbed", tracked=False))
    shutil.copytree(pods.root / "prepare-data", whole.root / "prepare-data")
    whole.run("train-gan")
    assert pods.weights() == whole.weights()

    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (experiment,) = [each for each in client.search_experiments() if each.name == "gan-pipeline"]
    runs = client.search_runs([experiment.experiment_id], "tags.`gan_pipeline.run_id` = 'run-1'")
    assert sorted(run.info.run_name for run in runs) == [
        "1 prepare data",
        "2 train",
        "3 select checkpoint",
        "4 evaluate",
        "5 export",
        "night",
    ]
    assert {run.info.status for run in runs} == {"FINISHED"}
    training_run = next(run for run in runs if run.info.run_name == "2 train")
    steps = [metric.step for metric in client.get_metric_history(training_run.info.run_id, "G/loss")]
    assert steps == list(range(1, 25)), "each step once, over both pods"
