"""Places that are no path of this machine: `s3://`, `gs://` and `https://` addresses, read through fsspec.

An address stands wherever a path can: `folder:s3://bucket/cats`, `parquet:https://host/train.parquet`. Nothing is
copied to the disk: what is read comes piece by piece. The login comes from where the provider's own tools have it, the
environment or their configuration files, and never stands in the address, which every log and record shows.
"""

from __future__ import annotations

import io
import json
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypeVar
from urllib.parse import parse_qsl, urlsplit

from gan_models.errors import RequestError, RunError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer

PROTOCOLS = {"s3": "s3fs", "gs": "gcsfs", "https": "aiohttp", "http": "aiohttp"}
"""How addresses begin, and the package that reads each."""
ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
LOGIN = re.compile(r"(?<=://)[^/]*@")
SECRET = re.compile(r"sig|token|key|secret|credential|passw|auth|x-amz|x-goog", re.IGNORECASE)
LIBRARIES = frozenset({"aiobotocore", "aiohttp", "botocore", "fsspec", "gcsfs", "google", "requests", "s3fs"})
"""Whose own kinds of errors a network ends in."""
REFUSED = ("Credentials", "Forbidden", "Permission", "Unauthorized", "AccessDenied", "SignatureDoesNotMatch")
GONE = (404, 410)
"""What a web server says of what is not there."""
WAITS = (0.2, 1.0, 3.0)
"""Seconds before what failed on the network is tried again, of web servers; stores' own clients do that themselves."""
BLOCK_BYTES = 4 << 20
"""Fetched at once."""

AT_ONCE = 16
"""Places that are asked at the same time."""

Q = TypeVar("Q")
T = TypeVar("T")


def is_address(text: str) -> bool:
    """Whether a text is an address, as `s3://bucket/cats` is, and no path."""
    return ADDRESS.match(text) is not None


def check_address(text: str) -> None:
    """RequestError for an address that cannot be read here, or that holds a login; nothing is reached for."""
    protocol = text.partition("://")[0].lower()
    if protocol not in PROTOCOLS:
        known = ", ".join(f"{name}://" for name in PROTOCOLS)
        raise RequestError(f"{without_login(text)}: addresses begin with {known}")
    if without_login(text) != text:
        raise RequestError(
            f"{without_login(text)} holds a login, which logs and records would show: leave it out, and give it by the "
            "environment or the configuration files of the provider's own tools"
        )
    if not urlsplit(text).netloc:
        raise RequestError(f"{text} names no {'host' if protocol.startswith('http') else 'bucket'}")


def without_login(text: str) -> str:
    """A text in which names, passwords and signatures of addresses are replaced by ***."""
    text = LOGIN.sub("***@", text)
    start, mark, query = text.partition("?")
    if is_address(start) and mark and any(SECRET.search(name) for name, _ in parse_qsl(query, keep_blank_values=True)):
        return f"{start}?***"
    return text


class Found(NamedTuple):
    """What is known of a file without opening it."""

    size: int
    version: str
    """Changes when its content does."""


