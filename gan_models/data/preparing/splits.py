"""Which image goes to which split, which are in a table twice, and which of those leak from split to split.

A split is decided by an image's own pixels: equal images always land together, and an image stays where it is when
others are added, so that what a generator was trained on never turns up in a later test split. Of equal images one
stays, since a thousand copies on one side would make the splits unlike each other. Where all are wanted
(`data.repeats=keep`), each copy has a place of its own.
"""

import csv
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from gan_models.data.sources.base import rows_within
from gan_models.data.table_file import SPLITS, Shard, ShardEntry, TableMetadata

DUPLICATES_FILE = "duplicates.csv"
_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio: the step between the states of SplitMix64


def choose_rows(total: int, limit: int | None, seed: int) -> np.ndarray | None:
    """Positions of at most `limit` of `total` images, a random choice in ascending order; None for all of them."""
    if limit is None or limit >= total:
        return None
    return np.sort(np.random.default_rng(seed).choice(total, limit, replace=False))


def assign_splits(
    digests: np.ndarray,
    given: Sequence[str | None],
    given_splits: frozenset[str],
    shares: dict[str, float],
    seed: int,
) -> list[str]:
    """The split of each image.

    Args:
        digests: uint64 [N], a hash of each image's pixels.
        given: the split that the source itself gives to each image, or None.
        given_splits: all splits that the source gives; of the others, what `shares` asks for is taken from `train`.
        shares: of "validation" and "test", in [0, 1].
        seed: another seed makes another division.
    """
    position = _uniform(digests, seed)
    free = _cut(position, shares["test"], shares["validation"])
    if not given_splits:
        return free
    carved = _cut(position, *(0.0 if split in given_splits else shares[split] for split in ("test", "validation")))
    return [
        free[row] if split is None else carved[row] if split == "train" else split for row, split in enumerate(given)
    ]


def _cut(position: np.ndarray, test: float, validation: float) -> list[str]:
    """Splits of positions in [0, 1): test first, so that another share for validation leaves it as it is."""
    split = (position >= test).astype(np.int8) + (position >= test + validation)
    return [SPLITS[2 - index] for index in split.tolist()]


