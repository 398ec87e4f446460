"""How much memory it takes to import images whose files are small and whose pixels, rows or captions are many.

Each bomb is imported by the stage itself, in a process of its own; the memory is that of the process and its decoders
together, every 50 ms, without what they share, and less what the import of 1,797 digits takes.

    python benchmarks/bombs.py [--only NAME]

Prints a line for each, and fails when one takes more than 1 GiB besides. Two decoders at most work side by side, so
that the figure does not depend on the machine. Takes about ten minutes.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

MEMORY = 1 << 30
SIDE = 9400  # 88 million pixels: just below Pillow's limit
SECONDS = 60.0  # a bomb that is still being imported then has shown what it takes
IMPORT = """
import sys
from pathlib import Path
from components.context import RunContext
from components.prepare_data import decode_pool, step
from components.stage.stage import open_stage
from gan_models.recipes.schema import Data
decode_pool.available_cores = lambda: 2
with open_stage("prepare_data", RunContext(state_dir=sys.argv[2])) as stage:
    data = Data(source=sys.argv[1], size=32, validation=0, test=0)
    step.run(step.Request(data=data, output=Path(sys.argv[2]) / "dataset"), stage)
"""


def pictures(folder: Path, suffix: str, make: Callable[[int], Image.Image], **options: object) -> str:
    """Six large images in a folder."""
    folder.mkdir()
    for number in range(6):
        make(number).save(folder / f"{number}{suffix}", **options)  # type: ignore[arg-type]
    return f"folder:{folder}"


def table(folder: Path, **columns: tuple[list[bytes] | list[str], int]) -> str:
    """A Parquet file of one row group that keeps the values of each column once and repeats them over all rows."""
    folder.mkdir()
    rows = max(count for _, count in columns.values())
    arrays = {
        name: pa.DictionaryArray.from_arrays(pa.array(np.arange(rows, dtype=np.int32) % len(values)), pa.array(values))
        for name, (values, _) in columns.items()
    }
    options = {"use_dictionary": True, "dictionary_pagesize_limit": 1 << 30, "store_schema": False}
    pq.write_table(pa.table(arrays), folder / "train.parquet", row_group_size=1 << 20, **options)
    return f"parquet:{folder}"


def noise(side: int) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "png", compress_level=0)
    return buffer.getvalue()


def large(mode: str) -> Callable[[int], Image.Image]:
    return lambda number: Image.new(mode, (SIDE, SIDE), (number, 2, 3, 100)[: len(mode)])


def deep(dtype: type, step: float) -> Callable[[int], Image.Image]:
    return lambda number: Image.fromarray(np.full((SIDE, SIDE), number * step, dtype))


def turned(folder: Path) -> str:
    exif = Image.Exif()
    exif[0x0112] = 6
    return pictures(folder, ".png", large("RGBA"), exif=exif)


BOMBS: dict[str, Callable[[Path], str]] = {
    "the same 3 MB image in 30,000 rows of Parquet": lambda at: table(at, image=([noise(1000)], 30_000)),
    "captions of 1 MB in 30,000 rows of Parquet": lambda at: table(
        at, image=([noise(32 + each) for each in range(8)], 30_000), caption=(["x" * 1_000_000], 30_000)
    ),
    "labels of 1 MB in 30,000 rows of Parquet": lambda at: table(
        at, image=([noise(32 + each) for each in range(8)], 30_000), label=(["x" * 1_000_000, "y"], 30_000)
    ),
    "16-bit PNG of 88 million pixels": lambda at: pictures(at, ".png", deep(np.uint16, 1000)),
    "float TIFF of 88 million pixels": lambda at: pictures(
        at, ".tif", deep(np.float32, 0.1), compression="tiff_deflate"
    ),
    "PNG with transparency of 88 million pixels": lambda at: pictures(at, ".png", large("RGBA")),
    "the same, turned by EXIF": turned,
    "CMYK JPEG of 88 million pixels": lambda at: pictures(at, ".jpg", large("CMYK")),
    "RGB TIFF of 88 million pixels": lambda at: pictures(at, ".tif", large("RGB"), compression="tiff_lzw"),
}


def peak(source: str, folder: Path) -> tuple[int, float, int | None]:
    """Bytes at the most, seconds, and the exit code (None: stopped after `SECONDS`) of an import."""
    began, most = time.monotonic(), 0
    process = subprocess.Popen([sys.executable, "-c", IMPORT, source, str(folder)], stderr=subprocess.DEVNULL)
    while process.poll() is None and time.monotonic() - began < SECONDS:
        most = max(most, memory(psutil.Process(process.pid)))
        time.sleep(0.05)
    code = process.poll()
    process.kill()
    process.wait()
    return most, time.monotonic() - began, code


def memory(process: psutil.Process) -> int:
    found = 0
    for each in (process, *process.children(recursive=True)):
        try:
            found += each.memory_full_info().uss
        except psutil.Error:  # ended meanwhile
            continue
    return found


def main() -> int:
    """0 when none takes more than `MEMORY` besides."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="bombs whose name has this in it")
    arguments = parser.parse_args()
    faults = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        usual, _, _ = peak("digits", Path(scratch) / "usual")
        print(f"{usual >> 20:6} MiB  digits")
        for number, (name, make) in enumerate(BOMBS.items()):
            if arguments.only not in name:
                continue
            source = make(Path(scratch) / f"bomb-{number}")
            most, seconds, code = peak(source, Path(scratch) / f"out-{number}")
            faults += most - usual > MEMORY
            ended = "stopped" if code is None else f"exit code {code}"
            print(f"{(most - usual) >> 20:6} MiB besides  {name}: {ended} after {seconds:.0f} s", flush=True)
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
