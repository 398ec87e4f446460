"""The one door to mlflow: a quiet client with short timeouts, and what its errors mean."""

from __future__ import annotations

import importlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from filelock import FileLock

from components.redaction import redact
from components.tracking.backend import Trouble
from components.tracking.sqlite_address import SQLITE, sqlite_path, sqlite_uri
from gan_models.errors import RequestError

if TYPE_CHECKING:
    from mlflow import MlflowClient

# mlflow's own patience (7 tries, 120 s each) would block for minutes; the relay keeps trying by itself.
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
# What matters of a network library's nested messages.
_NETWORK_WORDS = (
    "Connection refused", "Connection reset", "timed out", "Name or service not known", "database is locked",
)  # fmt: skip


def connect(uri: str) -> MlflowClient:
    """A client of the store at `uri`; a new SQLite database is made first, safely when several processes want it."""
    check_address(uri)
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    path = sqlite_path(uri)
    if path is None:
        return MlflowClient(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        if not path.exists() or path.stat().st_size == 0:
            create_database(path)
        stray = Path(uri.removeprefix(SQLITE)).parent
        is_stray = not stray.exists()
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)  # its first use writes the default experiment
        if is_stray:  # MLflow makes the folder as the address quotes it, too
            with suppress(OSError):
                stray.rmdir()
    return client


def check_address(uri: str) -> None:
    """Refuses an address that cannot be right: RequestError; nobody is asked."""
    scheme = uri.partition(":")[0].partition("+")[0].lower()
    try:
        if scheme in ("http", "https"):
            parts = urlsplit(uri)
            parts.port  # noqa: B018 (looked at to be checked)
            (parts.hostname or "").encode("idna")
            uri.encode("ascii")
        elif scheme in ("postgresql", "mysql", "mssql"):
            _check_driver(uri)
        elif (path := sqlite_path(uri)) is not None:
            check_file(uri, path)
    except ValueError as error:
        reason = " ".join(str(error).split())[:200]
        raise RequestError(
            f"tracking address {redact(uri)!r} cannot be read ({reason}): use http://HOST:PORT"
        ) from None


def _check_driver(uri: str) -> None:
    """That the database of an address is one that can be talked to; ValueError where the address is none."""
    import sqlalchemy

    try:
        sqlalchemy.make_url(uri).get_dialect().import_dbapi()
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise ValueError(str(error)) from None
    except ImportError as error:
        raise RequestError(
            f"tracking address {redact(uri)!r} needs the package {error.name}, or another driver's name, as in "
            "postgresql+psycopg2://"
        ) from None


def check_file(uri: str, path: Path) -> None:
    """Refuses what is no file, or no link to one, before it is opened (a pipe would be waited for) or replaced."""
    if path.is_symlink() and not path.exists():
        raise RequestError(f"tracking address {uri!r} is a link to nothing: name the database itself")
    if path.exists() and not path.is_file():
        raise RequestError(f"tracking address {uri!r} names a device, a pipe or a socket: give a file of its own")


@contextmanager
def tolerating(*codes: str) -> Iterator[None]:
    """Ends the block quietly at an error of MLflow's with one of these codes."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code not in codes:
            raise


def create_database(path: Path) -> None:
    """Make MLflow's tables in a file beside `path` and move it there, whole. The caller holds a lock.

    Its sixty migrations take 7 s with every one flushed to disk and 1 s without, so it is flushed once, at the end.
    The journal mode stays SQLite's default: write-ahead logging breaks on network file systems, and MLflow waits 20 s
    for a locked database as it is.
    """
    import sqlalchemy

    utils: Any = importlib.import_module("mlflow.store.db.utils")  # its functions carry no types
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    engine = utils.create_sqlalchemy_engine(sqlite_uri(new))

    def no_flush(connection: sqlite3.Connection, record: object) -> None:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = MEMORY")

    sqlalchemy.event.listen(engine, "connect", no_flush)
    utils._initialize_tables(engine)
    engine.dispose()
    with new.open("rb") as file:
        os.fsync(file.fileno())
    new.replace(path)


class Refusal(Exception):  # noqa: N818 - a state of the store, told to the user
    """The store can be reached, but nothing can be logged until the user does something; the message says what."""


def trouble_of(error: Exception) -> Trouble:
    """What `error`, raised by a client's call, calls for."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import OperationalError

    if isinstance(error, Refusal):
        return Trouble.REFUSED
    if (response := getattr(error, "response", None)) is not None:  # of requests, which uploads artifacts
        return _by_status(int(response.status_code), "")
    if isinstance(error, MlflowException):
        text = str(error)
        if "failed with exception" in text or "timeout exception" in text:
            return Trouble.AWAY
        if "out-of-date database schema" in text:
            return Trouble.REFUSED
        status: Any = error.get_http_status_code()  # type: ignore[no-untyped-call]
        return _by_status(int(status), str(error.error_code), "Response body:" in text)
    if isinstance(error, OSError | OperationalError):
        return Trouble.AWAY
    return Trouble.ODD


def _by_status(status: int, code: str, foreign: bool = False) -> Trouble:
    """`foreign`: the answer was no JSON of MLflow's, so something in front of it spoke."""
    if status in (401, 403) or (foreign and 400 <= status < 500 and status != 429):
        return Trouble.REFUSED
    if status == 429 or status >= 500:
        return Trouble.AWAY
    if code == "RESOURCE_DOES_NOT_EXIST":
        return Trouble.MISSING
    if code == "BAD_REQUEST":  # also what a damaged database gives
        return Trouble.ODD
    if status == 404:
        return Trouble.REFUSED
    return Trouble.REJECTED


def sentence_of(error: Exception, uri: str) -> str:
    """One line about what the store at `uri` said, without credentials."""
    if isinstance(error, Refusal):
        return str(error)
    shown = redact(uri)
    kind = trouble_of(error)
    detail = redact(" ".join(str(error).split()))
    detail = next((words for words in _NETWORK_WORDS if words in detail), detail[:300])
    if "out-of-date database schema" in detail:
        return f"the database {shown} is of an older MLflow: back it up, then run 'mlflow db upgrade {shown}'"
    if kind is Trouble.AWAY:
        return f"the tracking store {shown} does not answer ({detail})"
    if kind is Trouble.REFUSED:
        return f"the tracking server {shown} refuses what it is sent ({detail}): check the login and --tracking-uri"
    return f"the tracking store {shown} did not take an entry ({detail})"
