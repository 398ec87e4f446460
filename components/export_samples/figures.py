"""Figures of what a generator's latents mean: walks between them and sums of them. For generators that take latents."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from components.artifacts import Figures
from gan_models.data.table import ImageTable, Split
from gan_models.errors import RequestError
from gan_models.families.interfaces import Inputs
from gan_models.metrics.classifier import Classifier
from gan_models.sampling.arithmetic import mean_latents, row_latents, rows
from gan_models.sampling.generator import LoadedGenerator
from gan_models.sampling.grids import image_grid, save_png
from gan_models.sampling.interpolation import linear, spherical

WALKS, WALK_STEPS = 4, 10
_SUMS = 6
_LABELLED = 2000  # images that the classifier looks at
_SURE = 0.95


class Drawn(NamedTuple):
    """Whether a picture was written; its legend, or why it was not."""

    written: bool
    sentence: str


def write_interpolation(path: Path, generator: LoadedGenerator, seed: int, examples: Split | None = None) -> None:
    """Walks between pairs of latents, each twice: on the straight line, and below it on the great circle.

    Whatever else the generator takes (class, caption) stays as it is along a walk.
    """
    stream = torch.Generator().manual_seed(seed)
    ends = torch.randn(WALKS, 2, generator.module.latent, generator=stream)
    walks = [walk(start, end, WALK_STEPS) for start, end in ends for walk in (linear, spherical)]
    kept = generator.module.draw_inputs(WALKS, stream, examples=examples or generator.examples)
    inputs: Inputs = {name: tensor.repeat_interleave(2 * WALK_STEPS, dim=0) for name, tensor in kept.items()}
    inputs["latents"] = torch.cat(walks)
    images = generator.synthesize(inputs).images
    save_png(image_grid(images, WALK_STEPS), path, scale=_scale(images))


def write_arithmetic(
    path: Path, generator: LoadedGenerator, report: Path, dataset: Path, cache: Path, seed: int
) -> Drawn:
    """Rows of a, b, c and a - b + c on mean latents, where the evaluation's classifier can tell what an image shows.

    Args:
        report: folder of the evaluation; its classifier is taken from `cache`, not trained again.
    """
    reason = _reason_against(generator, report)
    if reason:
        return Drawn(False, f"no {path.name}: {reason}")
    try:
        table = ImageTable.open(dataset)
        classifier = Classifier.for_table(table, cache=cache / "classifiers")
    except RequestError as error:
        return Drawn(False, f"no {path.name}: {error}")
    latents = torch.randn(_LABELLED, generator.module.latent, generator=torch.Generator().manual_seed(seed))
    seen = classifier.features_and_logits(generator.synthesize({"latents": latents}).images)
    assert seen.logits is not None
    terms = mean_latents(latents, seen.logits.softmax(dim=1), sure=_SURE)
    try:
        triples = rows(terms, _SUMS)
    except ValueError as error:
        return Drawn(False, f"no {path.name}: {error}")
    images = generator.synthesize({"latents": torch.cat([row_latents(terms, triple) for triple in triples])}).images
    save_png(image_grid(images, 4), path, scale=_scale(images))
    names = table.metadata.class_names
    sums = ", ".join(" ".join((names[a], "-", names[b], "+", names[c])) for a, b, c in triples)
    return Drawn(True, f"{path.name}, rows from the top: {sums}")


def _reason_against(generator: LoadedGenerator, report: Path) -> str:
    """Why the latents of this generator have no classes of their own; empty where they do."""
    if generator.module.inputs != ("latents",):
        others = " and ".join(name for name in generator.module.inputs if name != "latents")
        return f"what an image shows is asked for by its {others}, not by the latent"
    judged = (report / Figures.FILE).is_file()
    extractor = Figures.read(report).extractor["name"] if judged else "nothing"
    if extractor != "classifier":
        return f"the images were judged by {extractor}, which does not know the data's classes"
    return ""


def _scale(images: Tensor) -> int:
    """Small images are enlarged to about 56 pixels."""
    return max(1, 56 // images.shape[1])
