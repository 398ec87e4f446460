"""Many small pictures: how fast, and in how much memory, they are imported and reach a training, here and elsewhere.

    python benchmarks/data_scale.py [--counts 10000 100000] [--by PACKAGE] [--folder FOLDER] [--seconds 10]

Draws so many PNGs of 24x24 pixels (all different), as Parquet and as tar shards, and does equal work with each package:

    import    decode, resize to 16x16, write; `gan-pipeline` also hashes every image, assigns splits and finds repeats
    training  batches of 64 images at random as float32 [64, 3, 16, 16] in [-1, 1]: `gan-pipeline` from memory, from
              mapped shards and from encoded ones, `datasets` from its Arrow files by random rows; `webdataset` reads
              its shards in order through a buffer of 5,000 images, since it has no rows

Each measurement is a process of its own. Memory is the most anonymous memory of it and its children: pages of mapped
files can be taken back at any time. Where this user may make a control group, and the table is larger than what it
leaves beside an interpreter with PyTorch, the training is measured once more inside one; there the page cache counts,
too. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

SIZE, DRAWN, BATCH = 16, 24, 64
ROWS = 10_000  # of a file
GROUP = 512 << 20  # bytes, of which an interpreter with PyTorch takes 340 MiB
GROUPS = Path("/sys/fs/cgroup")


def png(number: int) -> bytes:
    coarse = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((DRAWN, DRAWN), Image.Resampling.BILINEAR).save(file, "PNG", compress_level=1)
    return file.getvalue()


def draw(folder: Path, count: int) -> None:
    """`count` pictures as Parquet files and as tar shards."""
    for kind in ("parquet", "tar"):
        (folder / kind).mkdir(parents=True)
    for start in range(0, count, ROWS):
        pictures = {number: png(number) for number in range(start, min(start + ROWS, count))}
        images = pa.array([{"bytes": each, "path": f"{number}.png"} for number, each in pictures.items()])
        labels = pa.array([number % 10 for number in pictures], pa.int64())
        pq.write_table(pa.table({"image": images, "label": labels}), folder / f"parquet/{start:09d}.parquet")
        with tarfile.open(folder / f"tar/{start:09d}.tar", "w") as file:
            for number, each in pictures.items():
                for suffix, content in (("png", each), ("cls", b"%d" % (number % 10))):
                    member = tarfile.TarInfo(f"{number:09d}.{suffix}")
                    member.size = len(content)
                    file.addfile(member, io.BytesIO(content))


# --- importing


def import_here(folder: Path, storage: str) -> int:
    from gan_models.data.preparing.preparation import Preparation
    from gan_models.recipes.schema import Data

    data = Data.model_validate({"source": f"parquet:{folder / 'parquet'}", "size": SIZE, "storage": storage})
    return Preparation.of(data).write(folder / f"table-{storage}", lambda done, bad: None).metadata.images


def resized(image: Image.Image) -> bytes:
    return image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC).tobytes()


def import_datasets(folder: Path) -> int:
    import datasets

    datasets.disable_progress_bars()
    files = sorted(map(str, (folder / "parquet").glob("*.parquet")))
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(folder / "cache"))
    loaded = loaded.cast_column("image", datasets.Image())

    def change(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        return {"pixels": [*map(resized, rows["image"])], "label": rows["label"]}

    cores = len(os.sched_getaffinity(0))
    made = loaded.map(change, batched=True, batch_size=256, remove_columns=["image"], num_proc=cores)
    made.save_to_disk(str(folder / "datasets"))
    return len(made)


def import_webdataset(folder: Path) -> int:
    import webdataset

    (folder / "webdataset").mkdir()
    shards = sorted(map(str, (folder / "tar").glob("*.tar")))
    source = webdataset.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("__key__", "png", "cls")
    with webdataset.ShardWriter(str(folder / "webdataset/%06d.tar"), maxcount=ROWS, verbose=0) as writer:
        done = 0
        for key, image, label in source:
            writer.write({"__key__": key, "pixels.bin": resized(image), "cls": str(label)})
            done += 1
    return done


# --- training's data path


def batches_here(folder: Path, storage: str, mapped: bool) -> Iterator[Any]:
    from gan_models.data.table import EpochSampler, ImageTable
    from gan_models.training.feeding import Feed

    table = ImageTable.open(folder / f"table-{storage}")
    split = table.mapped("train") if mapped else table.split("train")
    feed = Feed(split, {BATCH: EpochSampler(len(split), BATCH, seed=0)}, frozenset({"labels"}))
    for number in range(sys.maxsize):
        yield feed.batch(BATCH, number).images


def batches_datasets(folder: Path) -> Iterator[Any]:
    import datasets

    rows = datasets.load_from_disk(str(folder / "datasets"))
    order = np.random.default_rng(0).permutation(len(rows))
    for start in range(0, sys.maxsize, BATCH):
        found = rows[order[np.arange(start, start + BATCH) % len(rows)]]
        yield floats(found["pixels"])


def batches_webdataset(folder: Path) -> Iterator[Any]:
    import webdataset

    shards = sorted(map(str, (folder / "webdataset").glob("*.tar")))
    while True:
        source = webdataset.WebDataset(shards, shardshuffle=len(shards)).shuffle(5000).to_tuple("pixels.bin", "cls")
        for pixels, _ in source.batched(BATCH, collation_fn=lambda rows: list(zip(*rows, strict=True)), partial=False):
            yield floats(pixels)


def floats(pixels: Any) -> Any:
    import torch

    rows = np.frombuffer(b"".join(pixels), np.uint8).reshape(-1, SIZE, SIZE, 3).copy()
    return torch.from_numpy(rows).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def pace(batches: Iterator[Any], seconds: float) -> int:
    """Images that came in so many seconds, after the first batch."""
    import torch

    torch.set_num_threads(1)
    next(batches)
    began, images = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        images += len(next(batches))
    return images


IMPORTS: dict[str, Callable[[Path], int]] = {
    "gan-pipeline": lambda folder: import_here(folder, "pixels"),
    "gan-pipeline, encoded": lambda folder: import_here(folder, "encoded"),
    "datasets": import_datasets,
    "webdataset": import_webdataset,
}
TRAININGS: dict[str, Callable[[Path], Iterator[Any]]] = {
    "gan-pipeline, in memory": lambda folder: batches_here(folder, "pixels", mapped=False),
    "gan-pipeline, mapped": lambda folder: batches_here(folder, "pixels", mapped=True),
    "gan-pipeline, encoded": lambda folder: batches_here(folder, "encoded", mapped=True),
    "datasets": batches_datasets,
    "webdataset": batches_webdataset,
}


# --- measuring


def one(kind: str, name: str, folder: Path, seconds: float) -> dict[str, float]:
    """In this process: images, seconds, processor seconds."""
    began, used = time.monotonic(), processor_seconds()
    images = IMPORTS[name](folder) if kind == "import" else pace(TRAININGS[name](folder), seconds)
    passed = time.monotonic() - began if kind == "import" else seconds
    return {"images": images, "seconds": passed, "processor": processor_seconds() - used}


def processor_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def anonymous(process: psutil.Process) -> int:
    """Bytes of a process and its children that are no file's."""
    total = 0
    with suppress(psutil.Error, OSError, ValueError):
        for each in (process, *process.children(recursive=True)):
            for line in Path(f"/proc/{each.pid}/status").read_text().splitlines():
                if line.startswith("RssAnon:"):
                    total += int(line.split()[1]) * 1024
    return total


