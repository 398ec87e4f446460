"""What a monitor asks the scheduler: `GET /metrics` in Prometheus' text format 0.0.4, of the store as it is then."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gan_models.errors import RequestError
from pipeline.scheduling.schedule import ScheduleStatus
from pipeline.scheduling.store import ENDS, ScheduleStore

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FAMILIES = {
    "next_due_timestamp_seconds": ("gauge", "When it is due next; none where it is paused or has ended."),
    "last_run_start_timestamp_seconds": ("gauge", "When its latest run began."),
    "last_outcome": ("gauge", "1 for how its latest due time ended."),
    "runs_total": ("counter", "Runs that have ended."),
    "missed_total": ("counter", "Due times that were skipped."),
    "paused": ("gauge", "1 while it is paused."),
    "running": ("gauge", "1 while a run is under way."),
}


@contextmanager
def metrics_server(store: ScheduleStore, address: str) -> Iterator[str]:
    """Answers in threads of its own while the block lasts, which is given its address.

    Args:
        address: `[HOST:]PORT`; without a host: of this machine only.

    Raises:
        RequestError: it is no address, or cannot be listened at.
    """
    host, port = _parse(address)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                return self.send_error(404)
            try:
                body = metrics(store).encode()
            except sqlite3.Error as error:
                return self.send_error(500, f"the store cannot be read: {error}")
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return None

        def log_message(self, *_: object) -> None: ...

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except (OSError, OverflowError) as error:
        raise RequestError(f"--metrics {address}: cannot listen there: {error}; give another port") from None
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{host}:{server.server_address[1]}/metrics"
        server.shutdown()


def _parse(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        raise RequestError(f"--metrics {address!r}: expected a port, or a host and a port, as in 127.0.0.1:9400")
    return host or "127.0.0.1", int(port)


def metrics(store: ScheduleStore) -> str:
    """The text of one scrape."""
    counts = store.counts()
    samples: dict[str, list[str]] = {family: [] for family in _FAMILIES}
    for kept in store.kept():
        try:
            status = store.show(kept.schedule.name)
        except RequestError:  # deleted since
            continue
        for family, labels, value in _samples(status, counts.get(kept.schedule.name, {})):
            pairs = {"schedule": kept.schedule.name, **labels}
            text = ",".join(f'{label}="{word}"' for label, word in pairs.items())  # names need no escape
            samples[family].append(f"gan_pipeline_schedule_{family}{{{text}}} {value}")
    lines = []
    for family, (kind, about) in _FAMILIES.items():
        name = f"gan_pipeline_schedule_{family}"
        lines += [f"# HELP {name} {about}", f"# TYPE {name} {kind}", *samples[family]]
    return "\n".join(lines) + "\n"


def _samples(status: ScheduleStatus, counts: dict[str, int]) -> Iterator[tuple[str, dict[str, str], float]]:
    due = status.overdue or status.next_run
    if due:
        yield "next_due_timestamp_seconds", {}, due.timestamp()
    begun = [run.begun for run in status.runs if run.begun]
    if begun:
        yield "last_run_start_timestamp_seconds", {}, max(begun).timestamp()
    ended = next((run.state for run in status.runs if run.ended), "")
    for outcome in ENDS if ended else ():
        yield "last_outcome", {"outcome": outcome}, int(outcome == ended)
    for outcome in ("finished", "failed"):
        yield "runs_total", {"outcome": outcome}, counts.get(outcome, 0)
    yield "missed_total", {}, counts.get("skipped", 0)
    yield "paused", {}, int(status.schedule.paused)
    yield "running", {}, int(counts.get("running", 0) > 0)
