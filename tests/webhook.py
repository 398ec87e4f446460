"""A webhook over real HTTP that keeps what it gets, for tests."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Hook(http.server.BaseHTTPRequestHandler):
    """Answers 200, or what `answers` says first."""

    got: list[dict[str, Any]]
    answers: list[int]

    def do_POST(self) -> None:
        type(self).got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(type(self).answers.pop(0) if type(self).answers else 200)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def do_GET(self) -> None:
        """Where a redirect leads: a POST that came here as a GET has lost what it told."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@contextmanager
def webhook() -> Iterator[tuple[type[Hook], str]]:
    """One of its own, and its address without a path."""
    handler = type("OneHook", (Hook,), {"got": [], "answers": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield handler, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
