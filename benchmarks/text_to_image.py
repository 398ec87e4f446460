"""Text to image: trains a recipe on captioned images and measures whether the pictures are what their captions say.

The captions are those of test images, several pictures of each. What a picture shows is named by a classifier trained
on the real images' labels; its colour is the real colour word whose mean is nearest to the picture's own mean colour
(weighted by saturation, so that a grey ground does not count). Both judges' accuracy on real test images is printed
beside. Stage I's pictures, enlarged, are measured as well: Frechet distances to the test images with the classifier's
features. Prints one JSON object.

    python benchmarks/text_to_image.py [RECIPE] [--set key=value ...] [--seed N] [--work FOLDER] [--generator FOLDER]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from translation import Lines, prepared

from gan_models.data.table import ImageTable, Split, to_uint8
from gan_models.families.stackgan.networks import StackGan
from gan_models.metrics.classifier import Classifier
from gan_models.metrics.frechet import frechet_distance
from gan_models.recipes import load_recipe
from gan_models.sampling.generator import LoadedGenerator, Samples, load_generator
from gan_models.training.loop import train


def mean_colours(images: Tensor) -> Tensor:
    """Directions [N, 3] of the mean colours of uint8 [N, H, W, 3], each pixel weighted by its saturation."""
    pixels = images.flatten(1, 2).double()
    weights = (pixels.amax(2) - pixels.amin(2)).clamp(min=1e-6)
    return torch.nn.functional.normalize((pixels * weights[:, :, None]).sum(1) / weights.sum(1, keepdim=True))


def nearest_colours(images: Tensor, real: Split, colours: int) -> Tensor:
    """For each image the domain, int64 [N], whose real images have the nearest mean colour."""
    assert real.domains is not None
    seen = mean_colours(real.images)
    means = torch.stack([seen[real.domains == colour].mean(0) for colour in range(colours)])
    return torch.cdist(mean_colours(images), means).argmin(1)


@torch.inference_mode()
def first_stage(generator: LoadedGenerator, samples: Samples) -> Tensor:
    """What stage I made on the way to the samples, enlarged: uint8 [N, H, W, C]."""
    module = generator.module
    assert isinstance(module, StackGan)
    parts = zip(*(samples.inputs[name].split(256) for name in module.inputs), strict=True)
    return torch.cat([to_uint8(module.enlarged(*part)) for part in parts])


def figures(generator: LoadedGenerator, samples: Samples, table: ImageTable, cache: Path) -> dict[str, Any]:
    classifier = Classifier.for_table(table, cache=cache)
    training, test = table.split("train"), table.split("test")
    colours = len(table.metadata.domain_names)
    reference = classifier.features_and_logits(test.images)
    assert test.domains is not None
    row = torch.arange(len(samples.images)) % len(test)
    found: dict[str, Any] = {}
    for name, images in {"stage_1_enlarged": first_stage(generator, samples), "stage_2": samples.images}.items():
        seen = classifier.features_and_logits(images)
        assert seen.logits is not None
        shown = seen.logits.argmax(1) == samples.labels
        coloured = nearest_colours(images, training, colours) == test.domains[row]
        found[name] = {
            "content_agrees": shown.double().mean().item(),
            "colour_agrees": coloured.double().mean().item(),
            "both_agree": (shown & coloured).double().mean().item(),
            "frechet_distance": frechet_distance(seen.gaussian, reference.gaussian),
        }
    by_colour = nearest_colours(test.images, training, colours) == test.domains
    judges = {"content": classifier.accuracy["test"], "colour": by_colour.double().mean().item()}
    floor = frechet_distance(classifier.features_and_logits(training.images).gaussian, reference.gaussian)
    return {**found, "accuracy_of_judges": judges, "frechet_distance_of_training_images": floor}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="?", default="stackgan")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--work", type=Path, default=Path("runs") / "text-to-image")
    parser.add_argument("--generator", type=Path, help="measure this one instead of training")
    options = parser.parse_args()

    recipe = load_recipe(options.recipe, options.overrides)
    table = prepared(recipe, options.work)
    seconds, chosen = None, options.generator
    if chosen is None:
        folder = options.work / f"{recipe.name}-{time.time_ns()}"
        began = time.process_time()
        train(
            recipe, table.split("train"), table.metadata, folder,
            seed=options.seed, device=torch.device("cpu"), reporter=Lines(),
        )  # fmt: skip
        seconds, chosen = round(time.process_time() - began), max((folder / "generators").iterdir())
    generator = load_generator(chosen)
    samples = generator.sample(options.samples, seed=0, examples=table.split("test"))
    about = {"recipe": recipe.name, "data": recipe.data.source, "set": options.overrides, "seed": options.seed}
    measured = figures(generator, samples, table, options.work / "cache")
    print(json.dumps({**about, "cpu_seconds": seconds, "images": len(samples.images), **measured}, indent=2))


if __name__ == "__main__":
    main()
