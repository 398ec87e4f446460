"""Reading an image table for training: splits in memory or mapped, shuffled batches, the one normalisation.

Shapes: N images, B images in a batch, H height, W width, C channels (1 or 3).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from gan_models.data.captions import Vocabulary
from gan_models.data.decoding import Decoded, Item, Target, decode_batch
from gan_models.data.kept_shards import fetch, fetched
from gan_models.data.permutation import permuted
from gan_models.data.preparing.decode_pool import DecodePool, available_cores
from gan_models.data.sources.base import Batch
from gan_models.data.table_file import (
    Compressed,
    Shard,
    TableFile,
    TableMetadata,
    decode_rows,
    fixed_rows,
    numbers_of,
    read_metadata,
    row_digests,
)
from gan_models.errors import RequestError
from gan_models.memory import local_processes, room_for_data

__all__ = [
    "AnySplit",
    "DomainSampler",
    "EpochSampler",
    "ImageTable",
    "MappedRows",
    "MappedSplit",
    "Split",
    "TableMetadata",
    "to_float",
    "to_uint8",
]

LISTED = 1 << 26
"""Images up to which an epoch's order is drawn as a list: 512 MiB. It stays as it is: trainings go on bit for bit."""
DECODED_TOGETHER = 4096
FEW = 8
"""Images that are not worth another process."""
_APART = 0x9E3779B9  # between the seeds of two domains


def to_float(images: Tensor) -> Tensor:
    """uint8 (or uint16) [N, H, W, C] -> float32 [N, C, H, W] in [-1, 1], a channels_last view of the same layout."""
    return images.permute(0, 3, 1, 2).to(torch.float32).div_(_white(images.dtype) / 2).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """float [N, C, H, W] in [-1, 1] -> uint8 [N, H, W, C], rounded and clamped: the inverse of `to_float`."""
    scaled = images.detach().permute(0, 2, 3, 1).to(torch.float32).add(1.0).mul_(127.5)
    return scaled.round_().clamp_(0, 255).to(torch.uint8).contiguous()


def opaque(images: Tensor) -> Tensor:
    """Images [N, H, W, 4] as they look on white, [N, H, W, 3] of the same type, from 0 to 255; others as they are."""
    if images.shape[3] != 4:
        return images
    colours, opacity = images[..., :3].float(), images[..., 3:].float() / 255.0
    seen = 255.0 + (colours - 255.0) * opacity
    return seen if images.is_floating_point() else seen.round_().to(images.dtype)


def to_uint16(images: Tensor) -> Tensor:
    """The same as uint16: the inverse of `to_float` of such."""
    scaled = images.detach().permute(0, 2, 3, 1).to(torch.float32).add(1.0).mul_(_white(torch.uint16) / 2)
    return scaled.round_().clamp_(0, _white(torch.uint16)).to(torch.int32).to(torch.uint16).contiguous()


def in_eight_bits(images: Tensor) -> Tensor:
    """uint16 [N, H, W, C] as uint8, rounded, as metrics and pictures see them; others as they are."""
    return images.float().div_(257.0).round_().to(torch.uint8) if images.dtype == torch.uint16 else images


def taken(column: Tensor | MappedRows, index: Tensor) -> Tensor:
    """Rows of a column at `index` int64 [N]; of uint16 by way of int16, which every device can index."""
    if isinstance(column, Tensor) and column.dtype == torch.uint16:
        return column.view(torch.int16)[index].view(torch.uint16)
    return column[index]


def _white(kind: torch.dtype) -> int:
    return 65535 if kind == torch.uint16 else 255


