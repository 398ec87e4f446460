"""The kinds `folder`, `zip`, `parquet` and `npz`, which lie at a path; image files in folders and zips are read here.

`cat/1.png` is of class cat; `train/cat/1.png` also brings its split.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from gan_models.data.sources.base import (
    SPLIT_NAMES,
    Batch,
    PathKind,
    RowSource,
    Source,
    SourceName,
    Tree,
    printable,
    reading,
    tree_below,
    without_leftovers,
)
from gan_models.data.sources.places import Place, Remote, source_bytes
from gan_models.errors import RequestError

if TYPE_CHECKING:
    from gan_models.data.decoding import Item

# What lies beside images in a normal data set and is no failed image: listed, but not counted as bad.
SIDECARS = frozenset(
    f".{name}"
    for name in (
        *("txt", "md", "rst", "html", "pdf", "log", "ini", "db", "toml", "yaml", "yml", "xml", "json", "jsonl"),
        *("csv", "tsv", "parquet", "npy", "npz", "mat", "pkl", "zip", "tar", "gz", "py", "ipynb"),
    )
)
TABLES = frozenset({".csv", ".tsv", ".jsonl"})
LABELS_FILE = "dataset.json"
PAIR = ("A", "B")
DOMAIN_FOLDER = re.compile(rf"({'|'.join(SPLIT_NAMES)})[_-]?[AB]", re.IGNORECASE)


MEMBER_BYTES = 512 << 20
"""Of an image in an archive or at an address: it is in memory as a whole."""
REMOTE_BATCH_BYTES = 8 << 20
"""Of images that are fetched together."""


class ImageFiles(RowSource):
    """Image files at relative paths, in the order of these.

    Folders `train`, `val` (`valid`, `validation`, `dev`) and `test` at the top are splits when no other folder lies
    there, or when there are two at least; other folders are left out then. Below that, two or more sub-folders are
    classes, in alphabetical order; images with no sub-folder, or in a single one, are unlabelled. `dataset.json` of
    StyleGAN's tools says the classes in their place. Where they are `A` and `B` alone and hold images of equal names,
    these are pairs: what lies in B is to be made from what lies in A.

    Args:
        root: where they lie, for sentences: a folder or an archive.
        tree: what lies there.

    Raises:
        RequestError: no image files, validation or test images without any for training.
    """

    _what: str
    """What it is called in sentences."""
    _partners: Mapping[str, str]
    """Of a pair: what lies in B, and what it is to be made from."""
    most_items = 64  # photographs take long: progress is shown, and a stop is heard, between batches

    def __init__(self, root: Place, tree: Tree) -> None:
        self._root = root
        files, left_out = tree
        images = [file for file in files if Path(file).suffix.lower() not in SIDECARS]
        self.ignored = [(printable(path), reason) for path, reason in left_out]
        self.ignored += [(printable(file), "not an image, by its name") for file in sorted(set(files) - set(images))]
        if not images:
            there = f"{len(files)} other files" if files else "no files"
            raise RequestError(
                f"{self._what} {root} holds no images ({there}): give the {self._what} that contains them"
            )
        self.notes, self.doubts = [], [*_sidecar_doubts(files, images)]
        top = {_first(file) for file in images} - {""}
        self._splits = _split_folders(root, top)
        if beside := sorted(top - set(self._splits)) if self._splits else []:
            self.notes.append(
                f"{' and '.join(sorted(self._splits))} are splits; {', '.join(beside)} beside them is left out"
            )
            self.ignored += [
                (printable(file), "beside the folders of the splits") for file in images if _first(file) in beside
            ]
            images = [file for file in images if _first(file) not in beside]
        elif not self._splits:
            self.doubts += _doubts_of_folders(top)
        self._depth = 1 if self._splits else 0
        self.given_splits = frozenset(self._splits.values())
        self._files = images
        self.total = len(images)
        if self._splits:
            self.split_counts = Counter(
                split for file in images if (split := self._splits.get(_first(file))) is not None
            )
        self._given = self._labels_of_stylegan() if LABELS_FILE in files else None
        if self._given is None and {self._folder_of(file) for file in images} == set(PAIR):
            self._find_pairs()
        if self.paired:
            return
        if self._given is not None:
            self.class_names = tuple(map(str, sorted(set(self._given.values()))))
            self._labels = {name: label for label, name in enumerate(self.class_names)}
            self.notes.append(f"labels are those of {LABELS_FILE}, so folders are no classes")
            return
        classes = {name for name in map(self._folder_of, images) if name}
        self.class_names = tuple(sorted(classes)) if len(classes) > 1 else ()
        self._labels = {name: label for label, name in enumerate(self.class_names)}

    def _find_pairs(self) -> None:
        """Makes pairs of the images in A and B, by their names there, where most of them have a partner."""
        by_name: dict[str, dict[str, str]] = {}
        twice: list[tuple[str, str]] = []
        for file in self._files:
            split, folder, name = file.split("/", self._depth + 1) if self._depth else ("", *file.split("/", 1))
            sides = by_name.setdefault(f"{split}/{name.rpartition('.')[0]}", {})
            if folder in sides:
                twice.append((printable(file), f"{printable(sides[folder])} has its name, but for the ending"))
            else:
                sides[folder] = file
        pairs = [each for each in by_name.values() if len(each) == len(PAIR)]
        if 2 * len(pairs) < len(by_name):
            return
        given, made = PAIR
        alone = sorted(file for each in by_name.values() if len(each) < len(PAIR) for file in each.values())
        missing = [(printable(file), "no image of its name lies in the other folder") for file in alone]
        self.ignored = [*self.ignored, *twice, *missing]
        self.notes = [*self.notes, f"{given} and {made} hold pairs by equal names: {made} is to be made from {given}"]
        self._partners = {each[made]: each[given] for each in pairs}
        self._files, self.paired, self.class_names, self._labels = sorted(self._partners), True, (), {}
        self.total = len(self._files)
        self.split_counts = Counter(self._splits[_first(file)] for file in self._files) if self._splits else {}

    def _folder_of(self, file: str) -> str:
        """The sub-folder that names the class, or ""."""
        parts = file.split("/")
        return printable(parts[self._depth]) if len(parts) > self._depth + 1 else ""

    def _label_of(self, file: str) -> int | None:
        if self._given is not None:
            return self._labels.get(str(self._given.get(file)))
        return self._labels.get(self._folder_of(file))

    def batch(self, rows: Sequence[int]) -> Batch:
        files = [self._files[row] for row in rows]
        return Batch(
            items=[self._item(file) for file in files],
            paths=[printable(file) for file in files],
            labels=[self._label_of(file) for file in files],
            splits=[self._splits.get(_first(file)) for file in files],
            partners=[self._item(self._partners[file]) for file in files] if self.paired else [],
        )

    def _labels_of_stylegan(self) -> dict[str, int] | None:
        """What `dataset.json` of StyleGAN's tools says of each image: its class; None where it gives no classes."""
        try:
            pairs = json.loads(self._content(LABELS_FILE))["labels"]
            return None if pairs is None else {str(path): int(label) for path, label in pairs}
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            reason = " ".join(str(error).split())[:100]
            raise RequestError(
                f"{self._root / LABELS_FILE} is not what StyleGAN's tools write ({reason}): expected labels: [[path, "
                "class], ...]; correct it, or move it away"
            ) from None

    @abstractmethod
    def _item(self, file: str) -> Item:
        """An image, to be decoded."""

    @abstractmethod
    def _content(self, file: str) -> bytes:
        """Of a small file."""


