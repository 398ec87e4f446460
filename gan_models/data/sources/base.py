"""What every kind of data source is made of: its images in batches, and what is known of a kind beforehand.

Light to import, as are the modules of the kinds: what reads images (NumPy, Pillow, Arrow, PyTorch) is imported where it
is used, so that a request is checked at once.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from itertools import compress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from gan_models.data.halves import Half
from gan_models.data.sources.places import Place, Remote, at_once, check_address, is_address, reaching
from gan_models.errors import RequestError, RunError, home_path, nearest

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from gan_models.data.decoding import Item

UNLABELLED = ("unlabeled", "unlabelled")
"""What people call the part that has no labels."""
SPLIT_NAMES = {
    # What is unlabelled is there to be trained on.
    **dict.fromkeys(("train", "training", *UNLABELLED), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What data sets call their splits: our name."""
LEFTOVERS = frozenset({"@eaDir", "__MACOSX", "#recycle", "#snapshot", "$RECYCLE.BIN", "System Volume Information"})
"""Folders that storage and operating systems put beside people's files: thumbnails, waste, copies."""
BATCH_ITEMS = 256
BATCH_BYTES = 2 << 20


NONE, CLASSES = "none", "classes"


@dataclass(frozen=True)
class Fields:
    """What of a source is read, and as what, where somebody says; the options of a recipe's section `data`.

    Of columns, arrays and such, None is what the kind finds by itself.
    """

    image: str | None = None
    """Which holds the images, or names them in a table beside them."""
    label: str | None = None
    """Which holds labels; `none`: images are of no class."""
    caption: str | None = None
    """Which holds captions; `none`."""
    domain: str | None = None
    """Which holds domains; `classes`: where there are no domains, classes serve as such; `none`."""
    attributes: tuple[str, ...] | Literal["none"] | None = None
    """Those that are read; `none`."""
    pairs: Literal["by-name", "side-by-side", "none"] | None = None
    """What makes a pair: equal names in folders A and B, or the halves of one picture."""
    direction: Literal["AtoB", "BtoA"] = "AtoB"
    """Which side of a pair is made from which."""

    def chosen(self) -> dict[str, object]:
        """The columns or arrays that are named, by option: what only some kinds of source have."""
        given = {name: getattr(self, name) for name in ("image", "label", "caption", "domain", "attributes")}
        given |= {"domain": None} if self.domain == CLASSES else {}
        return {name: value for name, value in given.items() if value not in (None, NONE)}

    def of(self, carried: frozenset[str]) -> frozenset[str]:
        """What images come with, as `carrying` says it, after what is asked for."""
        whole = {"label": "labels", "caption": "captions", "domain": "domains", "attributes": "attributes"}
        left = carried - {what for name, what in whole.items() if getattr(self, name) == NONE}
        if self.domain == CLASSES and "domains" not in left and "labels" in left:
            left = left - {"labels"} | {"domains"}
        if self.pairs == NONE:
            left -= {"partners"}
        return left | {"partners"} if self.pairs == "side-by-side" else left


AS_IT_IS = Fields()
"""Nobody says anything of what is read."""


