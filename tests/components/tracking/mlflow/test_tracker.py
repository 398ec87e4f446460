from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from components.context import PIPELINE, RunContext
from components.tracking.backend import Answer, default_address, tracker_of
from components.tracking.mlflow.client import connect
from components.tracking.mlflow.runs import PipelineRuns
from components.tracking.sqlite_address import sqlite_path, sqlite_uri
from gan_models.errors import RequestError


class Answering(BaseHTTPRequestHandler):
    """Answers as the server's `answer` says; keeps the headers it got."""

    def do_GET(self) -> None:
        self.server.headers = self.headers  # type: ignore[attr-defined]
        status, body = self.server.answer  # type: ignore[attr-defined]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def check(uri: str) -> Answer:
    return tracker_of(uri).check(uri)


def uri_of(server: ThreadingHTTPServer, login: str = "") -> str:
    return f"http://{login}127.0.0.1:{server.server_address[1]}"


@pytest.mark.parametrize(("status", "verdict"), [(200, "reachable"), (503, "away"), (500, "away"), (429, "away")])
def test_a_server_is_there_or_away(server: ThreadingHTTPServer, status: int, verdict: str) -> None:
    server.answer = (status, b'{"experiments": []}')  # type: ignore[attr-defined]
    assert check(uri_of(server)) == verdict


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b"", "MLFLOW_TRACKING_USERNAME"),
        (403, b"Invalid Host header", "--allowed-hosts"),
        (403, b"Permission denied", "refuses this user"),
        (404, b"", "no MLflow tracking server"),
        (200, b"<html>", "no MLflow tracking server"),
    ],
)
def test_a_server_that_refuses_says_what_to_do(
    server: ThreadingHTTPServer, status: int, body: bytes, words: str
) -> None:
    server.answer = (status, body)  # type: ignore[attr-defined]
    with pytest.raises(RequestError, match=words) as caught:
        check(uri_of(server, "ann:s3cret@"))
    assert "s3cret" not in str(caught.value)


def test_the_login_of_the_address_is_used(server: ThreadingHTTPServer) -> None:
    server.answer = (200, b"{}")  # type: ignore[attr-defined]
    check(uri_of(server, "ann:s3cret@"))
    assert server.headers["Authorization"] == "Basic YW5uOnMzY3JldA=="  # type: ignore[attr-defined]


def test_nobody_listening_is_away() -> None:
    assert check("http://127.0.0.1:9") == "away"


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("file:///tmp/mlruns", "sqlite:////tmp/mlruns/mlflow.db"),
        ("/tmp/mlruns", "sqlite:////tmp/mlruns/mlflow.db"),
        ("sqlite:///mlflow.db", "is relative"),
        ("htp://host", "did you mean 'http'"),
        ("http://", "names no host"),
        ("sqlite:////dev/null/x/mlflow.db", "cannot be"),
    ],
)
def test_an_address_that_cannot_be_right_is_refused(uri: str, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        check(uri)
    assert words in str(caught.value)


def test_a_database_may_exist_or_be_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "mlflow.db"
    assert check(sqlite_uri(path)) == "reachable"
    assert sqlite_path(sqlite_uri(path)) == path
    assert not path.parent.exists()
    other = tmp_path / "notes.txt"
    other.write_text("no database at all")
    with pytest.raises(RequestError, match="not an SQLite database"):
        check(sqlite_uri(other))


@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "link to a device", "link to nothing"])
def test_what_is_no_file_is_refused_never_opened_and_never_replaced(kind: str, tmp_path: Path) -> None:
    """As root a device of that name was replaced by a database."""
    place = tmp_path / "mlflow.db"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind(str(place))
    elif kind == "device":
        try:
            os.mknod(place, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("only root makes devices")
    else:
        place.symlink_to("/dev/null" if kind == "link to a device" else tmp_path / "nothing")
    before = place.lstat()
    with pytest.raises(
        RequestError, match="link to nothing" if kind == "link to nothing" else "names a device, a pipe"
    ):
        check(sqlite_uri(place) if "link" not in kind else f"sqlite:///{place}")
    if kind != "pipe" and "nothing" not in kind:
        with pytest.raises(Exception, match=r".+"):
            connect(f"sqlite:///{place}")
    assert (place.lstat().st_ino, place.lstat().st_mode) == (before.st_ino, before.st_mode)


@pytest.mark.parametrize("folder", ["50% off %41", "why? not", "a#b; c"])
def test_a_folder_of_any_name_is_reached_literally(folder: str, tmp_path: Path) -> None:
    path = tmp_path / folder / "mlflow.db"
    uri = default_address(path.parent)
    assert sqlite_path(uri) == path
    assert check(uri) == "reachable"
    client = connect(uri)
    context = RunContext(state_dir=str(tmp_path), tracking_uri=uri)
    context.tracking_folder.mkdir(parents=True)
    run = PipelineRuns(client, context).of(PIPELINE)
    note = tmp_path / "note.txt"
    note.write_text("kept")
    client.log_artifact(run, str(note))
    assert [each.path for each in client.list_artifacts(run)] == ["note.txt"]
    (kept,) = (tmp_path / folder).rglob("note.txt")
    assert kept.read_text() == "kept"
    assert {each.name for each in tmp_path.iterdir()} <= {folder, "note.txt", "tracking", "logs"}