class Remote:
    """A file or folder at an address, with the methods of `pathlib.Path` that reading needs.

    Raises:
        RequestError: the address cannot be read here, holds a login, or needs a package that is not installed.
    """

    def __init__(self, address: str) -> None:
        check_address(address)
        self.address = address if urlsplit(address).query else address.rstrip("/")
        self._protocol = address.partition("://")[0].lower()
        self._waits = WAITS if self._protocol.startswith("http") else ()
        package = PROTOCOLS[self._protocol]
        if find_spec(package) is None:
            raise RequestError(
                f"{address}: {self._protocol}:// is read by the package {package}, which is not installed: pip install "
                "gan-pipeline[remote]"
            )

    @cached_property
    def _files(self) -> Any:
        import fsspec

        for library in LIBRARIES:  # what they would print of errors is ours to say
            logging.getLogger(library).addHandler(logging.NullHandler())
        # The proxies of the environment, as every other client here takes them.
        options = {"client_kwargs": {"trust_env": True}} if self._protocol.startswith("http") else {}
        return fsspec.filesystem(self._protocol, **options)

    def _patiently(self, call: Callable[[], T]) -> T:
        """What `call` gives; tried again, a few seconds long, where the network is what fails."""
        for wait in self._waits:
            try:
                return call()
            except Exception as error:
                if not _is_passing(error):
                    raise
            time.sleep(wait)
        return call()

    def __str__(self) -> str:
        return self.address

    def __truediv__(self, relative: str) -> Remote:
        return Remote(f"{self.address}/{relative}")

    @property
    def _pure(self) -> PurePosixPath:
        parts = urlsplit(self.address)
        return PurePosixPath(f"{parts.netloc}{parts.path}" if not self._protocol.startswith("http") else parts.path)

    @property
    def name(self) -> str:
        return self._pure.name

    @property
    def stem(self) -> str:
        return self._pure.stem

    @property
    def suffix(self) -> str:
        return self._pure.suffix

    @property
    def parent(self) -> Remote:
        return Remote(self.address.rpartition("/")[0])

    def absolute(self) -> Remote:
        return self

    def relative_to(self, other: Remote) -> PurePosixPath:
        return PurePosixPath(self.address).relative_to(other.address)

    def exists(self) -> bool:
        try:
            self._patiently(self._info)
        except FileNotFoundError:
            return False
        return True

    def _info(self) -> Mapping[str, Any]:
        try:
            known: Mapping[str, Any] = self._files.info(self.address)
        except FileNotFoundError as error:
            cause = error.__cause__  # over HTTP, whatever went wrong is called so
            if self._protocol.startswith("http") and cause is not None and getattr(cause, "status", 0) not in GONE:
                raise cause from None
            raise
        return known

    def is_file(self) -> bool:
        if self._protocol.startswith("http"):  # a server knows no folders, and asking would fetch what is there
            return not self.is_dir()
        return bool(self._patiently(lambda: self._files.isfile(self.address)))

    def is_dir(self) -> bool:
        if self._protocol.startswith("http"):
            return not self.suffix
        return bool(self._patiently(lambda: self._files.isdir(self.address)))

    def found(self) -> Found:
        """Of a file, as the place knows it now."""
        self._files.invalidate_cache()
        return _found(self._patiently(self._info))

    def files_below(self) -> dict[str, Found]:
        """Of a folder: all files below it as the place knows them now, by relative paths, sorted; no hidden ones."""
        self._files.invalidate_cache()
        # With the slash: a server's page names its links beside itself else.
        known = self._patiently(lambda: self._files.find(f"{self.address}/", detail=True))
        base = self._files._strip_protocol(self.address).rstrip("/") + "/"
        files = {path.removeprefix(base): info for path, info in known.items() if path.startswith(base)}
        self._files.invalidate_cache()  # a listing of a million files is large
        return {
            path: _found(files[path])
            for path in sorted(files)
            if path and not path.endswith("/") and not any(part.startswith(".") for part in path.split("/"))
        }

    def open(self, mode: str = "rb") -> IO[bytes]:
        """To be read, from anywhere in it; RequestError where the server gives files as a whole only."""
        file = self._patiently(
            lambda: self._files.open(self.address, mode, block_size=BLOCK_BYTES, cache_type="readahead")
        )
        if getattr(file, "size", None) is None:
            file.close()
            raise RequestError(f"{self.address}: the server gives no parts of a file: download it, and name the copy")
        return io.BufferedReader(_Patient(file, self._patiently), BLOCK_BYTES // 4)

    def open_for_parts(self) -> IO[bytes]:
        """To be read in a few places, and nothing around them."""
        file = self._patiently(lambda: self._files.open(self.address, "rb", cache_type="none"))
        return _Patient(file, self._patiently)  # type: ignore[return-value]

    def download(self, path: Path) -> None:
        self._patiently(lambda: self._files.get_file(self.address, str(path)))

    def upload(self, path: Path) -> None:
        """Puts a file of this machine here; it is there whole, or not at all."""
        self._patiently(lambda: self._files.put_file(str(path), self.address))

    def write_bytes(self, content: bytes) -> None:
        """As `upload`."""
        self._patiently(lambda: self._files.pipe_file(self.address, content))

    def read_bytes(self) -> bytes:
        return bytes(self._patiently(lambda: self._files.cat_file(self.address)))

    def contents(self, relative: Sequence[str]) -> list[bytes | Exception]:
        """Of several files of this folder, fetched at the same time; of those that failed, what went wrong."""
        addresses = {f"{self.address}/{name}": name for name in relative}
        keys = {self._files._strip_protocol(address): address for address in addresses}
        got: dict[str, bytes | Exception] = {}
        for wait in (*self._waits, None):
            missing = [key for key in keys if not isinstance(got.get(key), bytes | FileNotFoundError)]
            if not missing:
                break
            got |= self._files.cat(missing, on_error="return") if len(missing) > 1 else self._one(missing[0])
            if wait and any(_is_passing(each) for each in got.values() if isinstance(each, Exception)):
                time.sleep(wait)
        by_name = {addresses[address]: got[key] for key, address in keys.items()}
        return [by_name[name] for name in relative]

    def _one(self, key: str) -> Mapping[str, bytes | Exception]:
        try:
            return {key: self._files.cat_file(key)}
        except Exception as error:
            return {key: error}


def at_once(ask: Callable[[Q], T], places: Sequence[Q]) -> list[T]:
    """What `ask` says of each place, in their order; of addresses several at the same time, since each has to be waited
    for."""
    if not any("://" in str(place) for place in places):
        return [ask(place) for place in places]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(ask, places))


