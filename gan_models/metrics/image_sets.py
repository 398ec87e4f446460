"""Images to be judged, or to be judged against, wherever they lie: read a few at a time, at their own size.

A set is named as people name it: a folder, zip, Parquet file, npz, a prepared data set, a generator, a run's work
directory, or a data source by its name. Stored images are read twice: once to know what is there (which can be read,
sizes, colours, a digest of each), and once to extract features, where those are not in the cache. So no figure is ever
taken from the cache for images that have changed, and what does not fit together is refused before hours of extraction.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from gan_models.data.decoding import BadImageError, Item, reason_of, whole_image
from gan_models.data.preparing.decode_pool import available_cores
from gan_models.data.preparing.inspection import look_at, range_notes, ranges_of, unknown_range
from gan_models.data.ranges import Ranges
from gan_models.data.sources import SOURCES, parse_source
from gan_models.data.sources.base import Batch, Source, reading, rows_within
from gan_models.data.sources.places import is_address
from gan_models.data.table_file import SPLITS, TABLE_FILE, TableFile, TableMetadata, in_eight, is_table
from gan_models.errors import RequestError, RunError, home_path
from gan_models.files import INFO_FILE
from gan_models.metrics.extraction import Bars, silent
from gan_models.recipes.schema import Data
from gan_models.sampling.draws import Draws
from gan_models.sampling.generator import LoadedGenerator, load_generator
from gan_models.sampling.locating import last_generator

WHOLE = "all"
"""What the split of a set without splits is called."""
DIGEST_BYTES = 16
_RESULTS = "results"  # of a work directory
_ITEMS = 64

Pixels = np.ndarray  # uint8 [H, W, C]


class Looks(NamedTuple):
    """What is known of each of the N images of a set that can be read, and of the others."""

    rows: np.ndarray
    """int64 [N]: their places in the source."""
    digests: np.ndarray
    """uint8 [N, 16]: equal where size and pixels are, and a grey image equals the same one in three channels."""
    labels: np.ndarray
    """int64 [N], -1 for none."""
    splits: list[str]
    sizes: dict[tuple[int, int], str]
    """(H, W) that there are, each with the path of the first image."""
    colour: bool
    """Whether there are colours in any."""
    deep: bool
    """Whether any has three channels, colours or not."""
    bad: list[tuple[str, str]]
    """(path, reason) of what cannot be used."""


class ImageSet(ABC):
    """Images of one place."""

    name: str
    """As the user wrote it."""
    class_names: tuple[str, ...] = ()
    count: int
    """Images that can be used."""
    labels: np.ndarray | None = None
    """int64 [count], -1 for none; None where there are no classes."""
    asked: bool = False
    """The labels are what a generator was asked for."""
    drawn: bool = False
    """Made when they are read."""
    notes: Sequence[str] = ()
    digests: np.ndarray
    """As in `Looks`, or empty where images are not known before they are read."""

    @property
    @abstractmethod
    def colour(self) -> bool: ...

    @property
    @abstractmethod
    def channels(self) -> int:
        """1 where every image has one channel, else 3."""

    @property
    @abstractmethod
    def sizes(self) -> dict[tuple[int, int], str]: ...

    @abstractmethod
    def read(self, rows: np.ndarray, channels: int) -> Iterator[np.ndarray]:
        """Images at ascending `rows`, uint8 [B, H, W, channels] of one size each; small batches, in order."""

    def rows_of(self, split: str) -> np.ndarray:
        """int64: the images of a split."""
        return np.arange(self.count)

    @property
    def splits(self) -> dict[str, int]:
        """Images by split."""
        return {WHOLE: self.count}


class StoredImages(ImageSet):
    """Those of a data source.

    Raises:
        RequestError: none can be used, or too many cannot.
    """

    def __init__(self, name: str, source: Source, bars: Bars = silent, fingerprint: str = "") -> None:
        self.name, self._source = name, source
        looks = look_at(source)
        if sentence := unknown_range(looks):
            raise RequestError(f"{name}: {sentence.partition(': set ')[0]}: scale them to 8 bits first")
        self._ranges = ranges_of(looks)
        self._fingerprint = fingerprint
        self.class_names = source.class_names
        with ThreadPoolExecutor(available_cores()) as threads:
            self.looks = self._look(threads, bars)
        self.count = len(self.looks.rows)
        self.digests = self.looks.digests
        self.labels = self.looks.labels if self.class_names else None
        self._refuse_bad()
        said = [f"{name}: {sentence}; metrics see 8 bits" for sentence in range_notes(looks, Data())]
        self.notes = [*source.notes, *source.doubts, *said, *self._notes()]

    def _look(self, threads: ThreadPoolExecutor, bars: Bars) -> Looks:
        rows: list[int] = []
        digests = bytearray()
        labels: list[int] = []
        splits: list[str] = []
        sizes: dict[tuple[int, int], str] = {}
        bad: list[tuple[str, str]] = []
        colour = deep = False
        place = 0
        with bars(f"reading {self.name}", self._source.total) as bar, reading(self.name):
            for batch in self._source.batches(None, _ITEMS):
                for position, found in enumerate(threads.map(self._look_at, _items(batch))):
                    if isinstance(found, str):
                        bad.append((batch.paths[position], found))
                        continue
                    size, digest, coloured, three = found
                    rows.append(place + position)
                    digests += digest
                    label = batch.labels[position]
                    labels.append(-1 if label is None else label)
                    splits.append(batch.splits[position] or WHOLE)
                    sizes.setdefault(size, batch.paths[position])
                    colour, deep = colour or coloured, deep or three
                place += len(batch)
                bar.advance(len(batch))
        table = np.frombuffer(bytes(digests), np.uint8).reshape(-1, DIGEST_BYTES)
        return Looks(np.array(rows, np.int64), table, np.array(labels, np.int64), splits, sizes, colour, deep, bad)

    def _look_at(self, item: Item) -> tuple[tuple[int, int], bytes, bool, bool] | str:
        """Size, digest, whether it has colours, and three channels; or the reason why it cannot be used."""
        try:
            pixels = _pixels(item, self._ranges)
        except Exception as error:  # decoders raise nearly anything on damaged input
            return reason_of(error)
        three = pixels.shape[2] == 3
        coloured = three and not _is_grey(pixels)
        return pixels.shape[:2], digest_of(pixels), coloured, three

    def _refuse_bad(self) -> None:
        bad, total = self.looks.bad, self._source.total
        if not bad:
            return
        first = f"the first: {bad[0][0]} ({bad[0][1]})"
        allowed = Data().max_bad_share
        if not self.count or len(bad) / total > allowed:
            raise RequestError(
                f"{len(bad)} of {total} images of {self.name} cannot be used ({len(bad) / total:.1%}, at most "
                f"{allowed:.0%} may be left out), {first}; mend or remove them"
            )

    def _notes(self) -> Iterator[str]:
        if bad := self.looks.bad:
            yield (
                f"{len(bad)} of {self._source.total} images of {self.name} cannot be used and are left out, the first: "
                f"{bad[0][0]} ({bad[0][1]})."
            )

    @property
    def colour(self) -> bool:
        return self.looks.colour

    @property
    def channels(self) -> int:
        return 3 if self.looks.deep else 1

    @property
    def sizes(self) -> dict[tuple[int, int], str]:
        return self.looks.sizes

    @cached_property
    def splits(self) -> dict[str, int]:
        found = self.looks.splits
        return {split: found.count(split) for split in (*SPLITS, WHOLE) if split in found}

    def rows_of(self, split: str) -> np.ndarray:
        if split == WHOLE:
            return np.arange(self.count)
        return np.flatnonzero(np.array(self.looks.splits) == split)

    @cached_property
    def fingerprint(self) -> str:
        """Of all images, their classes and splits, in order; a prepared data set has its own."""
        if self._fingerprint:
            return self._fingerprint
        whole = hashlib.sha256(self.digests.tobytes())
        for part in (repr(self.class_names), self.looks.labels.tobytes(), ",".join(self.looks.splits)):
            whole.update(part if isinstance(part, bytes) else part.encode())
        return whole.hexdigest()

    def read(self, rows: np.ndarray, channels: int) -> Iterator[np.ndarray]:
        places = self.looks.rows[rows]
        done = 0
        with ThreadPoolExecutor(available_cores()) as threads, reading(self.name):
            for batch in self._source.batches(places.tolist(), _ITEMS):
                run: list[Pixels] = []
                for pixels in threads.map(self._again, _items(batch)):
                    if digest_of(pixels) != self.digests[rows[done]].tobytes():
                        raise RunError(f"{self.name} changed while it was read: leave it alone, and start again")
                    done += 1
                    pixels = np.broadcast_to(pixels, (*pixels.shape[:2], max(channels, pixels.shape[2])))
                    if run and run[0].shape != pixels.shape:
                        yield np.stack(run)
                        run = []
                    run.append(pixels)
                if run:
                    yield np.stack(run)

    def _again(self, item: Item) -> Pixels:
        try:
            return _pixels(item, self._ranges)
        except Exception as error:
            raise RunError(f"{self.name} changed while it was read ({reason_of(error)}): start again") from error


class DrawnImages(ImageSet):
    """Those that a generator draws, image i from seed and i alone; latents are held, images never all.

    Args:
        labels: the classes asked for, int64 [num]; default: all in turn.
    """

    drawn = True

    def __init__(self, name: str, generator: LoadedGenerator, num: int, seed: int) -> None:
        self.name, self.generator, self.seed = name, generator, seed
        module = generator.module
        self.count = num
        if module.needs_examples:
            examples = generator.examples
            if examples is None:
                raise RequestError(f"{name} makes images from real ones, and none came with it: export it again")
            self.count = min(num, module.distinct(len(examples)) or num)
        if generator.info.collapsed:
            self.notes = [f"The training marked {name} as collapsed."]
        self.class_names = generator.info.class_names if module.num_classes else ()
        self.asked = bool(self.class_names)
        self.digests = np.empty((0, DIGEST_BYTES), np.uint8)
        self._asked_for: torch.Tensor | None = None

    def ask_for(self, labels: torch.Tensor) -> None:
        """Draws these classes, int64 [count]."""
        self._asked_for = labels

    @cached_property
    def _inputs(self) -> dict[str, torch.Tensor]:
        generator = self.generator
        examples = generator.examples if generator.module.needs_examples else None
        try:
            inputs = generator.module.draw_inputs(
                Draws(self.seed, self.count), labels=self._asked_for, examples=examples
            )
        except ValueError as error:
            raise RequestError(f"{self.name}: {error}") from None
        if self.class_names and "labels" in inputs:
            self.labels = inputs["labels"].numpy()
        return dict(inputs)

    @property
    def colour(self) -> bool:
        return self.channels >= 3

    @property
    def channels(self) -> int:
        return self.generator.info.image_shape[0]

    @property
    def sizes(self) -> dict[tuple[int, int], str]:
        _, height, width = self.generator.info.image_shape
        return {(height, width): self.name}

    def read(self, rows: np.ndarray, channels: int) -> Iterator[np.ndarray]:
        for start in range(0, len(rows), _ITEMS):
            chosen = torch.from_numpy(rows[start : start + _ITEMS])
            part = {name: tensor[chosen] for name, tensor in self._inputs.items()}
            images = self.generator.synthesize(part).images.numpy()
            yield np.broadcast_to(images, (*images.shape[:3], max(channels, images.shape[3])))


class TableSource(Source):
    """The rows of a prepared data set, as a source."""

    def __init__(self, folder: Path) -> None:
        self._table = TableFile(folder)
        self.metadata = self._table.metadata
        self.total = self.metadata.images
        self.class_names = self.metadata.class_names
        self.given_splits = frozenset(self.metadata.splits)
        self.split_counts = self.metadata.splits
        if self.metadata.depth > 8:
            self.notes = [f"images are stored in {self.metadata.depth} bits, of which metrics see the first 8"]

    def batches(self, rows: Sequence[int] | None, items: int) -> Iterator[Batch]:
        wanted = None if rows is None else np.asarray(rows, np.int64)
        metadata, start = self.metadata, 0
        shape = (metadata.height, metadata.width, metadata.channels)
        for shard in self._table.shards():
            count = len(shard)
            inside = np.arange(count) if wanted is None else rows_within(wanted, start, count)
            start += count
            splits = [split for split, number in shard.entry.rows.items() for _ in range(number)]
            for first in range(0, len(inside), items):
                chosen = inside[first : first + items]
                images = np.empty((len(chosen), metadata.row_bytes), np.uint8)
                shard.read("pixels", chosen, images)
                images = in_eight(images.view(metadata.kind))
                labels = shard.labels[chosen].tolist()
                yield Batch(
                    items=[
                        Image.fromarray(each[..., 0] if shape[2] == 1 else each) for each in images.reshape(-1, *shape)
                    ],
                    paths=shard.texts("path").take(chosen).to_pylist(),
                    labels=[None if label < 0 else label for label in labels],
                    splits=[splits[row] for row in chosen],
                )


def open_images(place: str | Path, *, num: int, seed: int, device: torch.device, bars: Bars = silent) -> ImageSet:
    """What a user names.

    Args:
        place: a path or address, or a data source by its name.
        num: images that a generator draws.
        seed: of them.

    Raises:
        RequestError: there is nothing, or nothing that holds images; says what there could be.
    """
    text = str(place)
    kind, colon, _ = text.partition(":")
    if isinstance(place, str) and (is_address(place) or (kind in SOURCES and (colon or not SOURCES[kind].rest))):
        return StoredImages(text, parse_source(text).open(), bars)
    path = home_path(place)
    if not path.exists():
        if isinstance(place, str) and not {"/", "."}.intersection(text):
            parse_source(text)  # knows the nearest right spelling
        raise RequestError(
            f"there is nothing at {path.absolute()}: give a folder, zip, Parquet file or npz of images, a prepared "
            "data set, a generator or a run's work directory"
        )
    if path.is_dir():
        if generator := _holding(path, INFO_FILE):
            return DrawnImages(text, load_generator(generator, device), num, seed)
        if kept := last_generator(path):
            return DrawnImages(text, load_generator(kept, device), num, seed)
        if table := _holding(path, TABLE_FILE):
            return table_images(text, table, bars)
    recognised = next((name for name in reversed(list(SOURCES)) if SOURCES[name].recognises(path)), "")
    if not recognised:
        raise RequestError(f"{path} is no folder, zip, Parquet file or npz of images")
    return StoredImages(text, parse_source(f"{recognised}:{path}").open(), bars)


def open_reference(place: str | Path, *, num: int, seed: int, device: torch.device, bars: Bars = silent) -> ImageSet:
    """As `open_images`, but of a work directory the data set that it holds."""
    path = home_path(place)
    with suppress(OSError):
        if path.is_dir() and not (path / INFO_FILE).is_file() and (table := _holding(path, TABLE_FILE)):
            return table_images(str(place), table, bars)
    return open_images(place, num=num, seed=seed, device=device, bars=bars)


def table_images(name: str, folder: Path, bars: Bars) -> StoredImages:
    """The images of a prepared data set."""
    source = TableSource(folder)
    source.name = name
    return StoredImages(name, source, bars, source.metadata.fingerprint)


def _holding(folder: Path, file: str) -> Path | None:
    """The folder itself, or the first result of the work directory that it is, that holds a file; None where none."""
    inside = sorted((folder / _RESULTS).glob("*/")) if (folder / _RESULTS).is_dir() else []
    return next((place for place in (folder, *reversed(inside)) if _is_ours(place / file)), None)


def _is_ours(path: Path) -> bool:
    """Whether it is there; of a manifest, whether it is that of a prepared data set and not any file of that name."""
    return is_table(path.parent) if path.name == TABLE_FILE else path.is_file()


def digest_of(pixels: Pixels) -> bytes:
    """Equal for images of equal size and pixels; of a grey one as of the same in three channels."""
    if _is_grey(pixels):
        pixels = pixels[:, :, :1]
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=DIGEST_BYTES)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()


def described(images: ImageSet, height: int, width: int, channels: int) -> TableMetadata:
    """A set as if it were a prepared data set whose images are all to train on: what extractors are chosen by."""
    named = images.class_names or ("",)
    labels = np.full(images.count, -1) if images.labels is None else images.labels
    counts = np.bincount(labels[labels >= 0], minlength=len(named)) if images.class_names else [images.count]
    return TableMetadata(
        height=height,
        width=width,
        channels=channels,
        class_names=images.class_names,
        counts={"train": dict(zip(named, map(int, counts), strict=True))},
        fingerprint="",
        source=images.name,
        options={},
    )


def _items(batch: Batch) -> list[Item]:
    if batch.fill is not None:
        batch.fill(batch)
    return batch.items


def _pixels(item: Item, ranges: Ranges) -> Pixels:
    whole = whole_image(item, ranges)
    pixels = np.asarray(whole)
    if not pixels.size:
        raise BadImageError("it has no pixels")
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _is_grey(pixels: Pixels) -> bool:
    """Whether all channels are the same."""
    return pixels.shape[2] == 1 or bool((pixels == pixels[:, :, :1]).all())
