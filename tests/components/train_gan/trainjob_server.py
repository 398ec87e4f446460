"""Kubernetes as far as TrainJobs go, over real HTTP: kept in memory, with a real process for every node.

What is created must fit the models of `kubeflow_trainer_api` with nothing left over. A deleted TrainJob stays until its
processes, which get SIGTERM, have ended, as with foreground deletion. Pods that are refused are tried again for ever,
and nothing but the events of their Job says so.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubeflow_trainer_api.models import TrainerV1alpha1TrainJob
from kubernetes import client

from components.train_gan.train_job import TrainJobs

NAMESPACE = "vision"
_PATH = re.compile(rf"/apis/trainer\.kubeflow\.org/v1alpha1/namespaces/{NAMESPACE}/trainjobs(?:/([^/?]+))?(?:\?.*)?")
_EVENTS = f"/api/v1/namespaces/{NAMESPACE}/events"
Starter = Callable[[dict[str, Any]], list[subprocess.Popen[bytes]]]


class TrainJobServer:
    """A context manager; `jobs()` makes clients of it."""

    def __init__(self, start: Starter) -> None:
        self.start = start
        self.created: list[dict[str, Any]] = []
        self.kept: dict[str, dict[str, Any]] = {}
        self.refusals: dict[str, int] = {}
        """HTTP method, or "events" -> the status that it is answered with."""
        self.admission = ""
        """Why no pod may be made; empty: it may."""
        self.events: list[dict[str, Any]] = []
        self._pending: set[str] = set()
        """TrainJobs whose pods have not been made."""
        self._processes: dict[str, list[subprocess.Popen[bytes]]] = {}
        self._lock = threading.Lock()
        self._http = _Http(("127.0.0.1", 0), _Handler)
        self._http.cluster = self
        self.address = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> TrainJobServer:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (each for processes in self._processes.values() for each in processes):
            process.kill()
            process.wait()
        self._http.shutdown()
        self._http.server_close()

    def jobs(self) -> TrainJobs:
        configuration = client.Configuration(host=self.address)
        configuration.retries = False
        return TrainJobs(client.ApiClient(configuration), NAMESPACE)

    def lose(self, name: str) -> None:
        """As if it had been deleted by hand, its processes killed."""
        with self._lock:
            for process in self._processes.pop(name):
                process.kill()
                process.wait()
            del self.kept[name]

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        with self._lock:
            if method in self.refusals:
                return self.refusals[method], {"message": "refused"}
            if path.startswith(_EVENTS):
                return self._list_events(parse_qs(urlsplit(path).query)["fieldSelector"][0])
            match = _PATH.fullmatch(path)
            if match is None:
                return 404, {"message": f"the server could not find {path}"}
            self._look()
            if method == "POST":
                return self._create(json.loads(body))
            name = match[1]
            if name not in self.kept:
                return 404, {"message": f"trainjobs {name} not found"}
            if method == "DELETE":
                assert "propagationPolicy=Foreground" in path
                self.kept[name]["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"
                for process in self._processes[name]:
                    process.terminate()
            return 200, self.kept[name]

    def _create(self, manifest: dict[str, Any]) -> tuple[int, Any]:
        name = manifest["metadata"]["name"]
        if name in self.kept:
            return 409, {"message": f"trainjobs {name} already exists"}
        model = TrainerV1alpha1TrainJob.from_dict(manifest)
        assert model is not None
        assert model.to_dict() == manifest, "a field that a TrainJob does not have"
        self.created.append(manifest)
        manifest["metadata"]["creationTimestamp"] = _now()
        self.kept[name] = manifest
        self._processes[name] = []
        self._pending.add(name)
        self._make_pods(name)
        return 201, manifest

    def _make_pods(self, name: str) -> None:
        """As the Job's controller does, each time it gets round to it."""
        pod = f"{name}-node-0-0-x7x2p"
        if self.admission:
            self.tell(name, "FailedCreate", f'Error creating: pods "{pod}" is forbidden: {self.admission}')
        else:
            self._pending.discard(name)
            self.tell(name, "SuccessfulCreate", f"Created pod: {pod}")
            self._processes[name] = self.start(self.kept[name])

    def tell(self, name: str, reason: str, message: str, moment: str = "") -> None:
        """Events that are equal are one, counted."""
        moment = moment or _now()
        for event in self.events:
            if (event["reason"], event["message"], event["lastTimestamp"][:10]) == (reason, message, moment[:10]):
                event["count"], event["lastTimestamp"] = event["count"] + 1, moment
                return
        of = {"kind": "Job", "apiVersion": "batch/v1", "namespace": NAMESPACE, "name": f"{name}-node-0"}
        self.events.append(
            {
                "metadata": {"name": f"{name}-node-0.{len(self.events)}", "namespace": NAMESPACE},
                "involvedObject": of,
                "reason": reason,
                "message": message,
                "type": "Normal" if reason == "SuccessfulCreate" else "Warning",
                "source": {"component": "job-controller"},
                "count": 1,
                "firstTimestamp": moment,
                "lastTimestamp": moment,
            }
        )

    def _list_events(self, selector: str) -> tuple[int, Any]:
        if "events" in self.refusals:
            return self.refusals["events"], {"message": "refused"}
        field, _, name = selector.partition("=")
        assert field == "involvedObject.name", "all events of the namespace are never asked for"
        return 200, {"items": [event for event in self.events if event["involvedObject"]["name"] == name]}

    def _look(self) -> None:
        for name, kept in list(self.kept.items()):
            if name in self._pending and "deletionTimestamp" not in kept["metadata"]:
                self._make_pods(name)
                continue
            codes = [process.poll() for process in self._processes[name]]
            if None in codes:
                continue
            if "deletionTimestamp" in kept["metadata"]:
                del self.kept[name], self._processes[name]
                self._pending.discard(name)
            else:
                kind = "Failed" if any(codes) else "Complete"
                condition = {"type": kind, "status": "True", "reason": f"Jobs{kind}", "message": f"exit codes {codes}"}
                kept["status"] = {"conditions": [{"type": "Suspended", "status": "False"}, condition]}


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    cluster: TrainJobServer


class _Handler(BaseHTTPRequestHandler):
    server: _Http

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, answer = self.server.cluster.answer(self.command, self.path, body)
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Silence."""
