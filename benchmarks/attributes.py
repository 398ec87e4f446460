"""Binary attributes of `toy:shapes`, several at once: is each set, and cleared, on its own?

Trains `attribute-transfer` with `game.transfers=attributes` and turns one attribute of each test image round at a time.
A classifier trained on the data's own attributes says whether it turned, and whether the other two stayed. Prints one
JSON object.

    python benchmarks/attributes.py [--set key=value ...] [--seed N] [--work FOLDER]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch
from translation import Lines, prepared

from gan_models.metrics.classifier import Classifier
from gan_models.recipes import load_recipe
from gan_models.sampling.generator import load_generator
from gan_models.tasks.attributes import measure_attributes
from gan_models.training.loop import train

SETTINGS = ["game.transfers=attributes", "data.source=toy:shapes", "data.size=16", "training.steps=1600"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("runs") / "attributes")
    options = parser.parse_args()

    recipe = load_recipe("attribute-transfer", [*SETTINGS, *options.overrides])
    table = prepared(recipe, options.work)
    folder = options.work / f"{recipe.file_name}-{time.time_ns()}"
    began = time.process_time()
    train(
        recipe, table.split("train"), table.metadata, folder,
        seed=options.seed, device=torch.device("cpu"), reporter=Lines(),
    )  # fmt: skip
    seconds = time.process_time() - began
    test = table.split("test")
    generator = load_generator(max((folder / "generators").iterdir()))
    samples = generator.sample(generator.module.distinct(len(test)) or len(test), seed=0, examples=test)
    classifier = Classifier.for_table(table, cache=options.work / "cache", of="attributes")
    found = measure_attributes(generator, samples, classifier)
    names = table.metadata.attribute_names
    about = {"recipe": recipe.name, "set": options.overrides, "seed": options.seed, "cpu_seconds": round(seconds)}
    figures = {
        "reached": found.reached,
        **{f"reached_{name}": share for name, share in zip(names, found.each, strict=True)},
        "kept": found.kept,
        "cycle_error": found.cycle_error,
        "accuracy_of_classifier": classifier.accuracy["test"],
    }
    print(json.dumps({**about, "images": len(samples.images), **figures, "folder": str(folder)}, indent=2))


if __name__ == "__main__":
    main()
