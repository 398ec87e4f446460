"""Every published preset at its full size: built, two steps at batch 2, saved, resumed, exported, on this machine.

On made-up images, for what is tried is that it works, not what it learns. Each preset is tried in a process of its own,
the memory that it needs at most beside it; one whose networks, gradients and Adam's memory alone do not fit is built on
the meta device and counted instead. The trainings are cut to two steps; networks that grow take one at each size and
each fade, and two at the last. One line of JSON for each, and a table at the end.

    python benchmarks/published.py [PRESET ...] [--only-small] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import torch

from gan_models.data.table import TableMetadata
from gan_models.families.progressive.spec import levels_of
from gan_models.games.counting import made_for_shape
from gan_models.recipes import counted_parameters, load_recipe, preset_names, recipe_names
from gan_models.training.estimating import made_up

ADAM_AND_AVERAGE = 4 * (4 + 1) + 4 * 3  # bytes for a parameter: weight, gradient, Adam's two, average; the file's three
SMALL = 5_000_000  # parameters of both players, up to which a preset is small
ROWS = 8
PUBLISHED = sorted({*preset_names()} - {*recipe_names()})


class Quiet:
    """A reporter that says nothing, and asks to stop after so many steps."""

    def __init__(self, stop_after: int = 0) -> None:
        self.left = stop_after or -1

    def progress(self, step: int, figures: Mapping[str, float]) -> None: ...

    def tick(self, step: int, metrics: Mapping[str, float], grid: Path) -> None: ...

    def note(self, sentence: str) -> None: ...

    def stop_requested(self) -> bool:
        self.left -= 1
        return self.left == 0


def tried(name: str, *further: str) -> dict[str, object]:
    """Trains a preset for two steps, stopped after the first, and hands its generator over; `further` settings."""
    from gan_models.sampling.exporting import export, plain
    from gan_models.sampling.generator import load_generator
    from gan_models.training.loop import Stopped, train

    published = load_recipe(name)
    steps, settings = 2, ["training.batch_size=2", "training.accumulate=1", "training.keep=1", *further]
    if published.game.kind == "semi-supervised":
        settings.append("game.labels_per_class=1")
    if published.game.kind == "progressive":
        steps += 2 * levels_of(published.data.size)
        settings.append("game.phase_images=1")
    settings.append(f"training.steps={steps}")
    recipe = load_recipe(name, settings)
    shape, device = made_for_shape(recipe), torch.device("cpu")
    split = made_up(recipe, shape, device, max(ROWS, shape.classes))
    channels, height, width = shape.image
    metadata = TableMetadata(
        height=height,
        width=width,
        channels=channels,
        class_names=tuple(f"class {number}" for number in range(shape.classes)),
        counts={"train": {"": len(split)}},
        fingerprint="made up",
        source="made-up images",
        options=recipe.data.model_dump(mode="json"),
        domain_names=tuple(f"domain {number}" for number in range(shape.domains)),
        attribute_names=tuple(f"attribute {number}" for number in range(shape.attributes)),
        paired="partners" in recipe.needs,
        words=shape.vocabulary,
        embeddings=(1, shape.embedding) if shape.embedding else (0, 0),
    )
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "training")
        try:
            train(recipe, split, metadata, folder, seed=0, device=device, reporter=Quiet(stop_after=1))
            raise AssertionError("it was asked to stop")
        except Stopped:
            pass
        outcome = train(recipe, split, metadata, folder, seed=0, device=device, reporter=Quiet())
        generator = load_generator(folder / "generators" / f"step-{steps:06d}")
        export(plain(generator), "safetensors", Path(scratch))
    return {"steps": outcome.steps, "exported": "safetensors", "seconds": round(time.monotonic() - began, 1)}


def in_a_process(name: str) -> dict[str, object]:
    counted = counted_parameters()[name]
    row: dict[str, object] = {"preset": name, **counted}
    needed = sum(counted.values()) * ADAM_AND_AVERAGE
    if needed > psutil.virtual_memory().available:
        return row | {"done": "built on the meta device", "reason": f"{needed / 1e9:.1f} GB for its weights alone"}
    done = subprocess.run([sys.executable, __file__, name, "--here"], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return row | {"done": "failed", "reason": lines[-1] if lines else f"exit code {done.returncode}"}
    return row | {"done": "two steps, resumed, exported", **json.loads(done.stdout.splitlines()[-1])}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("presets", nargs="*", metavar="PRESET", default=PUBLISHED)
    parser.add_argument("--only-small", action="store_true", help=f"those of at most {SMALL:,} parameters")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the lines of JSON, too")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        row = tried(options.presets[0])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps(row | {"peak_gb": round(peak / 1e9, 2)}))
        return 0
    chosen = [
        name for name in options.presets if not options.only_small or sum(counted_parameters()[name].values()) <= SMALL
    ]
    rows = []
    for name in chosen:
        rows.append(in_a_process(name))
        print(json.dumps(rows[-1]), flush=True)
        if options.out:
            options.out.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    print("\n| preset | G | D | done | peak, GB | seconds |\n| --- | ---: | ---: | --- | ---: | ---: |")
    for row in rows:
        told = ": ".join(str(row[key]) for key in ("done", "reason") if key in row)
        print(
            f"| `{row['preset']}` | {row['generator']:,} | {row['discriminator']:,} | {told} | "
            f"{row.get('peak_gb', '')} | {row.get('seconds', '')} |"
        )
    return int(any(row["done"] == "failed" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