def _uniform(digests: np.ndarray, seed: int) -> np.ndarray:
    """Hashes and a seed mixed into float64 [N] in [0, 1): the finaliser of SplitMix64 (Steele et al. 2014)."""
    mixed = digests.astype(np.uint64) + np.uint64(seed * _GOLDEN % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


class Copies:
    """How often each image was seen so far, so that a copy gets another place than the images it equals."""

    def __init__(self) -> None:
        self._seen: Counter[int] = Counter()

    def apart(self, digests: np.ndarray) -> np.ndarray:
        """The hashes, those of a second, third, ... copy changed: uint64 [N]."""
        numbers = np.empty(len(digests), np.uint64)
        for row, digest in enumerate(digests.tolist()):
            numbers[row] = self._seen[digest]
            self._seen[digest] += 1
        return np.asarray(digests + numbers * np.uint64(_GOLDEN))


@dataclass(frozen=True)
class Duplicate:
    """A row that equals an earlier one, pixel by pixel."""

    row: int
    first: int  # the row it equals: the first of those in the earliest split
    leak: bool  # whether it lies in a later split than `first`
    copy: bool  # whether an earlier row of its split has the same label, caption, domain and the rest, too


def find_duplicates(
    digests: np.ndarray, splits: np.ndarray, said: Callable[[np.ndarray], Sequence[pa.Array]]
) -> tuple[list[Duplicate], int]:
    """All duplicates by row, and how many groups of equal images carry different labels.

    Equal are images with the same hash: two different ones share it with a probability of 3e-6 among ten million.

    Args:
        digests: uint64 [N], a hash of the pixels of each row.
        splits: int [N], positions in `SPLITS`.
        said: what some rows (ascending) carry besides: columns, labels first.
    """
    _, group, counts = np.unique(digests, return_inverse=True, return_counts=True)
    among = np.flatnonzero(counts[group] > 1)  # rows that equal another
    if not len(among):
        return [], 0
    codes = [column.dictionary_encode().indices.fill_null(-1) for column in said(among)]
    label, *others = (np.array(column.to_pylist(), np.int64) for column in codes)
    place, equal, splits = np.arange(len(among)), digests[among], splits[among]
    # Within a group of equal images: the earliest split first, then the order of the table.
    firsts = _firsts(np.lexsort((place, splits, equal)), equal)
    keys = (label, *others, splits, equal)
    copies = _firsts(np.lexsort((place, *keys)), *keys) != place
    rows = np.flatnonzero(firsts != place)
    leaks = splits[rows] != splits[firsts[rows]]
    conflicts = len(np.unique(firsts[rows][label[rows] != label[firsts[rows]]]))
    found = zip(among[rows].tolist(), among[firsts[rows]].tolist(), leaks.tolist(), copies[rows].tolist(), strict=True)
    return [Duplicate(*each) for each in found], conflicts


class SmallColumns:
    """What the rows of a table carry besides their images: hashes and splits in memory, the rest when asked for."""

    def __init__(self, folder: Path, entries: Sequence[ShardEntry], metadata: TableMetadata) -> None:
        self._shards = [partial(Shard, folder, entry, metadata) for entry in entries]  # each let go before the next
        counts = [(SPLITS.index(split), count) for entry in entries for split, count in entry.rows.items()]
        self.splits = np.repeat(*np.array(counts or [(0, 0)], np.int64).T).astype(np.int8)
        self.digests = np.concatenate([np.empty(0, np.uint64), *(shard().digests for shard in self._shards)])

    def said(self, rows: np.ndarray) -> list[pa.Array]:
        """Labels, captions, domains and what else there is of some rows, ascending."""
        found: list[list[pa.Array]] = []
        for batch, inside in self._batches(rows):
            names = ["label", "caption", "domain", "attributes", "embedding_digest"]
            found.append([batch.column(name).take(inside) for name in names if name in batch.schema.names])
        return [pa.concat_arrays(parts) for parts in zip(*found, strict=True)]

    def places(self, rows: np.ndarray) -> dict[int, tuple[str, str]]:
        """Path and split of some rows, ascending."""
        paths = (
            path for batch, inside in self._batches(rows) for path in batch.column("path").take(inside).to_pylist()
        )
        splits = (SPLITS[split] for split in self.splits[rows])
        return dict(zip(rows.tolist(), zip(paths, splits, strict=True), strict=True))

    def _batches(self, rows: np.ndarray) -> Iterator[tuple[pa.RecordBatch, pa.Array]]:
        """Rows of each shard that holds any, and which of it they are."""
        start = 0
        for mapped in self._shards:
            shard = mapped()
            inside = rows_within(rows, start, len(shard))
            start += len(shard)
            if len(inside):
                yield shard.batch, pa.array(inside)


def _firsts(order: np.ndarray, *keys: np.ndarray) -> np.ndarray:
    """Of each row, the first, by `order`, of those whose keys are the same; `order` has them side by side."""
    leads = np.ones(len(order), bool)
    leads[1:] = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
    firsts = np.empty_like(order)
    firsts[order] = order[leads][np.cumsum(leads) - 1]
    return firsts


def write_duplicates(folder: Path, table: SmallColumns, duplicates: Sequence[Duplicate], out: Collection[int]) -> None:
    """Write `duplicates.csv`: each image that equals another one pixel by pixel, and whether its row is among `out`."""
    rows = np.array([(duplicate.row, duplicate.first) for duplicate in duplicates], np.int64)
    places = table.places(np.unique(rows)) if len(rows) else {}
    with (folder / DUPLICATES_FILE).open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["path", "split", "duplicate_of", "duplicate_of_split", "removed"])
        for duplicate in duplicates:
            removed = "yes" if duplicate.row in out else "no"
            lines.writerow([*places[duplicate.row], *places[duplicate.first], removed])
