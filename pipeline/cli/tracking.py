"""`gan-pipeline ui` and `sync`: looking at what is tracked, and sending what could not be sent.

Each command imports what it needs when it is called.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer import Argument, Option

from components.redaction import redact
from gan_models.errors import RequestError, RunError
from pipeline.cli.options import TrackingOption

if TYPE_CHECKING:
    from pipeline.workdir import RunRecord

app = typer.Typer()
HOST = "127.0.0.1"
START_SECONDS = 90.0
SYNC_SECONDS = 300.0


@app.command()
def ui(
    port: Annotated[int, Option("--port", "-p", metavar="PORT", min=1, max=65535)] = 5000,
    workdir: Annotated[Path | None, Option(metavar="DIR", help="Show the store that this run is tracked in.")] = None,
    browser: Annotated[
        bool, Option("--browser/--no-browser", help="Open the page; only where this is a terminal.")
    ] = True,
    tracking_uri: TrackingOption = None,
) -> int:
    """Serve the MLflow UI at the newest run. On the store of the runs, until Ctrl-C."""
    from components.tracking.backend import check_tracking, tracker_of
    from pipeline.request.plan import RUNS_FOLDER, tracking_address

    run_id = ""
    if workdir is not None:
        record = record_of(workdir)
        tracking_uri, run_id = tracking_uri or record.tracking_uri or None, record.run_id
    uri = tracking_address(tracking_uri, workdir.resolve().parent if workdir else Path(RUNS_FOLDER))
    if uri.startswith(("http://", "https://")):
        _check_answer(uri)
        typer.echo(f"these runs are on a tracking server, which has its own UI: {redact(uri)}")
        return 0
    tracker = tracker_of(uri)
    tracker.check_exists(uri)
    check_tracking(uri)
    check_port(port)
    command, variables = tracker.ui_server(uri, HOST, port)
    typer.echo(f"starting the MLflow UI on {redact(uri)} ...", err=True)
    opens = browser and sys.stdout.isatty()
    return _serve(command, variables, f"http://{HOST}:{port}", tracker.page(uri, run_id), opens)


@app.command()
def sync(
    workdir: Annotated[Path, Argument(metavar="WORKDIR", help="A run's work directory.")],
    tracking_uri: TrackingOption = None,
) -> int:
    """Send to MLflow what it has not got yet. Of every run of a work directory, while the server was away."""
    from components.tracking.relay import Relay, unsent_runs
    from pipeline.commands.run import context_of
    from pipeline.request.plan import tracking_address
    from pipeline.workdir import WorkDirectory

    record = record_of(workdir)
    uri = tracking_address(tracking_uri or record.tracking_uri or None, workdir.resolve().parent)
    _check_answer(uri)
    context = context_of(record, WorkDirectory(workdir.resolve()), uri)
    # An address that is given is meant for all; without, runs of before may have been for another store.
    earlier = unsent_runs(context, of_any_store=tracking_uri is not None)
    for run in (*earlier, context):
        with Relay(run) as relay:
            if pending := relay.drain(SYNC_SECONDS):
                raise RunError(pending.sentence)
    names = ", ".join(run.name for run in (*earlier, context))
    if others := unsent_runs(context, of_any_store=True):
        raise RunError(
            f"all of {names} is in {redact(uri)}, but not {', '.join(run.name for run in others)}, begun for another "
            "store: give --tracking-uri to send everything there"
        )
    typer.echo(f"all of {names} is in {redact(uri)}", err=True)
    return 0


def check_port(port: int) -> None:
    """RequestError where a server cannot listen on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            raise RequestError(f"port {port} is reserved for the system: choose one above 1023 with --port") from None
        except OSError:
            raise RequestError(f"port {port} is in use: choose another with --port, as in --port {port + 1}") from None


def _serve(command: list[str], variables: dict[str, str], address: str, page: str, opens: bool) -> int:
    # The store goes through the environment: a password in it would show in the list of processes.
    environment = {**os.environ, **variables}
    environment.pop("MLFLOW_TRACKING_URI", None)
    # Killed, this process closes the pipe to its standard input, and it ends as well.
    server = subprocess.Popen(
        [sys.executable, "-P", "-m", "components.guarded", *command],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    # SIGTERM ends as Ctrl-C does, for the server must not stay behind; SIGINT too where a shell started this in the
    # background, which has its children ignore it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    try:
        _await_health(server, address)
        typer.echo(f"{address}{page}  (Ctrl-C ends it)")
        sys.stdout.flush()
        if opens:
            typer.launch(f"{address}{page}")
        server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _end_group(server)
    raise RunError(f"the MLflow server ended by itself with code {server.returncode}: run `mlflow server` to see why")


def _await_health(server: subprocess.Popen[bytes], address: str) -> None:
    import urllib.request

    # A deadline, for a server that neither ends nor answers must not be waited for without end.
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None:
        if time.monotonic() > deadline:
            raise RunError(f"the MLflow server did not answer within {START_SECONDS:.0f} s at {address}")
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise RunError(f"the MLflow server ended at once with code {server.returncode}: run `mlflow server` to see why")


def _end_group(server: subprocess.Popen[bytes]) -> None:
    """The server and its workers."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def _check_answer(uri: str) -> None:
    from components.tracking.backend import check_tracking, no_answer

    if check_tracking(uri) == "away":
        raise RunError(f"{no_answer(uri)}: try again when it is back")


def record_of(workdir: Path) -> RunRecord:
    """The run of a work directory; RequestError where it is none."""
    from pipeline.workdir import WorkDirectory

    record = WorkDirectory(workdir.resolve()).record()
    if record is None:
        raise RequestError(f"{workdir} is no work directory of gan-pipeline: there is no run.json in it")
    return record
