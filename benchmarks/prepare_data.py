"""Importing images: this project against a plain, well-written single-process Pillow loop that does the same work.

Both read every row of a Parquet file of encoded images, decode it, make it a grey or RGB square of the wanted size,
hash its pixels, assign it to a split by that hash, and write the same image table; the tables are then compared.
Prints the seconds of each round, the best of each side, and their ratio as one JSON object on the last line.

    python benchmarks/prepare_data.py PATH_TO_MNIST/train.parquet [--size 32] [--rounds 3] [--workers N]
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from gan_models.data.decoding import DIGEST_BYTES, Target
from gan_models.data.preparing.inspection import channels_of, look_at
from gan_models.data.preparing.splits import assign_splits
from gan_models.data.preparing.table_building import build_table
from gan_models.data.sources import parse_source
from gan_models.data.table_file import DIGEST_TYPE, TableMetadata
from gan_models.data.table_writer import TableWriter
from gan_models.recipes.schema import Data

ROWS = 1024


def project(options: Data, folder: Path, workers: int | None) -> TableMetadata:
    source = parse_source(options.source).open()
    target = Target(options.size, channels_of(look_at(source)), options.resize, options.fit)
    return build_table(source, target, options, folder, lambda done, bad: None, workers).metadata


def pillow_loop(options: Data, folder: Path, channels: int) -> TableMetadata:
    size, mode = options.size, "L" if channels == 1 else "RGB"
    file = pq.ParquetFile(options.source.partition(":")[2])
    names = (file.schema_arrow.metadata or {})[b"classes"].decode().split(",")
    shares = {"validation": options.validation, "test": options.test}
    writer = TableWriter(folder, size, size, channels)
    for records in file.iter_batches(ROWS, columns=["image", "label"]):
        pixels, digests, paths = [], [], []
        for image in records.column("image").to_pylist():
            picture = Image.open(io.BytesIO(image["bytes"]))
            if picture.mode != mode:
                picture = picture.convert(mode)
            if picture.size != (size, size):
                picture = picture.resize((size, size), Image.Resampling.BICUBIC)
            row = picture.tobytes()
            pixels.append(row)
            digests.append(hashlib.blake2b(row, digest_size=DIGEST_BYTES).digest())
            paths.append(image["path"])
        rows = np.frombuffer(b"".join(pixels), np.uint8).reshape(len(pixels), -1)
        hashes = np.frombuffer(b"".join(digests), DIGEST_TYPE)
        splits = assign_splits(hashes, [None] * len(rows), frozenset(), shares, options.split_seed)
        writer.append(rows, records.column("label").to_pylist(), splits, paths)
    return writer.close(names, options.source, options.model_dump(mode="json"))


def timed(call: Callable[[Path], TableMetadata]) -> tuple[float, TableMetadata]:
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        metadata = call(Path(folder))
        return time.perf_counter() - started, metadata


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parquet", type=Path)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args()
    options = Data(source=f"parquet:{arguments.parquet.absolute()}", size=arguments.size)
    ours, loop = [], []
    for number in range(arguments.rounds):  # taking turns, so that other work on the machine hits both alike
        seconds, table = timed(partial(project, options, workers=arguments.workers))
        ours.append(seconds)
        seconds, plain = timed(partial(pillow_loop, options, channels=table.channels))
        loop.append(seconds)
        print(f"round {number + 1}: prepare_data {ours[-1]:.2f} s, Pillow loop {loop[-1]:.2f} s")
        if plain.fingerprint != table.fingerprint:
            raise SystemExit("the two tables differ: the work was not equal")
    images = sum(table.count(split) for split in table.counts)
    result = {
        "images": images,
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "prepare_data_seconds": round(min(ours), 3),
        "pillow_loop_seconds": round(min(loop), 3),
        "images_per_second": round(images / min(ours)),
        "ratio": round(min(loop) / min(ours), 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
