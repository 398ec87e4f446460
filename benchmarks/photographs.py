"""Photographs of 256x256, as pixels and encoded, within 4 GiB: their import, and what a training waits for them.

    python benchmarks/photographs.py [--count 30000] [--paces 100 200 400] [--seconds 20] [--folder FOLDER]

Draws so many JPEGs, different crops of two photographs, and imports them with `data.storage=pixels` and `encoded`. Then
a training's feed gives batches of 64 at random to a consumer that takes as long for each as a device would at a pace of
so many images/s: what is printed is the share of the time that it waits for a batch. Each measurement is a process of
its own; where this user may make a control group, one of 4 GiB, in which the page cache counts, too. Prints a table in
Markdown.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from data_scale import control_group, measured, processor_seconds
from PIL import Image

SIDE, BATCH = 256, 64
ROWS = 5_000  # of a file
GROUP = 4 << 30
STORAGES = ("pixels", "encoded")
WARM = 10  # batches before the clock starts


def photographs() -> list[Image.Image]:
    from sklearn.datasets import load_sample_images

    return [Image.fromarray(each) for each in load_sample_images().images]


def crop(whole: list[Image.Image], number: int) -> bytes:
    chance = np.random.default_rng(number)
    image = whole[number % len(whole)]
    side = int(chance.integers(SIDE, min(image.size) + 1))
    left, top = (int(chance.integers(0, length - side + 1)) for length in image.size)
    part = image.crop((left, top, left + side, top + side)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    if chance.random() < 0.5:
        part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    file = io.BytesIO()
    part.save(file, "JPEG", quality=90)
    return file.getvalue()


def draw(folder: Path, count: int) -> None:
    folder.mkdir()
    whole = photographs()
    for start in range(0, count, ROWS):
        images = [
            {"bytes": crop(whole, number), "path": f"{number}.jpg"} for number in range(start, min(start + ROWS, count))
        ]
        pq.write_table(pa.table({"image": pa.array(images)}), folder / f"{start:09d}.parquet")


def imported(folder: Path, storage: str) -> dict[str, float]:
    from gan_models.data.preparing.preparation import Preparation
    from gan_models.recipes.schema import Data

    began, used = time.monotonic(), processor_seconds()
    data = Data.model_validate({"source": f"parquet:{folder / 'jpeg'}", "size": SIDE, "storage": storage})
    images = Preparation.of(data).write(folder / storage, lambda done, bad: None).metadata.images
    return {"images": images, "seconds": time.monotonic() - began, "processor": processor_seconds() - used}


def fed(folder: Path, storage: str, pace: float, seconds: float) -> dict[str, float]:
    """What a consumer of `pace` images/s waits, after some batches."""
    import torch

    from gan_models.data.table import EpochSampler, ImageTable
    from gan_models.training.feeding import Feed

    torch.set_num_threads(1)
    split = ImageTable.open(folder / storage).mapped("train")
    feed = Feed(split, {BATCH: EpochSampler(len(split), BATCH, seed=0)}, frozenset())
    waited = images = 0.0
    used = began = 0.0
    for number in range(sys.maxsize):
        if number == WARM:
            waited = images = 0.0
            began, used = time.monotonic(), with_decoders()
        asked = time.monotonic()
        batch = feed.batch(BATCH, number).images
        waited += time.monotonic() - asked
        images += len(batch)
        if number > WARM and time.monotonic() - began > seconds:
            break
        time.sleep(BATCH / pace)
    passed, taken = time.monotonic() - began, with_decoders() - used
    feed.close()
    return {"images": images, "seconds": passed, "processor": taken, "wait": waited / passed}


def with_decoders() -> float:
    """Processor seconds of this process and of those that decode for it."""
    children = psutil.Process().children()
    return processor_seconds() + sum(each.user + each.system for each in (child.cpu_times() for child in children))


def one(asked: list[str | float], folder: Path) -> dict[str, float]:
    kind, storage, *rest = asked
    return imported(folder, str(storage)) if kind == "import" else fed(folder, str(storage), *map(float, rest))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=30_000)
    parser.add_argument("--paces", type=float, nargs="+", default=[100.0, 200.0, 400.0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement of a feed")
    parser.add_argument("--folder", type=Path, help="for the data; default: a temporary one")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        asked, place = json.loads(options.one)
        print(json.dumps(one(asked, Path(place))))
        return
    columns = "what | images/s | processor ms an image | waits | anonymous MiB | disk, kB an image"
    print(f"| {columns} |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    with tempfile.TemporaryDirectory(dir=options.folder) as place, control_group(GROUP) as group:
        if group is None:
            print("no control group could be made: memory is not bounded", file=sys.stderr)
        folder = Path(place)
        draw(folder / "jpeg", options.count)
        for asked in (
            *(["import", storage] for storage in STORAGES),
            *(["training", storage, pace, options.seconds] for storage in STORAGES for pace in options.paces),
        ):
            command = [sys.executable, str(Path(__file__).resolve()), "--one", json.dumps([asked, str(folder)])]
            found = measured(f"{asked[0]} {asked[1]}", command, group)
            print(row(asked, found, folder), flush=True)


def row(asked: list[str | float], found: dict[str, float] | None, folder: Path) -> str:
    kind, storage, *rest = asked
    what = f"{kind}, {storage}" + (f", at {rest[0]:.0f} images/s" if rest else "")
    if found is None:
        return f"| {what} | failed | | | | |"
    size = sum(file.stat().st_size for file in (folder / str(storage) / "shards").iterdir())
    waits = f"{100 * found['wait']:.1f} %" if "wait" in found else ""
    rate, cost = found["images"] / found["seconds"], 1000 * found["processor"] / found["images"]
    disk = f"{size / 1000 / found['images']:.0f}" if kind == "import" else ""
    return f"| {what} | {rate:,.0f} | {cost:.2f} | {waits} | {found['memory'] / 2**20:,.0f} | {disk} |"


if __name__ == "__main__":
    main()