@dataclass(frozen=True)
class Split:
    """The images of one split, loaded."""

    images: Tensor
    """uint8 [N, H, W, C], contiguous, on the device asked for; uint16 in training on images of that depth."""
    labels: Tensor | None
    """int64 [N] on the same device, -1 for none; or None when the data carries no labels."""
    paths: Sequence[str]
    """Where each image came from."""
    domains: Tensor | None = None
    """int64 [N], positions in `TableMetadata.domain_names`, or None where the data has no domains."""
    captions: Tensor | None = None
    """int64 [N, L], word numbers from 1 to the number of words and 0 after the end (`gan_models.data.captions`), L that
    of the split's longest caption; or None where the training captions hold no word."""
    attributes: Tensor | None = None
    """uint8 [N, A], 1 where an image has the attribute of `TableMetadata.attribute_names`; None where nothing is said
    of such."""
    partners: Tensor | None = None
    """uint8 [N, H, W, C], the image that each is to be made from; None where the data has no pairs."""
    embeddings: Tensor | None = None
    """float32 [N, n, E], n vectors of E numbers that stand for each image's texts; or None where the data has none."""

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, index: Tensor) -> Split:
        """The images at `index` int64 [N], with what they carry."""
        index = index.to(self.images.device)
        columns = {name: taken(column, index) for name, column in vars(self).items() if isinstance(column, Tensor)}
        return replace(self, paths=[self.paths[row] for row in index.tolist()], **columns)

    def labelled(self) -> Split:
        """Those of its images that have a label."""
        if self.labels is None or bool((self.labels >= 0).all()):
            return self
        return self.rows(torch.nonzero(self.labels >= 0)[:, 0])

    def first(self, count: int) -> Split:
        """The first `count` images, or all."""
        return self.rows(torch.arange(min(count, len(self))))


@dataclass(frozen=True)
class MappedSplit:
    """A split whose images stay on the disk until they are asked for: as `Split`, in the same order."""

    images: MappedRows
    labels: Tensor | None
    paths: Sequence[str]
    domains: Tensor | None = None
    captions: Tensor | None = None
    attributes: Tensor | None = None
    partners: MappedRows | None = None
    embeddings: MappedRows | None = None

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, index: Tensor) -> Split:
        """The images at `index` int64 [N], with what they carry, loaded."""
        index = index.to(self.images.device)
        found = {name: column[index] for name, column in vars(self).items() if isinstance(column, Tensor | MappedRows)}
        loaded = {"labels": None, **found}
        return Split(paths=[self.paths[row] for row in index.tolist()], **loaded)  # type: ignore[arg-type]

    def labelled(self) -> AnySplit:
        """Those of its images that have a label: itself, or where some have none the others, loaded."""
        if self.labels is None or bool((self.labels >= 0).all()):
            return self
        return self.rows(torch.nonzero(self.labels >= 0)[:, 0])

    def first(self, count: int) -> Split:
        """The first `count` images, or all, loaded."""
        return self.rows(torch.arange(min(count, len(self))))


AnySplit = Split | MappedSplit


