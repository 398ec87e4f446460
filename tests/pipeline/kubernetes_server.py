"""Kubernetes' API over real HTTP, in memory, for tests: what a namespace has, and the pods and workflows of KFP's runs.

The pods are those of `KfpServer.workflows`, with their drivers and their containers, by Argo's names and KFP's labels.
Pods that are asked for are admitted or refused, and never made. Anything else is kept by its path; a status in place of
a document is answered as that error.

    kubernetes.kept["/api/v1/namespaces/team/pods"] = 403    # this account may not look; "hang": no answer
    kubernetes.gone.add(pod)                                 # collected after the run
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.pipeline.kfp_server import BESIDE, KfpServer
from tests.pipeline.kfp_workflows import Workflow

PODS = re.compile(r"/api/v1/namespaces/([^/]+)/pods")
LOG = re.compile(r"/api/v1/namespaces/([^/]+)/pods/([^/]+)/log")
WORKFLOWS = re.compile(r"/apis/argoproj\.io/v1alpha1/namespaces/([^/]+)/workflows")
RUN_LABEL = "pipeline/runid"
_RESTRICTED = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINERS = ("wait", "main")  # of a stage's pod: Argo's own, and the one that prints


class KubernetesServer(ThreadingHTTPServer):
    """A context manager, like the others; `pods_in` is the namespace that KFP's pods run in."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, kfp: KfpServer, pods_in: str = "kubeflow") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kfp = kfp
        self.pods_in = pods_in
        self.kept: dict[str, Any] = {}
        self.gone: set[str] = set()
        """Pods that have been collected."""
        self.waiting: dict[str, str] = {}
        """Pods whose container has not begun, and why."""
        self.admission = ""
        """Why no pod may be made; empty: it may, if it meets the profile `restricted`."""
        self.may_create = True
        """Whether this account may ask for pods at all."""
        self.allowed = {"get", "create", "delete", "list"}
        """What KFP's account may do with TrainJobs, and with events."""
        self.changed: list[str] = []
        self._over = threading.Event()

    def __enter__(self) -> KubernetesServer:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """Silence: who was made to hang has gone."""

    def write_settings(self, file: Path) -> None:
        """As kubectl keeps them."""
        place = {"cluster": {"server": f"http://127.0.0.1:{self.server_port}"}, "name": "here"}
        context = {"context": {"cluster": "here", "user": "me"}, "name": "here"}
        settings = {
            **{"apiVersion": "v1", "kind": "Config", "current-context": "here", "clusters": [place]},
            **{"contexts": [context], "users": [{"name": "me", "user": {"token": "abc"}}]},
        }
        file.write_text(yaml.safe_dump(settings))

    # -- what is asked ---------------------------------------------------------------------------------------------

    def look(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        kept = self.kept.get(path)
        if kept == "hang":
            self._over.wait()
        if isinstance(kept, int):
            return kept, status(kept, "refused")
        if kept is not None:
            return 200, kept
        if found := LOG.fullmatch(path):
            return self._log(*found.groups(), query.get("container", ""))
        if (found := PODS.fullmatch(path)) and found[1] == self.pods_in:
            return 200, {"kind": "PodList", "items": [*self._pods(*self._run(query))]}
        if (found := WORKFLOWS.fullmatch(path)) and found[1] == self.pods_in:
            run_id, workflows = self._run(query)
            return 200, {"kind": "WorkflowList", "items": [each.document(run_id) for each in workflows]}
        return 404, status(404, f"the server could not find {path}")

    def make(self, path: str, query: dict[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        if path.endswith("/subjectaccessreviews"):
            asked = body["spec"]["resourceAttributes"]
            assert asked["resource"] == ("events" if asked["verb"] == "list" else "trainjobs")
            assert body["spec"]["user"] == f"system:serviceaccount:{self.pods_in}:default-editor"
            return 201, {"spec": body["spec"], "status": {"allowed": asked["verb"] in self.allowed}}
        if query.get("dryRun") != "All":
            self.changed.append(path)
        if (found := PODS.fullmatch(path)) and found[1] == self.pods_in:
            return self._admit(body)
        return 404, status(404, f"the server could not find {path}")

    def _admit(self, pod: dict[str, Any]) -> tuple[int, Any]:
        """Who may ask comes first, then what is asked for; both are a 403."""
        if not self.may_create:
            who = f'User "me" cannot create resource "pods" in API group "" in the namespace "{self.pods_in}"'
            return 403, status(403, f"pods is forbidden: {who}")
        refusal = self.admission
        for container in pod["spec"]["containers"]:
            context = {**pod["spec"]["securityContext"], **container["securityContext"]}
            if context != _RESTRICTED:
                refusal = f'violates PodSecurity "restricted:latest": container "{container["name"]}"'
        if refusal:
            return 403, status(403, f'pods "{pod["metadata"]["generateName"]}x7x2p" is forbidden: {refusal}')
        return 201, pod

    def _run(self, query: dict[str, str]) -> tuple[str, list[Workflow]]:
        """Whose things are asked for: its id, and its workflow if there is one."""
        label, _, run_id = query["labelSelector"].partition("=")
        assert label == RUN_LABEL, "all of the namespace is never asked for"
        return run_id, [self.kfp.workflows[run_id]] if run_id in self.kfp.workflows else []

    def _pods(self, run_id: str, workflows: list[Workflow]) -> Iterator[dict[str, Any]]:
        for name, containers in (each for workflow in workflows for each in _containers(workflow)):
            if name not in self.gone:
                yield {
                    "metadata": {"name": name, "namespace": self.pods_in, "labels": {RUN_LABEL: run_id}},
                    "spec": {"containers": [{"name": each} for each in containers]},
                }

    def _log(self, namespace: str, pod: str, container: str) -> tuple[int, Any]:
        if namespace != self.pods_in or pod in self.gone:
            return 404, status(404, f'pods "{pod}" not found')
        if pod in self.waiting:
            return 400, status(400, f'container "{container}" in pod "{pod}" is waiting to start: {self.waiting[pod]}')
        for workflow in self.kfp.workflows.values():
            if container not in dict(_containers(workflow)).get(pod, ()):
                continue
            stages = [(stage, number) for stage, pods in workflow.pods.items() for number in range(len(pods))]
            for stage, number in stages:
                if workflow.pod(stage, number) == pod:
                    return 200, self.kfp.logs.get(pod, BESIDE + f"{stage}: at work\n".encode())
            return 200, b"driver\n"
        return 400, status(400, f"container {container} is not valid for pod {pod}")


def _containers(workflow: Workflow) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The names of a run's pods, with their containers: for each stage a driver's and its own, one for each attempt."""
    for stage, attempts in workflow.pods.items():
        driver = workflow.driver(stage)
        yield driver, CONTAINERS
        for number in range(len(attempts)):
            yield workflow.pod(stage, number), CONTAINERS


def status(code: int, message: str) -> dict[str, Any]:
    """An error as Kubernetes puts it."""
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}


class _Handler(BaseHTTPRequestHandler):
    server: KubernetesServer

    def do_GET(self) -> None:
        self._send(*self.server.look(*self._asked()))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._send(*self.server.make(*self._asked(), body))

    def _asked(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        return parts.path, {key: values[0] for key, values in parse_qs(parts.query).items()}

    def _send(self, code: int, document: Any) -> None:
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain" if isinstance(document, bytes) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Silence."""
