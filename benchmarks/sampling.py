"""`gan-pipeline sample --each`: the memory that ten times as many files take, and how fast they come.

Each number is drawn by a process of its own, from an untrained generator of 8x8 grey images, so that writing and not
drawing is most of the work. Numbers of images may be given: `benchmarks/sampling.py 10000 1000000`.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = "from pipeline.cli import main; main()"


def make_generator(folder: Path) -> None:
    import torch

    from gan_models.data.shape import DataShape
    from gan_models.families.building import build_generator
    from gan_models.recipes import load_recipe
    from gan_models.sampling.generator import GeneratorInfo, save_generator

    recipe = load_recipe("dcgan", ["data.size=8", "networks.generator.width=8"])
    torch.manual_seed(0)
    info = GeneratorInfo(
        recipe_name="dcgan", image_shape=(1, 8, 8), class_names=(), step=0, seed=0, data_fingerprint="0",
        diversity=1.0, collapsed=False,
    )  # fmt: skip
    save_generator(folder, build_generator(recipe, DataShape((1, 8, 8))).state_dict(), recipe, info)


def measure(generator: Path, out: Path, num: int) -> tuple[float, float]:
    """Peak resident memory in MiB and seconds of one command."""
    start = time.perf_counter()
    arguments = ["sample", str(generator), "--each", "--num", str(num), "--out", str(out)]
    process = subprocess.Popen([sys.executable, "-c", COMMAND, *arguments], stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    assert isinstance(usage, resource.struct_rusage)
    return usage.ru_maxrss / 1024, time.perf_counter() - start


def main() -> None:
    numbers = [int(text) for text in sys.argv[1:]] or [1000, 10_000, 100_000]
    with tempfile.TemporaryDirectory() as scratch:
        make_generator(Path(scratch, "generator"))
        print("| images | peak memory | time | again, all there | peak memory |\n| --- | --- | --- | --- | --- |")
        for num in numbers:
            out = Path(scratch, f"images-{num}")
            peak, seconds = measure(Path(scratch, "generator"), out, num)
            assert len(list(out.glob("*.png"))) == num
            again, second = measure(Path(scratch, "generator"), out, num)
            print(f"| {num:,} | {peak:.0f} MiB | {seconds:.1f} s | {second:.1f} s | {again:.0f} MiB |", flush=True)


if __name__ == "__main__":
    main()