class FolderSource(ImageFiles):
    """All image files below a folder; RequestError as `ImageFiles`."""

    _what = "folder"

    def __init__(self, root: Path) -> None:
        super().__init__(root, tree_below(root))

    def _item(self, file: str) -> Item:
        return str(self._root / file)

    def _content(self, file: str) -> bytes:
        return (self._root / file).read_bytes()


class RemoteFolderSource(ImageFiles):
    """All image files below an address, fetched several at a time; RequestError as `ImageFiles`."""

    _what = "folder"

    def __init__(self, root: Remote) -> None:
        self._place, self._found = root, root.files_below()
        super().__init__(root, without_leftovers(self._found))

    def batches(self, rows: Sequence[int] | None, items: int) -> Iterator[Batch]:
        chosen: list[int] = []
        held = 0
        for row in range(self.total) if rows is None else rows:
            size = self._bytes_of(self._files[row])
            if chosen and (len(chosen) == min(items, self.most_items) or held + size > REMOTE_BATCH_BYTES):
                yield self.batch(chosen)
                chosen, held = [], 0
            chosen.append(row)
            held += size
        if chosen:
            yield self.batch(chosen)

    def batch(self, rows: Sequence[int]) -> Batch:
        batch = super().batch(rows)
        batch.fill = self._fetch
        return batch

    def _fetch(self, batch: Batch) -> None:
        """Puts contents in the place of the names."""
        with reading(self.name):
            for items in (batch.items, batch.partners):
                items[:] = self._contents([str(item) for item in items])

    def _contents(self, files: Sequence[str]) -> Iterator[Item]:
        from gan_models.data.decoding import BadImageError

        small = [file for file in files if self._found[file].size <= MEMBER_BYTES]
        fetched = dict(zip(small, self._place.contents(small), strict=True))
        for file in files:
            content = fetched.get(file)
            if content is None:
                yield BadImageError(f"too large: more than {MEMBER_BYTES >> 20} MiB")
            elif isinstance(content, FileNotFoundError):
                yield BadImageError("the file is gone")
            elif isinstance(content, Exception):
                raise content
            else:
                yield content

    def _bytes_of(self, file: str) -> int:
        partner = self._partners[file] if self.paired else file
        return self._found[file].size + (self._found[partner].size if self.paired else 0)

    def _item(self, file: str) -> Item:
        return file

    def _content(self, file: str) -> bytes:
        return (self._place / file).read_bytes()


