"""Samples of shards, and folders packed by tar, by their indexes (`tar_index.py`)."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import PurePosixPath
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gan_models.data.decoding import BadImageError, Item
from gan_models.data.sources.base import AS_IT_IS, BATCH_BYTES, SPLIT_NAMES, Batch, Fields, Source, Tree, rows_within
from gan_models.data.sources.paths import MEMBER_BYTES, ImageFiles
from gan_models.data.sources.places import Place, at_once
from gan_models.data.sources.tar_index import TEXTS, index_of, opened
from gan_models.errors import RequestError

IMAGES = ("jpg", "jpeg", "png", "webp", "ppm", "pgm", "pbm", "bmp", "gif", "tif", "tiff", "img", "image", "heic", "dcm")
"""Fields that are images by their names."""
LABELS, CAPTIONS = ("cls", "label"), ("txt", "caption", "text")
IN_JSON = "json"
ROWS_AT_ONCE = 1 << 14
SPLIT = re.compile(rf"(?:.*[-_.])?({'|'.join(sorted(SPLIT_NAMES, key=len, reverse=True))})(?:[-_.].*)?", re.IGNORECASE)


def open_tar(
    shards: Sequence[Place],
    root: Place | None,
    asked: Fields = AS_IT_IS,
) -> Source:
    """Shards as a source; their indexes are made where there are none yet.

    Args:
        root: the folder that they were found in; None where they were named.
        asked: which of their fields hold images, labels and captions; of a packed folder, columns of its tables.

    Raises:
        RequestError: no shard can be read, there are no images, or not the fields that were named.
    """
    found = at_once(index_of, shards)
    damaged = [(str(shard), damage) for shard, (_, damage) in zip(shards, found, strict=True) if damage]
    indexes = [index for index, _ in found]
    if damaged and not any(map(len, indexes)):
        raise RequestError(f"cannot read {damaged[0][0]} as a tar: {damaged[0][1]}")
    chosen = {str(value) for option, value in asked.chosen().items() if option in ("image", "label", "caption")}
    of_samples = any(map(_has_samples, indexes)) or bool(chosen & _fields_of(indexes))
    if not of_samples and _are_distinct(indexes):
        return PackedFolder(shards, indexes, damaged, asked)
    if beyond := asked.chosen().keys() & {"domain", "attributes"}:
        raise RequestError(f"data.{min(beyond)}: samples of a tar have labels and captions; leave it out")
    return TarSource(shards, indexes, damaged, _splits_of(shards, root), (asked.image, asked.label, asked.caption))


def _fields_of(indexes: Sequence[pa.Table]) -> set[str]:
    return set(chain.from_iterable(pc.unique(index.column("field")).to_pylist() for index in indexes))


class TarSource(Source):
    """Samples of shards, in their order; memory holds 8 bytes for each, and the files of a batch.

    Args:
        indexes: of each shard.
        damaged: (shard, what is wrong) of those that end early.
        splits: of each shard, or None.
        fields: those of image, label and caption, as in `open_tar`.
    """

    def __init__(
        self,
        shards: Sequence[Place],
        indexes: Sequence[pa.Table],
        damaged: Sequence[tuple[str, str]],
        splits: Sequence[str | None],
        fields: tuple[str | None, str | None, str | None],
    ) -> None:
        self._shards, self._indexes, self._splits = shards, indexes, splits
        self._starts = [_starts(index) for index in indexes]
        self._counts = [len(starts) - 1 for starts in self._starts]
        self.total = sum(self._counts)
        self.ignored, self.notes, self.doubts = list(damaged), [], []
        present = _fields_of(indexes)
        place = str(shards[0])
        image, label, caption = fields
        images = [name for name in IMAGES if name in present] if image is None else [image]
        if not present.intersection(images):
            raise RequestError(
                f"{place} holds no images{f' in fields {image!r}' if image else ''}: the files of its samples are "
                f"{', '.join(f'.{name}' for name in sorted(present)[:12]) or 'none'}; data.image=NAME says which is one"
            )
        self._images = frozenset(images)
        in_json = self._in_json() if IN_JSON in present else set()
        self._label = _field("label", label, LABELS, present, in_json, place)
        self._caption = _field("caption", caption, CAPTIONS, present, in_json, place)
        self._read_labels()
        self.has_captions = bool(self._caption)
        self.given_splits = frozenset(filter(None, splits))
        self.split_counts = Counter()
        for split, count in zip(splits, self._counts, strict=True):
            if split:
                self.split_counts[split] += count
        if self.given_splits and "train" not in self.given_splits and all(splits):
            raise RequestError(
                f"{place}: there are {' and '.join(sorted(self.given_splits))} shards but none to train on"
            )
        self._say(present, in_json)

    def _in_json(self) -> set[str]:
        """The names in the first .json of each shard."""
        names: set[str] = set()
        for index in self._indexes:
            rows = index.filter(pc.equal(index.column("field"), IN_JSON)).slice(0, 1)
            for text in rows.column("text").to_pylist():
                names |= {f"{IN_JSON}.{name}" for name in _parsed(text)}
        return names

    def _read_labels(self) -> None:
        """Class names, and the label of each sample: int32 for each shard, -1 where there is none."""
        self._labels: list[np.ndarray] = []
        if not self._label:
            return
        known: dict[int | str, int] = {}  # the place of each value in the order in which they are found
        for index, count in zip(self._indexes, self._counts, strict=True):
            places = np.full(count, -1, np.int32)
            for rows in index.to_batches(max_chunksize=ROWS_AT_ONCE):
                rows = rows.filter(pc.equal(rows.column("field"), self._label.partition(".")[0]))
                values = [_value(text, self._label) for text in rows.column("text").to_pylist()]
                places[rows.column("sample").to_numpy()] = [
                    -1 if value is None else known.setdefault(value, len(known)) for value in values
                ]
            self._labels.append(places)
        meant = _meant(list(known))
        names = sorted({value for value in meant if value is not None}, key=lambda name: (isinstance(name, str), name))
        self.class_names = tuple(map(str, names))
        numbered = {name: number for number, name in enumerate(names)}
        labels = np.array([-1 if value is None else numbered[value] for value in meant] + [-1], np.int32)
        self._labels = [labels[places] for places in self._labels]

    def _say(self, present: set[str], in_json: set[str]) -> None:
        """What was understood, and what is left out."""
        for what, field in (("labels", self._label), ("captions", self._caption)):
            if field:
                self.notes = [*self.notes, f"{what} are those of {_shown(field)}"]
        read = {*self._images, self._label.partition(".")[0], self._caption.partition(".")[0]}
        left = [f".{name}" if name else "files without an ending" for name in sorted(present - read)]
        if any(field.startswith(f"{IN_JSON}.") for field in (self._label, self._caption)) or IN_JSON not in read:
            left += [_shown(name) for name in sorted(in_json - {self._label, self._caption})]
            left = [name for name in left if name != f".{IN_JSON}"]
        if left:
            self.doubts = [
                *self.doubts,
                f"of the samples {', '.join(left[:8])}{', ...' * (len(left) > 8)} are left out: data.image, data.label "
                "and data.caption choose fields",
            ]

    def batches(self, rows: Sequence[int] | None, items: int) -> Iterator[Batch]:
        wanted = np.arange(self.total) if rows is None else np.asarray(rows, np.int64)
        start = 0
        for shard, count in enumerate(self._counts):
            inside = rows_within(wanted, start, count)
            if len(inside):
                with opened(self._shards[shard]) as file:
                    for chosen in self._parts(shard, inside, min(items, self.most_items)):
                        yield self._batch(shard, file, chosen)
            start += count

    def _parts(self, shard: int, samples: np.ndarray, items: int) -> Iterator[np.ndarray]:
        """Of ascending samples, a few at a time: not more than `items`, and not much more than `BATCH_BYTES`."""
        sizes = np.diff(
            np.concatenate([[0], np.cumsum(self._indexes[shard].column("size").to_numpy())])[self._starts[shard]]
        )
        first = held = 0
        for place, sample in enumerate(samples):
            if place > first and (place - first == items or held + sizes[sample] > BATCH_BYTES):
                yield samples[first:place]
                first, held = place, 0
            held += sizes[sample]
        yield samples[first:]

    def _batch(self, shard: int, file: IO[bytes], samples: np.ndarray) -> Batch:
        known: list[Item] = []
        paths, captions = [], []
        starts = self._starts[shard]
        for sample in samples.tolist():
            files = self._indexes[shard].slice(starts[sample], starts[sample + 1] - starts[sample]).to_pylist()
            image = next((each for each in files if each["field"] in self._images), None)
            paths.append((image or files[0])["path"])
            known.append(_content(file, image) if image else BadImageError("its sample holds no image"))
            captions.append(_text(files, self._caption) if self._caption else None)
        name = self._shards[shard].name
        return Batch(
            items=known,
            paths=[f"{name}/{path}" for path in paths],
            labels=[label if label >= 0 else None for label in self._labels[shard][samples].tolist()]
            if self._labels
            else [None] * len(samples),
            splits=[self._splits[shard]] * len(samples),
            captions=captions if self._caption else [],
        )


class PackedFolder(ImageFiles):
    """Folders of images in a tar, as in a zip; RequestError as `ImageFiles`."""

    _what = "tar"

    def __init__(
        self,
        shards: Sequence[Place],
        indexes: Sequence[pa.Table],
        damaged: Sequence[tuple[str, str]],
        asked: Fields = AS_IT_IS,
    ) -> None:
        self._shards = shards
        self._where = {
            path: (shard, row)
            for shard, index in enumerate(indexes)
            for row, path in enumerate(index.column("path").to_pylist())
        }
        self._indexes = indexes
        self._open = ExitStack()
        self._files_of: dict[int, IO[bytes]] = {}
        super().__init__(shards[0], Tree(sorted(self._where), list(damaged)), asked)

    def _item(self, file: str) -> Item:
        shard, row = self._where[file]
        return _content(self._file(shard), self._indexes[shard].slice(row, 1).to_pylist()[0])

    def _content(self, file: str) -> bytes:
        content = self._item(file)
        if isinstance(content, bytes):
            return content
        raise OSError(str(content))

    def _file(self, shard: int) -> IO[bytes]:
        """A shard, opened; one at a time."""
        if shard not in self._files_of:
            self._open.close()
            self._files_of = {shard: self._open.enter_context(opened(self._shards[shard]))}
        return self._files_of[shard]


def _content(file: IO[bytes], row: dict[str, Any]) -> Item:
    if row["size"] > MEMBER_BYTES:
        return BadImageError(f"too large: more than {MEMBER_BYTES >> 20} MiB")
    file.seek(row["offset"])
    content = file.read(row["size"])
    return content if len(content) == row["size"] else BadImageError("damaged: the tar ends in it")


def _starts(index: pa.Table) -> np.ndarray:
    """int64 [N + 1]: the first row of each sample, and the end."""
    samples = index.column("sample").to_numpy()
    return np.concatenate([np.flatnonzero(np.diff(samples, prepend=-1)), [len(samples)]])


def _has_samples(index: pa.Table) -> bool:
    """Whether something is said of an image in files beside it that only samples have."""
    fields = set(pc.unique(index.column("field")).to_pylist())
    return bool(fields.intersection((*LABELS, IN_JSON))) and len(index) > len(_starts(index)) - 1


def _are_distinct(indexes: Sequence[pa.Table]) -> bool:
    """Whether no two files have one path: shards may each count from 0."""
    paths = pa.chunked_array([chunk for index in indexes for chunk in index.column("path").chunks], pa.string())
    return bool(pc.count_distinct(paths).as_py() == len(paths))


def _splits_of(shards: Sequence[Place], root: Place | None) -> list[str | None]:
    """The split of each shard, by its name or that of a folder; none where all that were named are of one."""
    splits = [_split_of(_parts_of(shard, root)) for shard in shards]
    return splits if root is not None or len(set(splits)) > 1 else [None] * len(splits)


def _parts_of(shard: Place, root: Place | None) -> Sequence[str]:
    if root is None:
        return (shard.name,)
    return PurePosixPath(str(shard)).relative_to(str(root)).parts


def _split_of(parts: Sequence[str]) -> str | None:
    for part in (parts[-1].partition(".")[0], *reversed(parts[:-1])):
        if match := SPLIT.fullmatch(part):
            return SPLIT_NAMES[match[1].lower()]
    return None


def _field(
    option: str, chosen: str | None, usual: Sequence[str], present: set[str], in_json: set[str], place: str
) -> str:
    """The field that is read for an option, `json.NAME` for one in .json; "" for none."""
    if chosen == "none":
        return ""
    able = [*(name for name in present), *in_json]
    if chosen is None:
        names = (*usual, *(f"{IN_JSON}.{name}" for name in (*usual, "class")))
        return next((name for name in names if name in able and name not in IMAGES), "")
    for name in (chosen, f"{IN_JSON}.{chosen}"):
        if name in able and (name in TEXTS or name in in_json):
            return name
    raise RequestError(
        f"data.{option}={chosen!r}: the samples of {place} have no such field of text: they have "
        f"{', '.join(sorted({*(name for name in present if name in TEXTS), *in_json})) or 'none'}"
    )


def _shown(field: str) -> str:
    name, _, inside = field.partition(".")
    return f"{inside!r} in .{name}" if inside else f".{name}"


def _value(text: bytes | None, field: str) -> int | str | None:
    """What a label's file says."""
    inside = field.partition(".")[2]
    value = _parsed(text).get(inside) if inside else (text or b"").decode(errors="replace").strip()
    return value if isinstance(value, int | str) and value != "" else None


def _meant(values: Sequence[int | str]) -> list[int | str | None]:
    """Labels: numbers where all are such, and None for negative ones, the way to say "none"; else texts."""
    numbers = [_number(value) for value in values]
    if None in numbers:
        return [str(value) for value in values]
    return [number if number is not None and number >= 0 else None for number in numbers]


def _number(value: int | str | None) -> int | None:
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"[+-]?\d{1,18}", value) else None
    return value


def _parsed(text: bytes | None) -> dict[str, Any]:
    """What a .json says; empty where it is none."""
    try:
        content = json.loads(text or b"")
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _text(files: Sequence[dict[str, Any]], field: str) -> str | None:
    name, _, inside = field.partition(".")
    text = next((each["text"] for each in files if each["field"] == name), None)
    if not inside:
        return None if text is None else str(text.decode(errors="replace")).strip()
    value = _parsed(text).get(inside)
    return value if isinstance(value, str) else None