class MappedRows:
    """A large column of a split, uint8 [N, H, W, C] or float32 [N, n, E]; indexed like a tensor, it gives tensors."""

    def __init__(
        self,
        column: str,
        split: str,
        shards: Sequence[Shard],
        metadata: TableMetadata,
        shape: tuple[int, ...],
        kind: torch.dtype,
        device: torch.device,
        *,
        shortened: bool = False,
    ) -> None:
        self._column = column
        self._kind, self._shortened = kind, shortened
        self._shards = shards
        self._metadata = metadata
        self._is_encoded = column in metadata.encoded
        self._places = [shard.entry.place(split) for shard in shards]
        self._starts = [0, *accumulate(place.stop - place.start for place in self._places)]
        self._seen = np.zeros(self._starts[-1], bool)  # rows that were checked
        self.shape = (self._starts[-1], *shape)
        self.dtype = torch.uint8 if shortened else kind
        self.device = device

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Tensor | Sequence[int] | slice | int) -> Tensor:
        """Rows of it, on the device."""
        if isinstance(index, int):
            return self[[index]][0]
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            whole = step == 1 and not self._is_encoded
            found = self._span(start, max(start, stop)) if whole else self._read(np.arange(start, stop, step))
        else:
            found = self._read(np.asarray(index.cpu() if isinstance(index, Tensor) else index, np.int64))
        rows = torch.from_numpy(found).view(self._kind).view(-1, *self.shape[1:])
        return (in_eight_bits(rows) if self._shortened else rows).to(self.device)

    def parts(self, rows: int) -> Iterator[Tensor]:
        """All of it, so many rows at a time."""
        for start in range(0, len(self), rows):
            yield self[start : start + rows]

    @property
    def _width(self) -> int:
        return self._shards[0].fixed(self._column).shape[1]

    def _decoded(self, rows: np.ndarray) -> np.ndarray:
        """uint8 [n, width] of rows that have to be decoded, some thousand at a time."""
        found = np.empty((len(rows), self._metadata.row_bytes), np.uint8)
        for start in range(0, len(rows), DECODED_TOGETHER):
            part = rows[start : start + DECODED_TOGETHER]
            decode_rows(self._compressed(part), self._metadata, found[start : start + len(part)], decode_on_all_cores)
        return found

    def _compressed(self, rows: np.ndarray) -> Compressed:
        whose = np.searchsorted(self._starts, rows, "right") - 1
        parts = []
        for number, row in zip(whose.tolist(), rows.tolist(), strict=True):
            inside = row - self._starts[number] + self._places[number].start
            parts.append(self._shards[number].compressed(self._column, np.array([inside])))
        items, hashes, files = zip(*parts, strict=True)
        return Compressed([*chain(*items)], np.concatenate(hashes), [*chain(*files)])

    def _span(self, start: int, stop: int) -> np.ndarray:
        """uint8 [n, width] of the rows from `start` on."""
        found = np.empty((stop - start, self._width), np.uint8)
        for shard, place, begin in zip(self._shards, self._places, self._starts[:-1], strict=True):
            first, after = max(start, begin), min(stop, begin + place.stop - place.start)
            if first < after:
                inside = slice(place.start + first - begin, place.start + after - begin)
                shard.read(self._column, inside, found[first - start : after - start])
        return found

    def _read(self, rows: np.ndarray) -> np.ndarray:
        """uint8 [n, width] of rows in any order, each shard's together."""
        if self._is_encoded:
            return self._decoded(rows)
        found = np.empty((len(rows), self._width), np.uint8)
        for shard, which, inside in self._of_shards(rows):
            found[which] = shard.fixed(self._column)[inside]
        new = np.flatnonzero(~self._seen[rows])
        if len(new):  # all rows of a batch at once: by shards it would take longer than copying them
            hashes = row_digests(found, new)
            for shard, which, inside in self._of_shards(rows[new]):
                shard.check(self._column, inside, hashes[which])
            self._seen[rows] = True
        return found

    def _of_shards(self, rows: np.ndarray) -> Iterator[tuple[Shard, np.ndarray, np.ndarray]]:
        """Each shard that holds some of the rows, which of them these are, and where they lie in it."""
        whose = np.searchsorted(self._starts, rows, "right") - 1
        order = np.argsort(whose, kind="stable")
        bounds = [*np.flatnonzero(np.diff(whose[order], prepend=-1)).tolist(), len(rows)]
        for first, after in pairwise(bounds):
            which = order[first:after]
            number = int(whose[which[0]])
            yield self._shards[number], which, rows[which] + (self._places[number].start - self._starts[number])