class ZipSource(ImageFiles):
    """All image files in a zip, as StyleGAN's tools write it or as a packed folder; nothing is unpacked to the disk.

    Raises:
        RequestError: it is no zip; otherwise as `ImageFiles`.
    """

    _what = "zip"

    def __init__(self, path: Place) -> None:
        self._root = path
        try:
            members = self._archive.namelist()
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise RequestError(f"cannot read {path} as a zip: {error}") from error
        super().__init__(path, without_leftovers(dict.fromkeys(members)))  # of equal names, the last is what is read

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(source_bytes(self._root))

    def _item(self, file: str) -> Item:
        from gan_models.data.decoding import BadImageError

        try:
            if self._archive.getinfo(file).file_size > MEMBER_BYTES:
                return BadImageError(f"too large: more than {MEMBER_BYTES >> 20} MiB unpacked")
            return self._content(file)
        except (OSError, EOFError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
            return BadImageError(f"damaged in the zip: {' '.join(str(error).split())[:100]}")

    def _content(self, file: str) -> bytes:
        with self._archive.open(file) as member:  # a header may lie about how much comes
            return member.read(MEMBER_BYTES)


def _split_folders(root: Place, top: set[str]) -> dict[str, str]:
    """Folder name -> split, when the folders at the top are named after splits, two at least where others are beside.

    A folder called `train` among others may be a class of trains.
    """
    splits = {name: SPLIT_NAMES[name.lower()] for name in top if name.lower() in SPLIT_NAMES}
    if not splits or (len(splits) < len(top) and len(set(splits.values())) < 2):
        return {}
    if "train" not in splits.values():
        raise RequestError(
            f"folder {root} holds {' and '.join(sorted(splits))} images but none in a train folder: add one"
        )
    return splits


def _doubts_of_folders(top: set[str]) -> Iterator[str]:
    """What folders that become classes may be instead."""
    pairs = sorted(name for name in top if DOMAIN_FOLDER.fullmatch(name))
    if len(pairs) > 1:
        yield (
            f"the folders {', '.join(pairs)} become classes: two domains with splits, as their names say, are read "
            "from Parquet with columns `domain` and `split`"
        )
    named = sorted(name for name in top if name.lower() in SPLIT_NAMES)
    if named:
        yield f"the folder {', '.join(named)} beside others becomes a class: as a split it needs a second one beside it"


def _sidecar_doubts(files: Sequence[str], images: Sequence[str]) -> Iterator[str]:
    """Files that may say something of the images, which is not read."""
    tables = [file for file in files if Path(file).suffix.lower() in TABLES or Path(file).name.startswith("list_attr")]
    if tables:
        yield f"{_some(tables)}: what is written there of the images (labels, attributes, captions) is not read"
    stems = {file.rpartition(".")[0] for file in images}
    texts = [file for file in files if file.endswith(".txt") and file.removesuffix(".txt") in stems]
    if texts:
        yield f"{len(texts)} text files are called as images are: captions in files beside images are not read"


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(printable, names[:3])) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _first(file: str) -> str:
    """The folder at the top of a relative path, or "" for a file beside the folders."""
    return file.split("/", 1)[0] if "/" in file else ""


class _Folder(PathKind):
    def recognises(self, path: Path) -> bool:
        return path.is_dir()

    def refusal(self, path: Place) -> str:
        return "" if path.is_dir() else f"{path} is a file; give the folder that holds the images"

    def open(self, name: SourceName) -> Source:
        place = self.existing(name)
        return RemoteFolderSource(place) if isinstance(place, Remote) else FolderSource(place)


class _Zip(PathKind):
    suffix = ".zip"

    def refusal(self, path: Place) -> str:
        return "" if path.is_file() else f"{path} is not a file; give one .zip file"

    def open(self, name: SourceName) -> Source:
        return ZipSource(self.existing(name))


class _Parquet(PathKind):
    suffix = ".parquet"

    def recognises(self, path: Path) -> bool:
        return super().recognises(path) or (path.is_dir() and any(path.glob("*.parquet")))

    def version(self, name: SourceName) -> str:
        from gan_models.data.sources.parquet import version_beside

        path = self.existing(name)
        # Of a folder, all files below count as it is; of an address, what lies beside is not looked for.
        beside = version_beside(path) if isinstance(path, Path) and path.is_file() else ""
        return super().version(name) + (f"-{beside}" if beside else "")

    def open(self, name: SourceName) -> Source:
        from gan_models.data.sources.parquet import ParquetSource

        return ParquetSource(self.existing(name))


class _Npz(PathKind):
    suffix = ".npz"

    def refusal(self, path: Place) -> str:
        return "" if path.is_file() else f"{path} is not a file; give one .npz file"

    def open(self, name: SourceName) -> Source:
        from gan_models.data.sources.npz import NpzSource

        return NpzSource(self.existing(name))


FOLDER, ZIP, PARQUET, NPZ = _Folder(), _Zip(), _Parquet(), _Npz()