Place: TypeAlias = Path | Remote
"""Where a source lies: on this machine, or at an address."""


def source_bytes(place: Place) -> Any:
    """What a reader of files (zipfile, Arrow, HDF5) is given: the path, or what lies at an address, opened."""
    return place if isinstance(place, Path) else place.open()


class _Patient(io.RawIOBase):
    """A file of fsspec; a read that fails on the way is tried again."""

    def __init__(self, file: Any, patiently: Callable[[Callable[[], bytes]], bytes]) -> None:
        self._file, self._patiently = file, patiently

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        place = self._file.tell()

        def read() -> bytes:
            self._file.seek(place)
            return bytes(self._file.read(len(view)))

        content = self._patiently(read)
        view[: len(content)] = content
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def is_of_network(error: BaseException) -> bool:
    """Whether an error is one of the libraries that reach for addresses."""
    return any(kind.__module__.partition(".")[0] in LIBRARIES for kind in type(error).__mro__)


def _is_passing(error: Exception) -> bool:
    if isinstance(error, FileNotFoundError | PermissionError) or any(word in repr(error) for word in REFUSED):
        return False
    status = getattr(error, "status", 500)
    return (isinstance(error, OSError) or is_of_network(error)) and (not isinstance(status, int) or status >= 429)


@contextmanager
def reaching(place: str, done: Literal["read", "written"] = "read") -> Iterator[None]:
    """Errors on the way to an address, as one sentence."""
    try:
        yield
    except Exception as error:
        absent = done == "written" and isinstance(error, FileNotFoundError)  # such as the bucket
        known = is_of_network(error) or isinstance(error, PermissionError | ConnectionError | TimeoutError)
        if not (known or absent):
            raise
        reason = without_login(" ".join(str(error).split())[:200]) or type(error).__name__
        refused = isinstance(error, PermissionError) or any(word in repr(error) for word in REFUSED)
        remedy = "is the login in the environment right?" if refused else "is the network there, and the address right?"
        raise RunError(f"{place} could not be {done}: {reason}; {remedy}") from error


def _found(info: Mapping[str, Any]) -> Found:
    tokens = [info.get(name) for name in ("ETag", "etag", "md5Hash", "generation", "LastModified", "Last-Modified")]
    tokens.append(info.get("mtime") or info.get("updated"))
    return Found(int(info.get("size") or 0), json.dumps([info.get("size"), *tokens], default=str))
