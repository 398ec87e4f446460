"""Figures of what a generator's latents mean: walks between them and sums of them. For generators that take latents."""

from pathlib import Path

import torch

from components.artifacts import Figures
from gan_models.data.table import ImageTable
from gan_models.errors import RequestError
from gan_models.families.interfaces import Inputs
from gan_models.metrics.classifier import Classifier
from gan_models.sampling.draws import Draws
from gan_models.sampling.generator import LoadedGenerator
from gan_models.sampling.grids import enlargement, image_grid
from gan_models.sampling.latents import linear, mean_latents, row_latents, rows, spherical
from gan_models.tasks.base import Picture

INTERPOLATION_FILE, ARITHMETIC_FILE = "interpolation.png", "arithmetic.png"
WALKS, WALK_STEPS = 4, 10
_SUMS = 6
_LABELLED = 2000  # images that the classifier looks at
_SURE = 0.95


def draw_interpolation(generator: LoadedGenerator, seed: int) -> Picture:
    """Walks between pairs of latents, each twice: on the straight line, and below it on the great circle.

    Whatever else the generator takes (class, caption) stays as it is along a walk.
    """
    draws = Draws(seed, WALKS)
    ends = draws.normal(2, generator.module.latent)
    walks = [walk(start, end, WALK_STEPS) for start, end in ends for walk in (linear, spherical)]
    kept = generator.module.draw_inputs(draws, examples=generator.examples)
    inputs: Inputs = {name: tensor.repeat_interleave(2 * WALK_STEPS, dim=0) for name, tensor in kept.items()}
    inputs["latents"] = torch.cat(walks)
    images = generator.synthesize(inputs).images
    return Picture(INTERPOLATION_FILE, "", image_grid(images, WALK_STEPS), enlargement(images))


def draw_arithmetic(generator: LoadedGenerator, report: Path, dataset: Path, cache: Path, seed: int) -> Picture:
    """Rows of a, b, c and a - b + c on mean latents, where the evaluation's classifier can tell what an image shows.

    Args:
        report: folder of the evaluation; its classifier is taken from `cache`, not trained again.
    """
    try:
        _check_classes(generator, report)
        table = ImageTable.open(dataset)
        classifier = Classifier.for_table(table, cache=cache / "classifiers")
        latents = Draws(seed, _LABELLED).normal(generator.module.latent)
        seen = classifier.features_and_logits(generator.synthesize({"latents": latents}).images)
        assert seen.logits is not None
        terms = mean_latents(latents, seen.logits.softmax(dim=1), sure=_SURE)
        triples = rows(terms, _SUMS)
    except RequestError as error:
        return Picture(ARITHMETIC_FILE, f"no {ARITHMETIC_FILE}: {error}")
    images = generator.synthesize({"latents": torch.cat([row_latents(terms, triple) for triple in triples])}).images
    names = table.metadata.class_names
    sums = ", ".join(" ".join((names[a], "-", names[b], "+", names[c])) for a, b, c in triples)
    legend = f"{ARITHMETIC_FILE}, rows from the top: {sums}"
    return Picture(ARITHMETIC_FILE, legend, image_grid(images, 4), enlargement(images))


def _check_classes(generator: LoadedGenerator, report: Path) -> None:
    """Raises RequestError where the latents of this generator have no classes of their own."""
    if generator.module.inputs != ("latents",):
        others = " and ".join(name for name in generator.module.inputs if name != "latents")
        raise RequestError(f"what an image shows is asked for by its {others}, not by the latent")
    judged = (report / Figures.FILE).is_file()
    extractor = Figures.read(report).protocol.extractor["name"] if judged else "nothing"
    if extractor != "classifier":
        raise RequestError(f"the images were judged by {extractor}, which does not know the data's classes")
