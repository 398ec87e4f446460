"""The kinds `folder`, `zip`, `parquet` and `npz`, which lie at a path; image files in folders and zips are read here.

`cat/1.png` is of class cat; `train/cat/1.png` also brings its split.
"""

from __future__ import annotations

import errno
import json
import re
import zipfile
import zlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING

from gan_models.data.sources.base import (
    AS_IT_IS,
    SPLIT_NAMES,
    UNLABELLED,
    Batch,
    Fields,
    PathKind,
    RowSource,
    Source,
    SourceName,
    Tree,
    printable,
    reading,
    some,
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
LABELS_FILE = "dataset.json"
PAIR = ("A", "B")
DOMAIN_FOLDER = re.compile(rf"({'|'.join(SPLIT_NAMES)})[_-]?([AB])", re.IGNORECASE)


MEMBER_BYTES = 512 << 20
"""Of an image in an archive or at an address: it is in memory as a whole."""
REMOTE_BATCH_BYTES = 8 << 20
"""Of images that are fetched together."""


class ImageFiles(RowSource):
    """Image files at relative paths, in the order of these, and what files beside them say (`annotations`).

    Folders `train`, `val` (`valid`, `validation`, `dev`) and `test` at the top are splits when no other folder lies
    there, or when there are two at least; other folders are left out then. `trainA`, `trainB`, `testA`, `testB` are two
    domains with splits. Below that, two or more sub-folders are classes, in alphabetical order; images with no
    sub-folder, or in a single one, are unlabelled. `dataset.json` of StyleGAN's tools or a table with labels says the
    classes in their place. Where they are `A` and `B` alone and hold images of equal names, these are pairs: what lies
    in B is to be made from what lies in A.

    Args:
        root: where they lie, for sentences: a folder or an archive.
        tree: what lies there.
        fields: what of it is read, and as what.

    Raises:
        RequestError: no image files, validation or test images without any for training; as `annotations.read`.
    """

    _what: str
    """What it is called in sentences."""
    _partners: Mapping[str, str]
    """Of a pair: what lies in B, and what it is to be made from."""
    notes: list[str]
    doubts: list[str]
    most_items = 64  # photographs take long: progress is shown, and a stop is heard, between batches

    def __init__(self, root: Place, tree: Tree, fields: Fields = AS_IT_IS) -> None:
        self._root = root
        files, left_out = tree
        images = [file for file in files if Path(file).suffix.lower() not in SIDECARS]
        others = sorted({*files} - {*images})
        if not images:
            there = f"{len(files)} other files" if files else "no files"
            raise RequestError(
                f"{self._what} {root} holds no images ({there}): give the {self._what} that contains them"
            )
        self.notes, self.doubts = [], []
        self.ignored = [(printable(path), reason) for path, reason in left_out]
        self._layout = _Layout.of(root, images)
        self.notes += self._layout.notes
        self.doubts += self._layout.doubts
        if beside := self._layout.beside:
            self.ignored += [
                (printable(file), "beside the folders of the splits") for file in images if _first(file) in beside
            ]
            images = [file for file in images if _first(file) not in beside]
        self._files = images
        self._arrange(fields)
        self._read_beside(others, fields)
        self.total = len(self._files)

    def _arrange(self, fields: Fields) -> None:
        """Pairs, domains or classes by folders, and splits."""
        folders = {self._folder_of(file) for file in self._files} - {""}
        by_letter = bool(self._layout.letters)
        if folders == {*PAIR} and (fields.pairs == "by-name" or (fields.pairs is None and not by_letter)):
            self._find_pairs()
        if by_letter and not self.paired:
            self.domain_names = PAIR
            if fields.pairs is None and self._pairs_by_name()[0]:
                self.doubts.append(
                    "some images have equal names in both domains: data.pairs=by-name makes pairs of them"
                )
        elif len(classes := {name for name in folders if name.lower() not in UNLABELLED}) > 1 and not self.paired:
            self.class_names = tuple(sorted(classes))
        self._folder_classes = self.class_names
        self._labels = {name: label for label, name in enumerate(self.class_names)}
        self.given_splits = frozenset(self._layout.splits.values())
        if self.given_splits:
            splits = (self._layout.place(file)[0] for file in self._files)
            self.split_counts = Counter(split for split in splits if split is not None)

    def _read_beside(self, others: list[str], fields: Fields) -> None:
        """What other files say of the images, in place of folders where both do."""
        from gan_models.data.sources import annotations

        by_stylegan = LABELS_FILE in others and fields.label is None
        self._given = self._labels_of_stylegan() if by_stylegan else None
        self._said = said = annotations.read(
            others, self._files, self._content, fields, str(self._root), splits=not self.given_splits
        )
        if self._given is not None:
            self.class_names = tuple(map(str, sorted(set(self._given.values()))))
            self._labels = {name: label for label, name in enumerate(self.class_names)}
            self.notes.append(f"labels are those of {LABELS_FILE}, so folders are no classes")
        elif said.labels is not None:
            self.class_names = said.class_names
            if self._folder_classes:
                self.notes.append(
                    f"a table says the labels, so the folders {some(self._folder_classes)} are no classes"
                )
        if said.domains is not None:
            self.domain_names = said.domain_names
        if said.splits is not None:
            self.split_counts = Counter(split for split in said.splits if split is not None)
            self.given_splits = frozenset(self.split_counts)
            if "train" not in self.given_splits:
                raise RequestError(
                    f"{self._root} holds {' and '.join(sorted(self.given_splits))} images but none for training"
                )
        self.has_captions = said.has_captions
        self.attribute_names = said.attribute_names
        self.notes += said.notes
        self.doubts += said.doubts
        if self.class_names and said.labels is None:
            absent = sum(self._label_of(row) is None for row in range(len(self._files)))
            self.notes += [f"{absent} of {len(self._files)} images have no label"] if absent else []
        read = {*said.described_by, *([LABELS_FILE] if self._given is not None else [])}
        if said.caption_files:
            read |= {f"{file.rpartition('.')[0]}.txt" for file in self._files}
        self.ignored = [
            *self.ignored,
            *((printable(file), "not an image, by its name") for file in others if file not in read),
        ]

    def _pairs_by_name(self) -> tuple[list[dict[str, str]], list[str], list[tuple[str, str]]]:
        """Files of A and B that have equal names there, those without, and those whose name another one has."""
        by_name: dict[str, dict[str, str]] = {}
        twice: list[tuple[str, str]] = []
        for file in self._files:
            split, inside = self._layout.place(file)
            folder, _, name = inside.rpartition(".")[0].partition("/")
            sides = by_name.setdefault(f"{split}/{name}", {})
            if folder in sides:
                twice.append((printable(file), f"{printable(sides[folder])} has its name, but for the ending"))
            else:
                sides[folder] = file
        pairs = [each for each in by_name.values() if len(each) == len(PAIR)]
        alone = sorted(file for each in by_name.values() if len(each) < len(PAIR) for file in each.values())
        return pairs, alone, twice

    def _find_pairs(self) -> None:
        """Makes pairs of the images in A and B, by their names there, where most of them have a partner."""
        pairs, alone, twice = self._pairs_by_name()
        if len(pairs) < len(alone):
            return
        given, made = PAIR
        missing = [(printable(file), "no image of its name lies in the other folder") for file in alone]
        self.ignored = [*self.ignored, *twice, *missing]
        self.notes = [*self.notes, f"{given} and {made} hold pairs by equal names: {made} is to be made from {given}"]
        self._partners = {each[made]: each[given] for each in pairs}
        self._files, self.paired = sorted(self._partners), True

    def _folder_of(self, file: str) -> str:
        """The sub-folder that names the class, the domain or the side of a pair, or ""."""
        inside = self._layout.place(file)[1]
        return printable(inside.split("/", 1)[0]) if "/" in inside else ""

    def _label_of(self, row: int) -> int | None:
        file = self._files[row]
        if self._given is not None:
            return self._labels.get(str(self._given.get(file)))
        if self._said.labels is not None:
            label = int(self._said.labels[row])
            return label if label >= 0 else None
        return self._labels.get(self._folder_of(file))

    def _domain_of(self, row: int) -> str | None:
        if self._said.domains is None:
            return self._folder_of(self._files[row]) or None
        number = int(self._said.domains[row])
        return self.domain_names[number] if number >= 0 else None

    def _attributes_of(self, row: int) -> Sequence[int] | None:
        assert self._said.attributes is not None
        values = self._said.attributes[row].tolist()
        return None if -1 in values else values

    def batch(self, rows: Sequence[int]) -> Batch:
        files = [self._files[row] for row in rows]
        splits = self._said.splits
        batch = Batch(
            items=[self._item(file) for file in files],
            paths=[printable(file) for file in files],
            labels=[self._label_of(row) for row in rows],
            splits=[self._layout.place(file)[0] for file in files] if splits is None else [splits[row] for row in rows],
            domains=[self._domain_of(row) for row in rows] if self.domain_names else [],
            attributes=[self._attributes_of(row) for row in rows] if self.attribute_names else [],
            partners=[self._item(self._partners[file]) for file in files] if self.paired else [],
        )
        if self.has_captions:
            self._add_captions(batch, rows, files)
        return batch

    def _add_captions(self, batch: Batch, rows: Sequence[int], files: list[str]) -> None:
        from gan_models.data.decoding import BadImageError
        from gan_models.data.sources import annotations

        if self._said.captions is not None:
            batch.captions = self._said.captions.take([*rows]).to_pylist()
            return
        for position, file in enumerate(files):
            caption = None
            try:
                caption = annotations.text_beside(file, self._content)
            except (OSError, ValueError) as error:
                reason = "not UTF-8" if isinstance(error, ValueError) else str(error)
                batch.items[position] = BadImageError(f"the text beside it cannot be read: {reason}")
            batch.captions.append(caption)

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
        """Of a file that holds no pixels; FileNotFoundError or KeyError where there is none, OSError: too large."""


class FolderSource(ImageFiles):
    """All image files below a folder; RequestError as `ImageFiles`."""

    _what = "folder"

    def __init__(self, root: Path, fields: Fields = AS_IT_IS) -> None:
        super().__init__(root, tree_below(root), fields)

    def _item(self, file: str) -> Item:
        return str(self._root / file)

    def _content(self, file: str) -> bytes:
        path = self._root / file
        if not path.is_file():  # opened, a pipe would be waited for
            raise FileNotFoundError(errno.ENOENT, "no file", file)
        with path.open("rb") as opened:
            return _all_of(opened)


class RemoteFolderSource(ImageFiles):
    """All image files below an address, fetched several at a time; RequestError as `ImageFiles`."""

    _what = "folder"

    def __init__(self, root: Remote, fields: Fields = AS_IT_IS) -> None:
        self._place, self._found = root, root.files_below()
        super().__init__(root, without_leftovers(self._found), fields)

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
        labels = [None if label is None else self.class_names[label] for label in batch.labels]
        batch.versions = [
            f"{self._version_of(self._files[row])} {label}" for row, label in zip(rows, labels, strict=True)
        ]
        batch.fill = self._fetch
        return batch

    def _version_of(self, file: str) -> str:
        """Of an image, and of what lies elsewhere but belongs to it."""
        beside = [f"{file.rpartition('.')[0]}.txt"] if self._said.caption_files else []
        partners = [self._partners[file]] if self.paired else []
        return " ".join(self._found[each].version for each in (file, *partners, *beside) if each in self._found)

    def _fetch(self, batch: Batch) -> None:
        """Puts contents in the place of the names."""
        files = [str(item) for item in batch.items]
        with reading(self.name):
            for items in (batch.items, batch.partners):
                items[:] = self._contents([str(item) for item in items])
            if self._said.caption_files:
                self._fetch_captions(batch, files)

    def _add_captions(self, batch: Batch, rows: Sequence[int], files: list[str]) -> None:
        if self._said.captions is not None:
            super()._add_captions(batch, rows, files)

    def _fetch_captions(self, batch: Batch, files: Sequence[str]) -> None:
        from gan_models.data.decoding import BadImageError
        from gan_models.data.sources.annotations import caption_of

        texts = [f"{file.rpartition('.')[0]}.txt" for file in files]
        there = [text for text in texts if text in self._found]
        fetched = dict(zip(there, self._contents(there), strict=True))
        for position, text in enumerate(texts):
            content, caption = fetched.get(text), None
            try:
                caption = caption_of(content) if isinstance(content, bytes) else None
            except ValueError:
                content = BadImageError("not UTF-8")
            if isinstance(content, Exception):
                batch.items[position] = BadImageError(f"the text beside it cannot be read: {content}")
            batch.captions.append(caption)

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

    _above = ""
    """The folder that all of it lies in, where one was packed."""

    def __init__(self, path: Place, fields: Fields = AS_IT_IS) -> None:
        self._root = path
        try:
            members = self._archive.namelist()
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise RequestError(f"cannot read {path} as a zip: {error}") from error
        files, left_out = without_leftovers(dict.fromkeys(members))  # of equal names, the last is what is read
        tops = {_first(file) for file in files}
        if len(tops) == 1 and (top := tops.pop()) and top.lower() not in SPLIT_NAMES:
            self._above = f"{top}/"
        super().__init__(path, Tree([file.removeprefix(self._above) for file in files], left_out), fields)

    @cached_property
    def _archive(self) -> zipfile.ZipFile:
        return zipfile.ZipFile(source_bytes(self._root))

    def _item(self, file: str) -> Item:
        from gan_models.data.decoding import BadImageError

        try:
            if self._archive.getinfo(self._above + file).file_size > MEMBER_BYTES:
                return BadImageError(f"too large: more than {MEMBER_BYTES >> 20} MiB unpacked")
            return self._content(file)
        except (OSError, EOFError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
            return BadImageError(f"damaged in the zip: {' '.join(str(error).split())[:100]}")

    def _content(self, file: str) -> bytes:
        with self._archive.open(self._above + file) as member:
            return _all_of(member)


def _all_of(file: IO[bytes]) -> bytes:
    """OSError where it is more than `MEMBER_BYTES`, whatever a header says."""
    content = file.read(MEMBER_BYTES + 1)
    if len(content) > MEMBER_BYTES:
        raise OSError(errno.EFBIG, f"more than {MEMBER_BYTES >> 20} MiB")
    return content


@dataclass(frozen=True)
class _Layout:
    """What the folders at the top stand for."""

    splits: dict[str, str] = field(default_factory=dict)
    """Folder: split."""
    letters: dict[str, str] = field(default_factory=dict)
    """Folder: A or B, where names such as `trainA` say domain and split at once."""
    below: bool = False
    """Whether the splits lie in folders A and B, and not the other way round."""
    beside: frozenset[str] = frozenset()
    """Folders that are left out."""
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @classmethod
    def of(cls, root: Place, images: Sequence[str]) -> _Layout:
        """RequestError: splits without one for training."""
        top = {_first(file) for file in images} - {""}
        matches = {name: match for name in top if (match := DOMAIN_FOLDER.fullmatch(name))}
        letters = {name: match[2].upper() for name, match in matches.items()}
        splits = {name: SPLIT_NAMES[match[1].lower()] for name, match in matches.items()}
        trained = {letters[name] for name, split in splits.items() if split == "train"}
        if trained == {*PAIR}:
            said = f"{some(sorted(letters))} are two domains, A and B, with splits"
        elif (
            top == {*PAIR}
            and (inner := {_first(file.split("/", 1)[1]) for file in images if "/" in file})
            and all(name.lower() in SPLIT_NAMES for name in inner)
        ):
            return cls({name: SPLIT_NAMES[name.lower()] for name in inner}, below=True)
        else:
            letters, splits = {}, _split_folders(root, top)
            said = f"{' and '.join(sorted(splits))} are splits"
        beside = frozenset(top - set(splits)) if splits else frozenset()
        notes = (f"{said}; {', '.join(sorted(beside))} beside them is left out" if beside else said,)
        return cls(
            splits,
            letters,
            beside=beside,
            notes=notes if beside or letters else (),
            doubts=() if splits else tuple(_doubts_of_folders(top)),
        )

    def place(self, file: str) -> tuple[str | None, str]:
        """The split, and the path without the folder that says it; `A/...` or `B/...` where letters say domains."""
        top, _, inside = file.partition("/")
        if self.below:
            split, _, name = inside.partition("/")
            return self.splits[split], f"{top}/{name}"
        if not inside or top not in self.splits:
            return None, file
        return self.splits[top], f"{self.letters[top]}/{inside}" if self.letters else inside


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
    if pairs := sorted(name for name in top if DOMAIN_FOLDER.fullmatch(name)):
        yield (
            f"the folders {', '.join(pairs)} become classes: two domains with splits are trainA and trainB, testA and "
            "testB"
        )
    named = sorted(name for name in top if name.lower() in SPLIT_NAMES and name.lower() not in UNLABELLED)
    if named:
        yield f"the folder {', '.join(named)} beside others becomes a class: as a split it needs a second one beside it"


def _first(file: str) -> str:
    """The folder at the top of a relative path, or "" for a file beside the folders."""
    return file.split("/", 1)[0] if "/" in file else ""


class _Folder(PathKind):
    chooses = ("image", "label", "caption", "domain", "attributes")

    def recognises(self, path: Path) -> bool:
        return path.is_dir()

    def refusal(self, path: Place) -> str:
        return "" if path.is_dir() else f"{path} is a file; give the folder that holds the images"

    def open(self, name: SourceName) -> Source:
        place = self.existing(name)
        if isinstance(place, Remote):
            return RemoteFolderSource(place, name.fields)
        return FolderSource(place, name.fields)


class _Zip(PathKind):
    suffix = ".zip"
    chooses = ("image", "label", "caption", "domain", "attributes")

    def refusal(self, path: Place) -> str:
        return "" if path.is_file() else f"{path} is not a file; give one .zip file"

    def open(self, name: SourceName) -> Source:
        return ZipSource(self.existing(name), name.fields)


class _Parquet(PathKind):
    suffix = ".parquet"
    chooses = ("image", "label", "caption", "domain", "attributes")

    def recognises(self, path: Path) -> bool:
        return super().recognises(path) or (path.is_dir() and any(path.glob("*.parquet")))

    def version(self, name: SourceName) -> str:
        from gan_models.data.sources.parquet import version_beside

        path = self.existing(name)
        # Of a folder, all files below count as it is; of an address, what lies beside is not looked for.
        beside = version_beside(path, name.fields) if isinstance(path, Path) and path.is_file() else ""
        return super().version(name) + (f"-{beside}" if beside else "")

    def open(self, name: SourceName) -> Source:
        from gan_models.data.sources.parquet import ParquetSource

        return ParquetSource(self.existing(name), name.fields)


class _Npz(PathKind):
    suffix = ".npz"
    chooses = ("image", "label", "caption")

    def refusal(self, path: Place) -> str:
        return "" if path.is_file() else f"{path} is not a file; give one .npz file"

    def open(self, name: SourceName) -> Source:
        from gan_models.data.sources.npz import NpzSource

        return NpzSource(self.existing(name), name.fields)


FOLDER, ZIP, PARQUET, NPZ = _Folder(), _Zip(), _Parquet(), _Npz()