def decode_on_all_cores(items: Sequence[Item], target: Target) -> Decoded:
    """As `decode_batch`, a part on each of the cores that this process of a training has."""
    seats = max(1, available_cores() // local_processes())
    if len(items) < FEW or seats == 1:
        return decode_batch(items, target)
    size = -(-len(items) // (2 * seats))
    parts = [[*items[start : start + size]] for start in range(0, len(items), size)]
    batches = [Batch(part, [""] * len(part), [None] * len(part), [None] * len(part)) for part in parts]
    starts = accumulate(map(len, parts), initial=0)
    whole = Decoded()
    for start, (_, decoded) in zip(starts, _pool(target, seats).decode(batches), strict=False):
        whole.pixels += decoded.pixels
        whole.digests += decoded.digests
        whole.reasons += [(start + position, reason) for position, reason in decoded.reasons]
    return whole


@cache
def _pool(target: Target, seats: int) -> DecodePool:
    """Of this process, for as long as it lives."""
    return DecodePool(target, seats)


class MappedTexts(Sequence[str]):
    """A column of texts of a split, which stay where they are."""

    def __init__(self, parts: Sequence[pa.StringArray]) -> None:
        self._parts = parts
        self._starts = [0, *accumulate(map(len, parts))]

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        row = range(len(self))[index]
        part = bisect_right(self._starts, row) - 1
        return str(self._parts[part][row - self._starts[part]])

    def __iter__(self) -> Iterator[str]:
        for part in self._parts:
            yield from part.to_pylist()


@dataclass(frozen=True)
class ImageTable:
    """A prepared data set: what `prepare_data` left in a folder."""

    folder: Path
    metadata: TableMetadata

    @classmethod
    def open(cls, folder: Path) -> ImageTable:
        """Of a dataset folder; only metadata is read. RequestError where there is no table, or a damaged one."""
        return cls(Path(folder), read_metadata(folder))

    def split(self, name: str, device: torch.device | str = "cpu") -> Split:
        """One split as one uint8 tensor on `device`; RequestError where it is empty or unknown, or damaged."""
        return self._loaded(self._mapped(name, device, shortened=True))

    @staticmethod
    def _loaded(mapped: MappedSplit) -> Split:
        whole = {
            column: None if rows is None else rows[:]
            for column, rows in (("partners", mapped.partners), ("embeddings", mapped.embeddings))
        }
        small = {column: getattr(mapped, column) for column in ("labels", "domains", "captions", "attributes")}
        return Split(mapped.images[:], paths=mapped.paths, **small, **whole)

    def fitting(self, name: str, device: torch.device | str = "cpu", *, shortened: bool = False) -> AnySplit:
        """One split in its own depth: in memory where that is a bounded share of what there is, else mapped. The order
        is the same.

        Args:
            shortened: whether images of more than 8 bits become such of 8, as of `split` and `mapped`.
        """
        needed = self.metadata.count(name) * sum(self.metadata.large.values())
        mapped = self._mapped(name, device, shortened=shortened)
        return self._loaded(mapped) if needed <= room_for_data(torch.device(device)) else mapped

    def mapped(self, name: str, device: torch.device | str = "cpu") -> MappedSplit:
        """One split whose images stay on the disk; RequestError where it is empty or unknown, or damaged."""
        return self._mapped(name, device, shortened=True)

    def _mapped(self, name: str, device: torch.device | str, *, shortened: bool) -> MappedSplit:
        """
        Args:
            shortened: whether images of more than 8 bits become such of 8.
        """
        metadata, device = self.metadata, torch.device(device)
        if metadata.count(name) == 0:
            present = ", ".join(f"{split} {count}" for split, count in metadata.splits.items())
            raise RequestError(
                f"{self.folder} has no images in split {name!r} (it has {present}): "
                f"prepare the data again with data.{name} above 0"
            )
        file = TableFile(self.folder)
        chosen = [number for number, entry in enumerate(file.entries) if entry.rows.get(name)]
        fetch((file.entries[number].lies_at(self.folder) for number in chosen), fetched)
        shards = [file.shard(number) for number in chosen]
        small = _SmallColumns(shards, name, metadata)

        def large(column: str, shape: tuple[int, ...], kind: torch.dtype) -> MappedRows | None:
            there = column in metadata.large
            less = shortened and kind == torch.uint16
            return MappedRows(column, name, shards, metadata, shape, kind, device, shortened=less) if there else None

        image = (metadata.height, metadata.width, metadata.channels)
        kind = torch.uint16 if metadata.depth > 8 else torch.uint8
        images = large("pixels", image, kind)
        assert images is not None
        numbered = {
            column: None if values is None else torch.from_numpy(values).to(device)
            for column, values in small.numbered()
        }
        return MappedSplit(
            images,
            paths=small.paths,
            partners=large("partner", image, kind),
            embeddings=large("embedding", metadata.embeddings, torch.float32),
            **numbered,
        )


class _SmallColumns:
    """What images carry besides pixels, of one split."""

    def __init__(self, shards: Sequence[Shard], split: str, metadata: TableMetadata) -> None:
        self._shards = [(shard, shard.entry.place(split)) for shard in shards]
        self._metadata = metadata

    @property
    def paths(self) -> MappedTexts:
        return MappedTexts([shard.texts("path")[place] for shard, place in self._shards])

    def numbered(self) -> Iterator[tuple[str, np.ndarray | None]]:
        """Labels int64 [N], domains int64 [N], captions int64 [N, L], attributes uint8 [N, A]; None where there are no
        such."""
        metadata = self._metadata
        yield "labels", self._joined(lambda shard, place: shard.labels[place]) if metadata.class_names else None
        yield "domains", self._joined(self._domains) if metadata.domain_names else None
        yield "captions", self._captions() if metadata.words else None
        yield "attributes", self._joined(self._attributes) if metadata.attribute_names else None

    def _joined(self, of: Callable[[Shard, slice], np.ndarray]) -> np.ndarray:
        return np.concatenate([of(shard, place) for shard, place in self._shards])

    def _attributes(self, shard: Shard, place: slice) -> np.ndarray:
        return fixed_rows(shard.batch.column("attributes"))[place]

    def _domains(self, shard: Shard, place: slice) -> np.ndarray:
        names = pa.array(self._metadata.domain_names, pa.string())
        found: pa.Array = pc.index_in(shard.texts("domain")[place], names)
        if found.null_count:
            raise RequestError(f"{shard.path} holds domains that the table does not name: prepare the data again")
        return numbers_of(found, np.dtype("<i4")).astype(np.int64)

    def _captions(self) -> np.ndarray:
        words = Vocabulary(self._metadata.words)
        parts = [words.encode_all(shard.texts("caption")[place].to_pylist()) for shard, place in self._shards]
        longest = max(part.shape[1] for part in parts)
        return np.concatenate([np.pad(part, ((0, 0), (0, longest - part.shape[1]))) for part in parts])


class EpochSampler:
    """Which images make the batch of a step: a pure function of (size, batch size, seed, step), with nothing to save.

    Every epoch is a fresh permutation of all images, seeded by (seed, epoch), cut into whole batches; the remainder is
    left out of that epoch. When there are fewer images than a batch holds, the permutation repeats until it is full.
    """

    def __init__(self, size: int, batch_size: int, seed: int, device: torch.device | str = "cpu") -> None:
        if size < 1 or batch_size < 1 or seed < 0:
            raise ValueError(
                f"size and batch_size must be positive and seed not negative: {size}, {batch_size}, {seed}"
            )
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        # An epoch's order goes there once, so that no step waits for a copy.
        self.device = device
        self.steps_per_epoch = max(1, size // batch_size)
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def indices(self, step: int) -> Tensor:
        """int64 [B] on the device, the images of batch `step` (counted from 0)."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if self.size > LISTED:
            first = position * self.batch_size
            places = np.arange(first, min(first + self.batch_size, self.size))
            return torch.from_numpy(permuted(places, self.size, [self.seed, epoch])).to(self.device)
        if epoch != self._epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.size)
            filled = order if self.size >= self.batch_size else np.resize(order, self.batch_size)
            self._epoch, self._order = epoch, torch.from_numpy(filled.astype(np.int64, copy=False)).to(self.device)
        return self._order[position * self.batch_size : (position + 1) * self.batch_size]


class DomainSampler:
    """Which images make the batch of a step where each holds equally many of every domain, however many there are.

    Every domain has epochs of its own (`EpochSampler`), so that images of a small one come again sooner. Domains
    alternate within a batch. A pure function of its arguments and the step, likewise.

    Args:
        domains: int64 [N], of the images.
        count: how many domains there are; each has at least one of the images.
        batch_size: images of each domain in a batch.
    """

    def __init__(self, domains: Tensor, count: int, batch_size: int, seed: int) -> None:
        # Domains of equal sizes must not be shuffled alike: where pairs lie in order, they would meet.
        self._members = [torch.nonzero(domains == domain)[:, 0] for domain in range(count)]
        self._samplers = [
            EpochSampler(len(rows), batch_size, seed + _APART * domain, domains.device)
            for domain, rows in enumerate(self._members)
        ]

    def indices(self, step: int) -> Tensor:
        """int64 [count * batch_size] on the domains' device, the images of batch `step` (counted from 0)."""
        drawn = [rows[sampler.indices(step)] for rows, sampler in zip(self._members, self._samplers, strict=True)]
        return torch.stack(drawn, dim=1).flatten()
