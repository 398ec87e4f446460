"""A store of objects as clouds have it, and a web server, on this machine; for tests of what reads addresses."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

KEY, SECRET = "AKIAFORTESTSONLY", "this-must-never-be-written-anywhere"


@dataclass
class Bucket:
    """One that the environment of this process, and of those that it starts, leads to."""

    client: Any
    name: str
    environment: Mapping[str, str]

    def put(self, key: str, content: bytes) -> str:
        self.client.put_object(Bucket=self.name, Key=key, Body=content)
        return f"s3://{self.name}/{key}"

    def put_folder(self, folder: Path, key: str) -> str:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                self.put(f"{key}/{file.relative_to(folder).as_posix()}", file.read_bytes())
        return f"s3://{self.name}/{key}"


@contextmanager
def object_store() -> Iterator[Bucket]:
    """moto's server with one bucket; requests are signed, as they are elsewhere."""
    import boto3
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    s3fs.S3FileSystem.clear_instance_cache()
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            client = boto3.client("s3")
            client.create_bucket(Bucket="pictures")
            yield Bucket(client, "pictures", environment)
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
        server.stop()


@dataclass
class Site:
    """Files by their paths; the next `failures` answers end in the middle."""

    files: dict[str, bytes] = field(default_factory=dict)
    failures: int = 0
    parts: bool = True  # whether parts of files are given
    served: int = 0
    """Bytes of files sent so far."""
    address: str = ""


@contextmanager
def web_site() -> Iterator[Site]:
    """A server of files over HTTP, with a page of links for each folder."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def _answer(self, body: bool) -> None:
            content = site.files.get(self.path.partition("?")[0])
            if content is None and (page := _page(site.files, self.path)):
                content = page
            if content is None:
                self.send_error(404)
                return
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            total, status = len(content), 200
            if asked and site.parts:
                start, end = int(asked[1]), int(asked[2] or total - 1)
                content, status = content[start : end + 1], 206
            self.send_response(status)
            if status == 206:
                self.send_header("Content-Range", f"bytes {start}-{start + len(content) - 1}/{total}")
            self.send_header("Accept-Ranges", "bytes" if site.parts else "none")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hash(content)}"')
            self.end_headers()
            if not body:
                return
            if site.failures:
                site.failures -= 1
                content = content[: len(content) // 2]
                self.close_connection = True
            self.wfile.write(content)
            site.served += len(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    site.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


def _page(files: Mapping[str, bytes], folder: str) -> bytes:
    base = folder.rstrip("/") + "/"
    names = sorted(
        {
            path.removeprefix(base).partition("/")[0] + ("/" if "/" in path.removeprefix(base) else "")
            for path in files
            if path.startswith(base)
        }
    )
    return "".join(f'<a href="{name}">{name}</a>\n' for name in names).encode() if names else b""
