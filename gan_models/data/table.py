"""Reading an image table for training: one uint8 tensor for each split, shuffled batches, the one normalisation.

Shapes: N images, B images in a batch, H height, W width, C channels (1 or 3).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from gan_models.data.captions import Vocabulary
from gan_models.data.table_file import (
    IMAGES_FILE,
    TableMetadata,
    damaged,
    embedding_rows,
    open_parquet,
    pixel_rows,
    read_metadata,
)
from gan_models.errors import RequestError

__all__ = ["DomainSampler", "EpochSampler", "ImageTable", "Split", "TableMetadata", "to_float", "to_uint8"]

_APART = 0x9E3779B9  # between the seeds of two domains


def to_float(images: Tensor) -> Tensor:
    """uint8 [N, H, W, C] in 0..255 -> float32 [N, C, H, W] in [-1, 1], a channels_last view of the same layout."""
    return images.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1.0)


def to_uint8(images: Tensor) -> Tensor:
    """float [N, C, H, W] in [-1, 1] -> uint8 [N, H, W, C], rounded and clamped: the inverse of `to_float`."""
    scaled = images.detach().permute(0, 2, 3, 1).to(torch.float32).add(1.0).mul_(127.5)
    return scaled.round_().clamp_(0, 255).to(torch.uint8).contiguous()


@dataclass(frozen=True)
class Split:
    """The images of one split, loaded."""

    images: Tensor
    """uint8 [N, H, W, C], contiguous, on the device asked for."""
    labels: Tensor | None
    """int64 [N] on the same device, -1 for an image without one, or None when the data carries no labels."""
    paths: list[str]
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
        columns = {name: column[index] for name, column in vars(self).items() if isinstance(column, Tensor)}
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
        metadata = self.metadata
        rows = metadata.count(name)
        if rows == 0:
            present = ", ".join(f"{split} {count}" for split, count in metadata.splits.items())
            raise RequestError(
                f"{self.folder} has no images in split {name!r} (it has {present}): "
                f"prepare the data again with data.{name} above 0"
            )
        row_bytes = metadata.height * metadata.width * metadata.channels
        widths = {"pixels": row_bytes, **metadata.further}
        fixed = {column: np.empty((rows, width), np.uint8) for column, width in widths.items()}
        try:
            columns = _read_rows(self.folder, name, fixed, metadata)
            labels, domains, captions = (
                None if column is None else torch.from_numpy(column).to(device)
                for column in _numbered(columns, metadata)
            )
        except (pa.ArrowException, OSError, LookupError, TypeError, ValueError) as error:
            raise damaged(self.folder / IMAGES_FILE, error) from error
        images, attributes, partners = (
            torch.from_numpy(fixed[column]).to(device) if column in fixed else None
            for column in ("pixels", "attributes", "partner")
        )
        vectors = embedding_rows(fixed["embedding"], metadata.embeddings) if "embedding" in fixed else None
        shape = (rows, metadata.height, metadata.width, metadata.channels)
        assert images is not None
        return Split(
            images.view(shape),
            labels,
            columns["path"],
            domains,
            captions,
            attributes=attributes,
            partners=None if partners is None else partners.view(shape),
            embeddings=None if vectors is None else torch.from_numpy(vectors).to(device),
        )


def _numbered(columns: Mapping[str, list[Any]], metadata: TableMetadata) -> Iterator[np.ndarray | None]:
    """Labels int64 [N], domains int64 [N] and captions int64 [N, L], each None where the table has none."""
    yield (
        np.array([-1 if each is None else each for each in columns["label"]], np.int64) if "label" in columns else None
    )
    numbers = {name: number for number, name in enumerate(metadata.domain_names)}
    yield np.asarray([numbers[name] for name in columns["domain"]], np.int64) if numbers else None
    yield Vocabulary(metadata.words).encode_all(columns["caption"]) if metadata.words else None


def _read_rows(
    folder: Path, split: str, fixed: Mapping[str, np.ndarray], metadata: TableMetadata
) -> dict[str, list[Any]]:
    """Fills the columns `fixed`, uint8 [N, width], with a split's rows, by row group; N values of each other in use."""
    file, _ = open_parquet(folder)
    there = {"path": True, "label": metadata.class_names, "domain": metadata.domain_names, "caption": metadata.words}
    found: dict[str, list[Any]] = {column: [] for column, names in there.items() if names}
    done, count = 0, len(fixed["pixels"])
    with file:
        for group in range(file.metadata.num_row_groups):
            table: pa.Table = file.read_row_group(group, columns=["split", *fixed, *found], use_threads=False)
            # By way of lists: Arrow's comparisons and conversions to NumPy import pandas, for 0.4 s in every stage.
            chosen = np.flatnonzero([name == split for name in table.column("split").to_pylist()])
            if not len(chosen):
                continue
            for column, rows in fixed.items():
                rows[done : done + len(chosen)] = pixel_rows(table.column(column))[chosen]
            done += len(chosen)
            for column, values in found.items():
                every_value = table.column(column).to_pylist()
                values += [every_value[index] for index in chosen]
    if done != count:
        raise ValueError(f"{count} rows expected in split {split}, {done} found")
    return found


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
        if epoch != self._epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(self.size)
            filled = np.resize(order, max(self.size, self.batch_size))
            self._epoch, self._order = epoch, torch.from_numpy(filled.astype(np.int64)).to(self.device)
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
