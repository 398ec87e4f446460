"""Image-to-image recipes: trains one with the library and measures it on test images it has not seen.

For `cyclegan` and `attribute-transfer`: is the target domain reached, is the digit kept, how far does the way back lead
from the image, each by classifiers trained on the data's own domains and labels; and, because the toy sources know what
an image truly looks like in the other domain, the distance to that. For `colorization`: the distance to the true
colours with 0, 1, 5 and 20 hints, and whether a hint that tells another colour is followed. For `pix2pix`: the distance
to the true image of each pair. Prints one JSON object.

    python benchmarks/translation.py RECIPE [--set key=value ...] [--seed N] [--work FOLDER]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from components.prepare_data import step as prepare_data
from components.stage.stage import RunContext, open_stage
from gan_models.data.decoding import Target
from gan_models.data.shape import Size
from gan_models.data.sources import parse_source
from gan_models.data.sources.toy_catalogue import TOYS
from gan_models.data.sources.toy_images import counterparts, open_toy
from gan_models.data.table import ImageTable
from gan_models.games.colorization.spec import Colorization
from gan_models.games.paired.spec import Paired
from gan_models.metrics.classifier import Classifier
from gan_models.recipes import Recipe, load_recipe
from gan_models.sampling.generator import LoadedGenerator, Samples, load_generator
from gan_models.tasks.colorization import measure_colours, measure_following
from gan_models.tasks.pairs import measure_pairs
from gan_models.tasks.translation import measure_translation
from gan_models.training.loop import train


class Lines:
    """Tells on standard error how the training goes."""

    def progress(self, step: int, figures: Mapping[str, float]) -> None: ...

    def tick(self, step: int, metrics: Mapping[str, float], grid: Path) -> None:
        print(step, {name: round(value, 4) for name, value in metrics.items()}, grid, file=sys.stderr, flush=True)

    def note(self, sentence: str) -> None:
        print(sentence, file=sys.stderr, flush=True)

    def stop_requested(self) -> bool:
        return False


def prepared(recipe: Recipe, work: Path) -> ImageTable:
    """The recipe's data as an image table, made where it is not there yet."""
    folder = work / f"{recipe.data.source.replace(':', '-')}-{recipe.data.size}"
    if not folder.exists():
        with open_stage("prepare_data", RunContext(state_dir=str(work / "state"))) as stage:
            prepare_data.run(prepare_data.Request(data=recipe.data, output=folder), stage)
    return ImageTable.open(folder)


def translation(generator: LoadedGenerator, samples: Samples, table: ImageTable, cache: Path) -> dict[str, Any]:
    domains, labels = (Classifier.for_table(table, cache=cache, of=of) for of in ("domains", "labels"))
    figures = measure_translation(generator, samples, domains, labels)._asdict()
    accuracy = {"domains": domains.accuracy["test"], "labels": labels.accuracy["test"]}
    truth = true_translations(samples, table)
    distance = None if truth is None else float((samples.images.double() - truth.double()).abs().mean() / 255)
    return {**figures, "distance_to_true_translation": distance, "accuracy_of_classifiers": accuracy}


def true_translations(samples: Samples, table: ImageTable) -> torch.Tensor | None:
    """What the images would look like in their target domains, uint8 [N, H, W, C]; None where nobody knows."""
    metadata, name = table.metadata, parse_source(table.metadata.source)
    if name.kind != "toy" or samples.examples is None or not TOYS[name.rest].domains:
        return None
    target = Target(
        Size.of(metadata.image_shape), metadata.channels, metadata.options["resize"], metadata.options["fit"]
    )
    source, paths = open_toy(name.rest), samples.examples.paths
    images = torch.empty_like(samples.images)
    for number, domain in enumerate(metadata.domain_names):
        chosen = torch.nonzero(samples.inputs["domains"] == number)[:, 0]
        wanted = [paths[row % len(paths)] for row in chosen.tolist()]
        images[chosen] = torch.from_numpy(counterparts(source, wanted, domain, target))
    return images


def colours(generator: LoadedGenerator, samples: Samples, largest: int) -> dict[str, Any]:
    assert samples.examples is not None
    by_hints = [figures._asdict() for figures in measure_colours(generator, samples.examples, largest, seed=0)]
    return {"by_hints": by_hints, "followed": measure_following(generator, samples.examples, largest, seed=0)._asdict()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("runs") / "translation")
    options = parser.parse_args()

    recipe = load_recipe(options.recipe, options.overrides)
    table = prepared(recipe, options.work)
    folder = options.work / f"{recipe.name}-{time.time_ns()}"
    began = time.process_time()
    train(
        recipe, table.split("train"), table.metadata, folder,
        seed=options.seed, device=torch.device("cpu"), reporter=Lines(),
    )  # fmt: skip
    seconds = time.process_time() - began
    test = table.split("test")
    generator = load_generator(max((folder / "generators").iterdir()))
    samples = generator.sample(generator.module.distinct(len(test)) or len(test), seed=0, examples=test)
    if isinstance(recipe.game, Colorization):
        figures = colours(generator, samples, recipe.game.hint_size)
    elif isinstance(recipe.game, Paired):
        figures = measure_pairs(samples)._asdict()
    else:
        figures = translation(generator, samples, table, options.work / "cache")
    about = {"recipe": recipe.name, "set": options.overrides, "seed": options.seed, "cpu_seconds": round(seconds)}
    print(json.dumps({**about, "images": len(samples.images), **figures, "folder": str(folder)}, indent=2))


if __name__ == "__main__":
    main()