def command(kind: str, name: str, folder: Path, seconds: float) -> list[str]:
    return [sys.executable, str(Path(__file__).resolve()), "--one", json.dumps([kind, name, str(folder), seconds])]


def measured(what: str, command: list[str], group: Path | None = None) -> dict[str, float] | None:
    """What a process says of itself, with the memory that it took; None where it failed."""
    enter = None if group is None else lambda: (group / "cgroup.procs").write_text(str(os.getpid()))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=enter)
    most, watched = [0], psutil.Process(process.pid)

    def watch() -> None:
        while process.poll() is None:
            most[0] = max(most[0], anonymous(watched))
            time.sleep(0.05)

    watching = threading.Thread(target=watch)
    watching.start()
    said, errors = process.communicate()
    watching.join()
    if process.returncode:
        print(f"{what}: {(errors.splitlines() or ['killed'])[-1]}", file=sys.stderr)
        return None
    return {**json.loads(said.splitlines()[-1]), "memory": most[0]}


@contextmanager
def control_group(limit: int) -> Iterator[Path | None]:
    """One below this process's own that may use so many bytes; None where this user may not make one."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    first = next((line.split(":", 2)[2] for line in lines if ":memory:" in line), None)
    unified = next((line[3:] for line in lines if line.startswith("0::")), "/")
    file = "memory.limit_in_bytes" if first is not None else "memory.max"
    base = GROUPS / "memory" / first.strip("/") if first is not None else GROUPS / unified.strip("/")
    group = base / f"data-scale-{os.getpid()}"
    try:
        group.mkdir()
        (group / file).write_text(str(limit))
    except OSError:
        with suppress(OSError):
            group.rmdir()
        yield None
        return
    try:
        yield group
    finally:
        for _ in range(50):  # the kernel takes a moment to see that it is empty
            with suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.1)


def row(count: int, what: str, name: str, found: dict[str, float] | None) -> str:
    if found is None:
        return f"| {count:,} | {what} | {name} | failed | | |"
    rate, cost = found["images"] / found["seconds"], 1e6 * found["processor"] / max(1, found["images"])
    return f"| {count:,} | {what} | {name} | {rate:,.0f} | {cost:,.0f} | {found['memory'] / 2**20:,.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--by", default="", help="how what is measured begins; default: all")
    parser.add_argument("--folder", type=Path, help="for the data; default: a temporary one")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement of a training's data path")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        kind, name, place, seconds = json.loads(options.one)
        print(json.dumps(one(kind, name, Path(place), seconds)))
        return
    imports = [name for name in IMPORTS if name.startswith(options.by)]
    trainings = [name for name in TRAININGS if name.startswith(options.by)]
    print("| pictures | what | by | images/s | processor µs an image | anonymous MiB |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    for count in options.counts:
        with tempfile.TemporaryDirectory(dir=options.folder) as place:
            folder = Path(place)
            draw(folder, count)
            for name in imports:
                print(row(count, "import", name, measured(name, command("import", name, folder, 0))), flush=True)
            for name in trainings:
                found = measured(name, command("training", name, folder, options.seconds))
                print(row(count, "training", name, found), flush=True)
            if count * SIZE * SIZE * 3 > GROUP:
                beyond_memory(count, trainings, folder, options.seconds)


def beyond_memory(count: int, names: list[str], folder: Path, seconds: float) -> None:
    with control_group(GROUP) as group:
        if group is None:
            print("no control group could be made: nothing is measured beyond memory", file=sys.stderr)
            return
        for name in names:
            found = measured(name, command("training", name, folder, seconds), group)
            print(row(count, f"training in {GROUP >> 20} MiB", name, found), flush=True)


if __name__ == "__main__":
    main()
