"""A real Kubeflow Pipelines as the tests use it: by the commands of a person, and its pods by the Kubernetes API."""

from __future__ import annotations

import json
import logging
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.engines.cluster.placement import RUN_LABEL, STAGE_LABEL
from pipeline.engines.cluster.settings import read_settings

if TYPE_CHECKING:
    from kubernetes.client import CoreV1Api, CustomObjectsApi

# A training that is over in seconds, so that what is measured is the cluster.
SHORT = (
    "data.size=8",
    "networks.generator.width=8",
    "networks.discriminator.width=8",
    "training.tick=500",
    "training.batch_size=16",
    "training.keep=3",
    "training.threads=1",
    "training.checkpoint_seconds=1",
    "selection.samples=50",
    "evaluation.samples=100",
    "export.samples=8",
)
LONG_STEPS = 15_000  # of one that can be disturbed while it trains
DISTURBED_AT = 1500  # when it has checkpoints, and far to go
PATIENCE_SECONDS = 1800.0  # for one thing to happen on a slow cluster
ENDED = ("SUCCEEDED", "FAILED", "CANCELED")
_log = logging.getLogger("cluster")
_STEPS = re.compile(r"training (\d+)/\d+")


class Cluster:
    """A server, asked by the commands that a person types, and its pods."""

    def __init__(self, folder: Path, mode: str) -> None:
        self.folder, self.mode = folder, mode
        self.settings = read_settings({}, folder=folder)
        self.tag = f"test-{int(time.time()):x}"  # of all names, so that no earlier run is gone on from

    @property
    def namespace(self) -> str:
        """Where the pods run."""
        return self.settings.connection.namespace

    def ask(self, *words: str, code: int = 0) -> str:
        """What `gan-pipeline WORDS` prints in the folder of the settings, once it has ended with that code."""
        _log.info("$ gan-pipeline %s", shlex.join(words))
        command = [str(Path(sys.executable).parent / "gan-pipeline"), *words]
        ended = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        _log.info("%s%s", ended.stdout, ended.stderr)
        assert ended.returncode == code, f"{words}: ended with {ended.returncode}, not {code}: {ended.stderr[-3000:]}"
        return ended.stdout if code == 0 else ended.stdout + ended.stderr

    def submit(self, name: str, *words: str, steps: int = 40) -> dict[str, Any]:
        """The run that was started, as --json reports it."""
        sets = [word for setting in (*SHORT, f"training.steps={steps}") for word in ("--set", setting)]
        asked = ("submit", "--recipe", "dcgan", "--data", "digits", "--name", f"{self.tag} {name}", "--json")
        return dict(json.loads(self.ask(*asked, *sets, *words).splitlines()[-1]))

    def show(self, run: str) -> dict[str, Any]:
        return dict(json.loads(self.ask("runs", "show", run, "--json").splitlines()[-1]))

    def until(self, what: str, look: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
        """The first answer that is something."""
        end = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < end, f"in {seconds:.0f} s there was no {what}"
            time.sleep(5)
        return found

    def ended(self, run: str) -> dict[str, Any]:
        """The run, once it has."""

        def look() -> dict[str, Any] | None:
            found = self.show(run)
            return found if found["state"] in ENDED else None

        return dict(self.until("end of the run", look))

    # -- Kubernetes -----------------------------------------------------------------------------------------------

    def figures(self, run: str) -> dict[str, float]:
        """That the evaluation of a run has logged in MLflow."""
        from mlflow import MlflowClient

        connection = self.settings.connection
        if not connection.tracking_uri:
            pytest.skip("the settings name no tracking_uri: figures cannot be compared")
        client = MlflowClient(connection.tracking_uri)
        experiment = client.get_experiment_by_name(connection.experiment)
        assert experiment is not None
        wanted = f"tags.`gan_pipeline.run_id` = '{run}' and attributes.run_name = '4 evaluate'"
        (found,) = client.search_runs([experiment.experiment_id], wanted)
        return dict(found.data.metrics)

    @property
    def core(self) -> CoreV1Api:
        from kubernetes import client

        return client.CoreV1Api(_kubernetes())

    @property
    def objects(self) -> CustomObjectsApi:
        from kubernetes import client

        return client.CustomObjectsApi(_kubernetes())

    def pods(self, run: str, stage: str) -> Sequence[Any]:
        """Those of one stage of a run that have not ended."""
        labels = f"{RUN_LABEL}={run},{STAGE_LABEL}={stage}"
        found = self.core.list_namespaced_pod(self.namespace, label_selector=labels).items
        return [
            pod for pod in found if pod.status.phase in ("Pending", "Running") and not pod.metadata.deletion_timestamp
        ]

    def training_at(self, run: str, step: int) -> Any:
        """The pod that trains, once it has passed a step."""

        def look() -> Any:
            for pod in self.pods(run, "train-gan"):
                if pod.status.phase == "Running" and self.step_of(pod) >= step:
                    return pod
            return None

        return self.until(f"training at step {step}", look)

    def step_of(self, pod: Any) -> int:
        """That its latest line of progress names; 0: none yet."""
        from kubernetes.client import ApiException

        try:
            text = self.core.read_namespaced_pod_log(pod.metadata.name, self.namespace, container="main")
        except ApiException:
            return 0
        return max(map(int, _STEPS.findall(text)), default=0)

    def kill(self, pod: Any, pattern: str) -> None:
        """SIGKILL to the processes of a stage's container whose command matches; nothing says whether it could."""
        from kubernetes import client, stream
        from kubernetes.client import ApiException

        core = client.CoreV1Api(_kubernetes())
        each = f"for p in /proc/[0-9]*; do grep -qs '{pattern}' $p/cmdline && kill -9 ${{p#/proc/}}; done"
        asked = {"container": "main", "command": ["sh", "-c", each], "stdout": True, "stderr": True}
        with suppress(ApiException):
            stream.stream(core.connect_get_namespaced_pod_exec, pod.metadata.name, self.namespace, **asked)

    def has(self, plural: str) -> bool:
        """Whether the cluster knows a kind of object."""
        from kubernetes import client
        from kubernetes.client import ApiException

        try:
            client.ApiextensionsV1Api(_kubernetes()).read_custom_resource_definition(plural)
        except ApiException as error:
            if error.status == 404:
                return False
            raise
        return True


def _kubernetes() -> Any:
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        config.load_kube_config(client_configuration=configuration)
    except config.ConfigException:
        pytest.skip("kubectl's settings name no Kubernetes: its pods cannot be disturbed")
    return client.ApiClient(configuration)
