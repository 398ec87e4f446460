"""The API of Kubernetes, as kubectl's settings or the account of a pod reach it: for what Kubeflow's own cannot tell.

Nothing is changed by it, and no question takes longer than `SECONDS` for each part of its answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from components.redaction import redact
from gan_models.errors import RunError
from pipeline.engines.cluster.client import message_of
from pipeline.engines.cluster.placement import RUN_LABEL

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, CoreV1Api

SECONDS = 15
ARGO = ("argoproj.io", "v1alpha1")
_DRIVER = re.compile(r".*\.([^.()]+)-driver(\(\d+\))?")  # the name of the node of the pod before a stage's own
CONTAINER = "main"  # of a stage's pod: the one of Argo's that prints


class NoAnswerError(RunError):
    """Kubernetes does not tell, and why; `status` of its answer, 0 where there was none, and what that `said`."""

    def __init__(self, sentence: str, status: int = 0, said: str = "") -> None:
        super().__init__(sentence)
        self.status, self.said = status, said


class NoAccessError(NoAnswerError):
    """There are no settings to ask it with."""


class Kubernetes:
    """What Kubernetes says of one namespace; every failure is a NoAnswerError."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace

    @cached_property
    def client(self) -> ApiClient:
        """For the generated APIs. Raises NoAccessError."""
        from kubernetes import client, config

        configuration = client.Configuration()
        try:
            try:
                config.load_kube_config(client_configuration=configuration)
            except config.ConfigException:
                config.load_incluster_config(configuration)
        except config.ConfigException:
            raise NoAccessError("needs access to the Kubernetes API (kubectl's settings)") from None
        configuration.retries = False
        return client.ApiClient(configuration)

    @property
    def core(self) -> CoreV1Api:
        from kubernetes import client

        return client.CoreV1Api(self.client)

    def ask(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """One request, by a method of a generated API such as `core`. Raises NoAnswerError."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            return method(*arguments, **named, _request_timeout=(SECONDS, SECONDS))
        except (HTTPError, OSError) as error:
            raise NoAnswerError(f"the Kubernetes API does not answer: {type(error).__name__}") from None
        except ApiException as error:
            said = message_of(error.body) or str(error.reason)
            sentence = f"the Kubernetes API says {error.status}: {said}"
            if error.status in (401, 403):
                sentence = f"the Kubernetes API does not let you look ({error.status})"
            raise NoAnswerError(sentence, error.status, said) from None

    def why_failed(self, run_id: str) -> str:
        """What Argo's workflow of a run says of its end; empty where it says nothing, or is gone."""
        from kubernetes.client import CustomObjectsApi

        listed = CustomObjectsApi(self.client).list_namespaced_custom_object
        selector = f"{RUN_LABEL}={run_id}"
        found = self.ask(listed, *ARGO, self.namespace, "workflows", label_selector=selector)["items"]
        statuses = [each.get("status", {}) for each in found]
        pods = [
            node
            for each in statuses
            for node in (each.get("nodes") or {}).values()
            if node.get("type") == "Pod" and node.get("phase") in ("Error", "Failed") and node.get("message")
        ]
        # An earlier one may have been tried again.
        if pods:
            last = max(pods, key=lambda node: node.get("finishedAt") or "")
            driver = _DRIVER.fullmatch(last.get("name") or "")
            said = f"Kubeflow could not start {driver[1]}: {last['message']}" if driver else last["message"]
        else:
            said = next(filter(None, (each.get("message", "") for each in statuses)), "")
        return redact(" ".join(said.split()))

    def log(self, run_id: str, pod: str) -> str:
        """What a stage's pod has printed so far.

        Args:
            pod: its name as KFP's nodes have it; Kubernetes may have another one that ends in the same mark.
        """
        listed = self.ask(self.core.list_namespaced_pod, self.namespace, label_selector=f"{RUN_LABEL}={run_id}")
        names = {name.rpartition("-")[2]: name for name in (each.metadata.name for each in listed.items)}
        name = names.get(pod.rpartition("-")[2])
        if name is None:
            raise NoAnswerError(f"the Kubernetes API has no such pod in the namespace {self.namespace}", 404)
        return str(self.ask(self._read_log, name))

    def _read_log(self, name: str, **named: Any) -> str:
        answer = self.core.read_namespaced_pod_log(
            name, self.namespace, container=CONTAINER, _preload_content=False, **named
        )
        return bytes(answer.data).decode(errors="replace")  # the generated code would give the bytes' Python text
