"""MLflow as a tracker, and whether the store at an address will take what it is sent.

mlflow itself is imported by what sends, reads and registers, not here: a wrong address is told before anything slow is
started.
"""

import base64
import http.client
import json
import os
import socket
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from components.context import RunContext
from components.redaction import redact
from components.tracking.backend import ANSWER_SECONDS, Answer, Sender, TrackedRun, Tracker
from components.tracking.champions import Champions
from components.tracking.mlflow.client import check_address
from components.tracking.sqlite_address import sqlite_path, sqlite_uri
from gan_models.errors import RequestError


class Mlflow(Tracker):
    """Tracking servers, and databases that are used without one."""

    name = "MLflow"
    keeps_models = True

    def check(self, uri: str, seconds: float = ANSWER_SECONDS) -> Answer:
        """Refused are: 401, 403, no MLflow server, a certificate that is not trusted, an unknown host; a folder, a
        relative path, a folder that cannot be written.
        """
        check_address(uri)
        scheme = uri.split(":", 1)[0].split("+", 1)[0].lower() if ":" in uri else ""
        if scheme in ("http", "https"):
            return _check_http(uri, seconds)
        if scheme == "sqlite":
            return _check_sqlite(uri)
        if scheme in ("file", "") or len(scheme) == 1:  # a bare path, or C:\...
            path = Path(unquote(urlsplit(uri).path) if scheme == "file" else uri)
            raise RequestError(
                f"tracking address {redact(uri)!r} is a folder, which MLflow no longer writes to: "
                f"use {sqlite_uri(path / 'mlflow.db')!r}, or http:// or https:// and a tracking server"
            )
        return "reachable"

    def absolute(self, uri: str) -> str:
        path = sqlite_path(uri)
        return uri if path is None or path.is_absolute() else sqlite_uri(path)

    def check_exists(self, uri: str) -> None:
        database = sqlite_path(uri)
        if database is not None and not database.is_file():
            raise RequestError(
                f"there is no MLflow store at {database} yet: start a run, or give --workdir or --tracking-uri"
            )

    def sender(self, context: RunContext) -> Sender:
        from components.tracking.mlflow.sender import MlflowSender

        return MlflowSender(context)

    def pack_generator(self, generator: Path, target: Path) -> None:
        from components.tracking.mlflow.packing import describe_generator

        super().pack_generator(generator, target)
        describe_generator(generator, target)

    def ui_server(self, uri: str, host: str, port: int) -> tuple[list[str], dict[str, str]]:
        command = [sys.executable, "-m", "mlflow", "server", "--host", host, "--port", str(port), "--workers", "1"]
        return command, {"MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}

    def page(self, uri: str, run_id: str = "") -> str:
        from components.tracking.mlflow.client import connect
        from components.tracking.mlflow.runs import newest_page

        return newest_page(connect(uri), run_id)

    def runs(self, uri: str, experiment: str = "") -> list[TrackedRun]:
        from components.tracking.mlflow.reading import tracked_runs

        return tracked_runs(uri, experiment)

    def fetch(self, uri: str, run: TrackedRun, file: str, folder: Path) -> Path | None:
        from components.tracking.mlflow.reading import fetch_file

        return fetch_file(uri, run, file, folder)

    def champions(self, uri: str) -> Champions:
        from components.tracking.mlflow.champions import MlflowChampions

        return MlflowChampions(uri)


def _check_sqlite(uri: str) -> Answer:
    path = sqlite_path(uri)
    if path is None or not path.is_absolute():
        name = path or Path(uri.removeprefix("sqlite:").lstrip("/"))
        raise RequestError(f"tracking address {uri!r} is relative: use the absolute one, {sqlite_uri(name)!r}")
    if path.is_dir():
        raise RequestError(f"tracking address {uri!r} names a folder: use {sqlite_uri(path / 'mlflow.db')!r}")
    if path.exists():
        if not (os.access(path, os.R_OK | os.W_OK) and os.access(path.parent, os.W_OK)):
            raise RequestError(f"the tracking database {path} or its folder cannot be written: change its permissions")
        with path.open("rb") as file:
            start = file.read(16)
        if start and start != b"SQLite format 3\0":
            raise RequestError(f"{path} is not an SQLite database: give --tracking-uri another file")
        return "reachable"
    folder = next(parent for parent in path.parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise RequestError(f"the tracking database {path} cannot be made: {folder} is not a folder that can be written")
    return "reachable"


def _check_http(uri: str, seconds: float) -> Answer:
    parts = urlsplit(uri)
    shown = redact(uri)
    if not parts.hostname:
        raise RequestError(f"tracking address {shown!r} names no host: use http://HOST:PORT")
    address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))
    request = urllib.request.Request(
        f"{address}/api/2.0/mlflow/experiments/search?max_results=1",
        headers={"Accept": "application/json", **_authorization(parts.username, parts.password)},
    )
    try:
        with urllib.request.urlopen(request, timeout=seconds, context=_tls()) as response:
            body = response.read(1 << 20)
    except urllib.error.HTTPError as error:
        return _judge_status(error.code, error.read(300).decode(errors="replace"), shown)
    except urllib.error.URLError as error:
        return _judge_silence(error.reason, parts.hostname, shown)
    except (OSError, http.client.HTTPException):  # it took the connection and dropped it, or is too slow
        return "away"
    try:
        json.loads(body)
    except ValueError:
        raise RequestError(f"{shown} answers, but is no MLflow tracking server: check --tracking-uri") from None
    return "reachable"


def _authorization(user: str | None, password: str | None) -> dict[str, str]:
    user = unquote(user or "") or os.environ.get("MLFLOW_TRACKING_USERNAME", "")
    password = unquote(password or "") or os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
    token = os.environ.get("MLFLOW_TRACKING_TOKEN", "")
    if user and password:
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}
    return {"Authorization": f"Bearer {token}"} if token else {}


def _tls() -> ssl.SSLContext:
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        return ssl._create_unverified_context()
    return ssl.create_default_context(cafile=os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH"))


def _judge_status(status: int, body: str, shown: str) -> Answer:
    if status == 401:
        raise RequestError(
            f"the tracking server {shown} asks for a login (401): set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        )
    if status == 403 and "host" in body.lower():
        raise RequestError(
            f"the tracking server {shown} does not accept this host name (403): start it with --allowed-hosts naming it"
        )
    if status == 403:
        raise RequestError(f"the tracking server {shown} refuses this user (403): ask for access, or log in as another")
    if status == 429 or status >= 500:
        return "away"
    raise RequestError(f"{shown} answers with {status}, so it is no MLflow tracking server: check --tracking-uri")


def _judge_silence(reason: object, host: str, shown: str) -> Answer:
    if isinstance(reason, socket.gaierror) and reason.errno == socket.EAI_NONAME:
        raise RequestError(f"there is no host {host!r} (tracking address {shown}): check --tracking-uri")
    if isinstance(reason, ssl.SSLCertVerificationError):
        raise RequestError(
            f"the certificate of {shown} is not trusted: set MLFLOW_TRACKING_SERVER_CERT_PATH to its authority's file"
        )
    if isinstance(reason, ssl.SSLError) and not isinstance(reason, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        raise RequestError(f"{shown} does not speak TLS: check --tracking-uri, http:// may be meant")
    return "away"


MLFLOW = Mlflow()