@dataclass
class Batch:
    """A few images on their way to being decoded, with what the source knows about each."""

    items: list[Item]
    paths: list[str]
    labels: list[int | None]
    splits: list[str | None]
    """The split that the source itself gives, or None."""
    captions: list[str | None] = field(default_factory=list)
    domains: list[str | None] = field(default_factory=list)
    """As captions, one for each image, or none at all."""
    attributes: list[Sequence[int] | None] = field(default_factory=list)
    """0 or 1 for each of the source's attribute names; None where it is not known. As captions."""
    partners: list[Item] = field(default_factory=list)
    """The image that each is to be made from; as captions."""
    embeddings: list[np.ndarray | None] = field(default_factory=list)
    """float32 [n, E] for each image, where the source has such."""
    versions: list[str] = field(default_factory=list)
    """Of each image, what changes when it or what is said of it does, where that is known before it is fetched. As
    captions."""
    fill: Callable[[Batch], None] | None = None
    """Where set: puts the items and labels in, called in a decoding thread."""
    places: Sequence[int] = ()
    """Of its images in what is imported; set by who imports them, as"""
    until: int = 0
    """how many of those are done with it, and"""
    stamps: np.ndarray | None = None
    """what each is known by, uint64 [N] (`preparing.growing`)."""

    def __len__(self) -> int:
        return len(self.paths)

    def part(self, positions: Sequence[int]) -> Batch:
        """Some of its images; they are filled in, or their versions are known."""
        columns: dict[str, Any] = {name: column for name, column in vars(self).items() if isinstance(column, list)}
        lists: dict[str, Any] = {
            name: [column[at] for at in positions] if column else [] for name, column in columns.items()
        }
        places = [self.places[at] for at in positions] if self.places else ()
        stamps = None if self.stamps is None else self.stamps[positions]
        return Batch(**lists, fill=self.fill, places=places, until=self.until, stamps=stamps)

    @cached_property
    def encoded_bytes(self) -> int:
        """In memory; what lies in files is read when it is decoded."""
        items = [item.item if isinstance(item, Half) else item for item in (*self.items, *self.partners)]
        return sum(len(item) for item in items if isinstance(item, bytes))


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
    attribute_names: tuple[str, ...] = ()
    """Of what its images have or have not; empty where nothing is said of that."""
    paired: bool = False
    """Whether each image has a partner that it is to be made from."""
    scaled: bool = False
    """Whether its colours were of more than 8 bits, and are handed out in 8 by the range of all of them."""
    embeddings: tuple[int, int] = (0, 0)
    """(n, E): each image carries n vectors of E numbers that stand for its texts; zeros where it carries none."""
    given_splits: frozenset[str] = frozenset()
    """The splits that the source itself decides, under our names."""
    most_items: int = BATCH_ITEMS
    """Of a batch."""
    split_counts: Mapping[str, int] = {}
    """Images, good or bad, of each split that the source itself decides, where that is known before they are read."""
    ignored: Sequence[tuple[str, str]] = ()
    """(path, reason) of what lies there and does not claim to be an image."""
    notes: Sequence[str] = ()
    """What was understood of it, in sentences."""
    doubts: Sequence[str] = ()
    """What may not be as somebody thinks, in sentences: labels that are not read, folders that look like something."""

    @abstractmethod
    def batches(self, rows: Sequence[int] | None, items: int) -> Iterator[Batch]:
        """Images in a fixed order, at most `items` a batch; `rows` (ascending positions) asks for some only."""

    def sample(self, count: int) -> Iterator[Item]:
        """About `count` images spread over the source, for a first look."""
        step = max(1, self.total // count)
        for batch in self.batches(range(0, self.total, step), BATCH_ITEMS):
            if batch.fill is not None:
                batch.fill(batch)
            yield from (*batch.items, *batch.partners)


class RowSource(Source):
    """One that takes any of its rows in any order."""

    def batches(self, rows: Sequence[int] | None, items: int) -> Iterator[Batch]:
        rows = range(self.total) if rows is None else rows
        items = min(items, self.most_items)
        for start in range(0, len(rows), items):
            yield self.batch(rows[start : start + items])

    @abstractmethod
    def batch(self, rows: Sequence[int]) -> Batch:
        """The images at `rows`."""


class DrawnSource(RowSource):
    """Images that are made when they are asked for, each a pure function of its row; paths are `<place>/<row>`."""

    place: str

    @abstractmethod
    def draw(self, row: int) -> Image.Image: ...

    def label(self, row: int) -> int | None:
        return None

    def domain(self, row: int) -> str | None:
        return None

    def caption(self, row: int) -> str | None:
        return None

    def attributes(self, row: int) -> Sequence[int] | None:
        return None

    def partner(self, row: int) -> Image.Image:
        raise LookupError(f"the images of {self.place} have no partners")

    def batch(self, rows: Sequence[int]) -> Batch:
        return Batch(
            items=[self.draw(row) for row in rows],
            paths=[f"{self.place}/{row}" for row in rows],
            labels=[self.label(row) for row in rows],
            splits=[None] * len(rows),
            captions=[self.caption(row) for row in rows] if self.has_captions else [],
            domains=[self.domain(row) for row in rows] if self.domain_names else [],
            attributes=[self.attributes(row) for row in rows] if self.attribute_names else [],
            partners=[self.partner(row) for row in rows] if self.paired else [],
        )


class AsAsked(Source):
    """A source of which something is taken otherwise than it is brought, whatever its kind (`Fields`)."""

    def __init__(self, source: Source, fields: Fields) -> None:
        self._source, self._fields = source, fields
        self._said: list[str] = []
        same = (
            *("total", "class_names", "domain_names", "has_captions", "attribute_names", "paired", "embeddings"),
            *("given_splits", "most_items", "split_counts", "ignored", "doubts"),
        )
        for name in same:
            setattr(self, name, getattr(source, name))
        if fields.label == NONE:
            self.class_names = ()
        if fields.caption == NONE:
            self.has_captions = False
        if fields.attributes == NONE:
            self.attribute_names = ()
        if fields.domain == NONE:
            self.domain_names = ()
        self._classes = self.class_names if fields.domain == CLASSES and not self.domain_names else ()
        if self._classes:
            self.domain_names, self.class_names = self._classes, ()
            self._said.append(f"its classes serve as domains: {some(self._classes)}")
        self._halves = fields.pairs == "side-by-side"
        if self._halves and source.paired:
            raise RequestError("data.pairs=side-by-side: its images have partners already; leave the option out")
        self.paired = self._halves or (source.paired and fields.pairs != NONE)
        if self._halves:
            self._said.append("each picture holds a pair: A is its left half, B its right half")
        if self.paired and fields.direction == "BtoA":
            self._said.append("A is to be made from B")
        self.notes = [*source.notes, *self._said]

    def batches(self, rows: Sequence[int] | None, items: int) -> Iterator[Batch]:
        for batch in self._source.batches(rows, items):
            if batch.fill is None:
                self._change(batch)
            else:
                self._change_once_filled(batch, batch.fill)
            yield batch

    def _change_once_filled(self, batch: Batch, fill: Callable[[Batch], None]) -> None:
        def fill_and_change(filled: Batch) -> None:
            fill(filled)
            self._change(filled)

        batch.fill = fill_and_change

    def _change(self, batch: Batch) -> None:
        if self._classes:
            batch.domains = [None if label is None else self._classes[label] for label in batch.labels]
        if not self.domain_names:
            batch.domains = []
        if not self.class_names:
            batch.labels = [None] * len(batch)
        if not self.has_captions:
            batch.captions = []
        if not self.attribute_names:
            batch.attributes = []
        if self._halves:
            batch.items, batch.partners = ([half(item, side) for item in batch.items] for side in ("right", "left"))
        if not self.paired:
            batch.partners = []
        elif self._fields.direction == "BtoA":
            batch.items, batch.partners = batch.partners, batch.items

    def sample(self, count: int) -> Iterator[Item]:
        for item in self._source.sample(count):
            yield from (half(item, "left"), half(item, "right")) if self._halves else (item,)
        self.notes = [*self._source.notes, *self._said]  # what is known from pixels alone


def half(item: Item, side: Literal["left", "right"]) -> Item:
    """That half of a picture; of none, why there is none."""
    return item if isinstance(item, Exception | Half) else Half(item, side)


@contextmanager
def reading(source: str) -> Iterator[None]:
    """Errors while a source is read, as one sentence that blames the source and not what is written from it."""
    try:
        with reaching(source) if "://" in source else nullcontext():
            yield
    # RuntimeError: zipfile, of what is encrypted, or compressed by a method that it does not know.
    except (OSError, EOFError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise RunError(f"{source} could not be read: {reason}; is it damaged, or being changed?") from error


def rows_within(rows: np.ndarray, start: int, count: int) -> np.ndarray:
    """Of ascending positions, those of the `count` from `start` on, counted from there."""
    return rows[slice(*rows.searchsorted([start, start + count]))] - start


@dataclass(frozen=True)
class SourceName:
    """A data source, taken apart: `torchvision:MNIST` is kind torchvision, rest MNIST. Made by `parse_source`.

    What is asked of it raises RequestError where nothing usable is there, RunError where it cannot be read.
    """

    kind: str
    rest: str
    path: Path | None = field(compare=False)
    """Where it lies on this machine; None for what lies at an address, or at no place."""
    known: SourceKind = field(compare=False, repr=False)
    """What there is to know of its kind."""
    fields: Fields = AS_IT_IS
    """What of it is read, and as what."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.rest}" if self.rest else self.kind

    @property
    def absolute(self) -> str:
        """The same source, meaning the same in every working directory."""
        return f"{self.kind}:{home_path(self.rest).absolute()}" if self.path else str(self)

    @property
    def needs_network(self) -> bool:
        """Whether reading it reaches over a network."""
        return self.known.reaches(self.rest)

    @property
    def short(self) -> str:
        """What to call the data set in a line of text: `CIFAR10`, `ring`, `cats` for folder:/data/cats."""
        return self.known.short_name(self)

    def carried(self) -> frozenset[str]:
        """What its images come with (`carrying`); nothing is decoded or downloaded."""
        with reading(str(self)):
            return self.fields.of(self.known.carries(self))

    def digest(self) -> str:
        """Changes when its content does, for cache keys; no image is opened.

        For files: relative paths, sizes and modification times; at an address, what the place says of each, such as
        its ETag. For data inside packages, fetched or drawn by them: the packages' versions.
        """
        with reading(str(self)):
            return self.known.version(self)

    def open(self) -> Source:
        """Counts its images, learns its classes and splits; no image is decoded."""
        with reading(str(self)):
            opened = self.known.open(self)
        if self.fields != AS_IT_IS:
            opened = AsAsked(opened, self.fields)
        opened.name = str(self)
        return opened


class SourceKind(ABC):
    """What there is to know of a kind of source before anything is opened."""

    rest: str = ""
    """What is written behind the kind and a colon, as help calls it (`name` in toy:<name>); empty: nothing is."""
    names: Collection[str] = ()
    """What that can be, where it is one of a list."""
    packages: Sequence[str] = ()
    """Whose releases may change its images."""
    needs_network: bool = False
    """Whether the first to open it downloads it."""
    at_path: bool = False
    """Whether that is where it lies."""
    chooses: Collection[str] = ()
    """The options of `Fields` that name columns, arrays or such of it: `image`, `label`, `caption`, `domain`,
    `attributes`."""

    @abstractmethod
    def open(self, name: SourceName) -> Source:
        """Count its images, learn its classes and splits; no image is decoded."""

    def check(self, text: str, rest: str) -> None:
        """Refuses what cannot stand behind the colon: RequestError with `text`, as written, and what is right."""
        kind = text.partition(":")[0]
        if self.names and rest not in self.names:
            near = nearest(rest, self.names)
            hint = f"did you mean '{kind}:{near}'? " if near else ""
            raise RequestError(f"unknown {kind} data set {rest!r}: {hint}Known: {', '.join(self.names)}")
        if self.rest and not rest:
            missing = "place" if self.at_path else self.rest
            raise RequestError(f"data source {text!r} names no {missing}: write {kind}:<{self.rest}>")
        if self.at_path and is_address(rest):
            check_address(rest)

    def path_of(self, rest: str) -> Path | None:
        """Where it lies on this machine; None for what does not, or lies at no path."""
        return home_path(rest) if self.at_path and not is_address(rest) else None

    def reaches(self, rest: str) -> bool:
        """Whether reading it reaches over a network."""
        return self.needs_network or (self.at_path and is_address(rest))

    def recognises(self, path: Path) -> bool:
        """Whether a path that was given without a kind must have meant this one."""
        return False

    def recognises_name(self, name: str) -> bool:
        """Whether that is so whatever lies there, by the name of a file (`cats.zip`) alone."""
        return False

    def short_name(self, name: SourceName) -> str:
        """What to call the data set in a line of text."""
        return name.rest if self.names else str(name).replace(":", "-")

    def carries(self, name: SourceName) -> frozenset[str]:
        """What the images come with (`carrying`); nothing is decoded or downloaded."""
        source = self.open(name)
        return carrying(
            source.class_names,
            source.domain_names,
            source.has_captions,
            source.attribute_names,
            source.paired,
            source.embeddings[1],
        )

    def version(self, name: SourceName) -> str:
        """Changes when the images do, for cache keys; no image is opened."""
        return releases(self.packages, name)


class PathKind(SourceKind):
    """A kind of source that lies at a path: its version follows the files there."""

    rest = "path"
    at_path = True
    suffix: str = ""
    """That of its files; empty where it is a folder."""

    def refusal(self, path: Place) -> str:
        """What is wrong with what lies at the place, as far as can be seen from outside; "" when nothing is."""
        return ""

    def recognises(self, path: Path) -> bool:
        return self.recognises_name(path.name) and not path.is_dir()

    def recognises_name(self, name: str) -> bool:
        return bool(self.suffix) and PurePosixPath(name).suffix == self.suffix

    def short_name(self, name: SourceName) -> str:
        path = PurePosixPath(urlsplit(name.rest).path) if is_address(name.rest) else home_path(name.rest)
        short = path.stem if self.suffix else path.name
        if short.lower() in SPLIT_NAMES:  # .../cifar10/train.parquet: the folder says what it is
            short = path.parent.name
        return short or (urlsplit(name.rest).netloc if is_address(name.rest) else "") or name.kind

    def existing(self, name: SourceName) -> Place:
        """Its place; RequestError where nothing is there, or a file where a folder must be (or the other way round)."""
        place = Remote(name.rest) if is_address(name.rest) else home_path(name.rest)
        wrong = self.refusal(place) if place.exists() else f"there is nothing at {place.absolute()}"
        if isinstance(place, Path) and place.exists() and not (place.is_file() or place.is_dir()):
            wrong = f"{place} is a pipe, a socket or a device"  # opened, it would be waited for
        if wrong:
            raise RequestError(f"data source {str(name)!r}: {wrong}")
        return place

    def version(self, name: SourceName) -> str:
        return version_of([self.existing(name)])


def version_of(places: Sequence[Place]) -> str:
    """Changes when what lies at one of these places does: files, or folders with all below."""
    digest = hashlib.sha256()
    for versions in at_once(_versions, places):
        for relative, known in versions:
            digest.update(f"{relative}\0{known}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:32]


def _versions(root: Place) -> list[tuple[str, str]]:
    """(relative path, version) of each file."""
    if isinstance(root, Remote):
        if root.is_dir():
            return [(relative, found.version) for relative, found in root.files_below().items()]
        return [("", root.found().version)]
    return [(relative, _version(root / relative)) for relative in (files_below(root) if root.is_dir() else [""])]


def _version(file: Path) -> str:
    try:
        status = file.stat()
    except OSError:  # a broken link: it will be quarantined
        return "absent"
    return f"{status.st_size} {status.st_mtime_ns}"


def carrying(
    labels: object,
    domains: object = (),
    captions: object = False,
    attributes: object = (),
    partners: object = False,
    embeddings: object = 0,
) -> frozenset[str]:
    """What images come with, by what there is of each."""
    names = ("labels", "domains", "captions", "attributes", "partners", "embeddings")
    return frozenset(compress(names, (labels, domains, captions, attributes, partners, embeddings)))


def releases(packages: Iterable[str], name: SourceName) -> str:
    """Installed versions, as `numpy-2.1.0_pillow-11.0.0`; RequestError where the source lacks a package."""
    known = []
    for package in packages:
        try:
            known.append(f"{package}-{version(package)}")
        except PackageNotFoundError:
            raise RequestError(
                f"data source {str(name)!r} needs the package {package}: pip install {package}"
            ) from None
    return "_".join(known)


class Tree(NamedTuple):
    """What lies below a folder, by paths relative to it, sorted."""

    files: list[str]
    left_out: list[tuple[str, str]]
    """(path, reason) of folders that were not walked."""


def files_below(root: Place) -> list[str]:
    """Relative paths of all files below, as in `tree_below`."""
    return tree_below(root).files


def tree_below(root: Place) -> Tree:
    """All files below, without hidden ones and leftovers of systems; RequestError: unreadable.

    Links are followed, but each real folder is walked once: where it lies itself, else by the first link to it.
    """
    if isinstance(root, Remote):
        return without_leftovers(root.files_below())
    tree, folders = Tree([], []), [""]
    walked: set[tuple[int, int]] = set()
    while folders:  # links to folders wait until all real ones are known
        folders = _walk(root, sorted(folders), walked, tree)
    tree.files.sort()
    tree.left_out.sort()
    return tree


def without_leftovers(paths: Iterable[str]) -> Tree:
    """Of relative paths, those that lie in no leftover of a system, and no hidden ones."""
    files, left_out = [], []
    for path in paths:
        parts = path.split("/")
        if path.endswith("/") or any(part.startswith(".") for part in parts):
            continue
        if LEFTOVERS.intersection(parts):
            left_out.append((path, "a leftover of a storage system, by its name"))
        else:
            files.append(path)
    return Tree(sorted(files), left_out)


def _walk(root: Path, folders: Sequence[str], walked: set[tuple[int, int]], tree: Tree) -> list[str]:
    """Adds these folders and the real ones below them to the tree; returns the links to folders that were met."""
    links: list[str] = []
    waiting = [*reversed(folders)]
    while waiting:
        relative = waiting.pop()
        folder = root / relative
        try:
            status = folder.stat()
            entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
        except OSError as error:
            raise RequestError(f"cannot read the folder {folder}: {error.strerror}") from error
        if (status.st_dev, status.st_ino) in walked:
            tree.left_out.append((relative.rstrip("/"), "links to a folder that is read already"))
            continue
        walked.add((status.st_dev, status.st_ino))
        for entry in entries:
            path = f"{relative}{entry.name}"
            if entry.is_dir() and entry.name in LEFTOVERS:
                tree.left_out.append((path, "a leftover of a storage system, by its name"))
            elif entry.is_dir():
                (links if entry.is_symlink() else waiting).append(f"{path}/")
            elif entry.is_file() or entry.is_symlink():  # sockets, pipes and devices are not data
                tree.files.append(path)
    return links


def some(names: Sequence[str]) -> str:
    """The first three, and how many more."""
    return ", ".join(map(printable, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def printable(path: str) -> str:
    """A path as text that UTF-8 can hold: file names on Linux may be any bytes."""
    return path.encode("utf-8", "backslashreplace").decode()
