"""Shards of image tables that lie at an address (`data.grow=s3://bucket/tables`): each is put there once.

<address>/<key>/table.json                    the last table of one source with one set of options
<address>/<key>/shards/00012.<hash>.arrow     a shard, of this table or of earlier ones, named by what it holds

Shards are never changed there: tables share them, and those of before stay readable. On a machine that reads them, they
lie in `$GAN_PIPELINE_CACHE/shards`, whole where images are asked for, else without the large columns. Needs no PyTorch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from gan_models.atomic import new_file, share_file
from gan_models.data.sources.places import AT_ONCE, Place, Remote, reaching
from gan_models.errors import RequestError, RunError
from gan_models.metrics.locations import default_cache

SHARDS_FOLDER = "shards"
_HASH_BYTES = 16


def put(file: Path, number: int, address: str) -> tuple[str, bool]:
    """Puts a shard at an address, unless it is there; keeps it in the cache, too.

    Returns:
        Its file below the address, and whether it had to be put there.

    Raises:
        RunError: the address cannot be reached, or not be written.
    """
    name = f"{number:05d}.{_hash(file)}.arrow"
    place = Remote(address) / SHARDS_FOLDER / name
    with reaching(str(place), "written"):
        new = not place.exists()
        if new:
            place.upload(file)
    if not (copy := cached(name)).is_file():
        with new_file(copy) as temporary:
            share_file(file, temporary)
    return f"{SHARDS_FOLDER}/{name}", new


def fetch(places: Iterable[Place], what: Callable[[Remote], Path]) -> None:
    """Those of some shards that lie at addresses, several at the same time: `fetched` or `small_columns` of each."""
    remote = [place for place in places if isinstance(place, Remote)]
    if remote:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(what, remote))


def fetched(place: Remote) -> Path:
    """A shard at an address as a file of this machine.

    Raises:
        RequestError: it is gone.
        RunError: it cannot be reached, or is not what was put there.
    """
    copy = cached(place.name)
    if not copy.is_file():
        with _asking(place), new_file(copy) as temporary:
            place.download(temporary)
            if _hash(temporary) != place.name.split(".")[1]:
                raise _other(place)
    return copy


def small_columns(place: Remote, large: Collection[str]) -> Path:
    """The columns of a shard at an address but for the large ones, as a file of this machine; of it no more is fetched.

    Errors as of `fetched`.
    """
    if (copy := cached(place.name)).is_file():
        return copy
    copy = copy.with_suffix(".columns")
    if not copy.is_file():
        with _asking(place), new_file(copy) as temporary, place.open_for_parts() as file:
            source = pa.PythonFile(file, "r")
            names = pa.ipc.open_file(source).schema.names
            chosen = [position for position, name in enumerate(names) if name not in large]
            options = pa.ipc.IpcReadOptions(included_fields=chosen)
            batch = pa.ipc.open_file(source, options=options).get_batch(0)
            with temporary.open("wb") as opened, pa.ipc.new_file(opened, batch.schema) as writer:
                writer.write_batch(batch)
    return copy


def cached(name: str) -> Path:
    """Where a copy of a shard of this name lies, or is going to."""
    folder = default_cache() / SHARDS_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def _hash(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, lambda: hashlib.blake2b(digest_size=_HASH_BYTES)).hexdigest()


@contextmanager
def _asking(place: Remote) -> Iterator[None]:
    try:
        with reaching(str(place)):
            yield
    except FileNotFoundError:
        raise RequestError(f"{place} is gone, which the data set is made of: prepare the data again") from None
    except pa.ArrowException as error:
        raise _other(place) from error


def _other(place: Remote) -> RunError:
    return RunError(f"{place} is not what was put there: remove it, and prepare the data again")
