"""Classification accuracy score (Ravuri, Vinyals 2019): what a classifier that saw nothing but generated images knows.

It is trained on images that a conditional generator draws, with the classes asked for as labels, and tested on real
images. A generator that mixes classes up, or draws few images of each, teaches little. The paper trains a ResNet-50 on
ImageNet; here it is the project's small network (classifier.py), so the score stands beside that of as many real
training images, and nowhere else.
"""

from __future__ import annotations

from typing import NamedTuple

from gan_models.data.table import ImageTable
from gan_models.errors import RequestError
from gan_models.metrics.classifier import accuracy, trained_network
from gan_models.metrics.extraction import Bars, silent
from gan_models.metrics.judge import proportional_labels, reference_split, representative_order
from gan_models.sampling.generator import LoadedGenerator

_MOST = 50_000


class ClassificationAccuracy(NamedTuple):
    """Shares of the images of the split that are named rightly."""

    generated: float  # having learnt from generated images
    real: float  # having learnt from as many images of the train split
    images: int  # learnt from
    split: str  # tested on


def classification_accuracy(
    table: ImageTable, generator: LoadedGenerator, *, seed: int, num: int | None = None, bars: Bars = silent
) -> ClassificationAccuracy:
    """Trains the network twice, on generated and on real images, and tests both on the test split (or validation).

    The time is bounded: each training takes 2,000 steps of 64 images at most.

    Args:
        num: images to learn from; default: as many as the train split has, 50,000 at most. It never has more.
        seed: of the generated images, whose classes are as frequent as in the train split.

    Raises:
        RequestError: the generator is not asked for classes, or for others than the data's; or nothing is held out.
    """
    metadata, info = table.metadata, generator.info
    if "labels" not in generator.module.inputs:
        raise RequestError(f"{info.recipe_name} is not asked for classes: there is nothing to learn from its images")
    if info.class_names != metadata.class_names or info.image_shape != metadata.image_shape:
        raise RequestError(
            f"{info.recipe_name} was trained on other images or classes than those of {metadata.source}: name the data "
            "set it was trained on"
        )
    split = reference_split(metadata, "test")
    if split == "train":
        raise RequestError(f"{metadata.source} holds no images back to test a classifier on")
    learnt_from = table.fitting("train", shortened=True).labelled()
    count = min(len(learnt_from), _MOST if num is None else num)
    real = learnt_from.rows(representative_order(len(learnt_from))[:count])
    labels = proportional_labels(metadata, count, seed)
    samples = generator.sample(count, seed=seed, labels=labels, examples=real)
    assert real.labels is not None
    held_out = table.fitting(split, generator.device, shortened=True).labelled()
    assert held_out.labels is not None
    found = []
    for images, named, of in ((samples.images, labels, "generated"), (real.images, real.labels, "real")):
        sides = images.to(generator.device), named.to(generator.device)
        network = trained_network(*sides, metadata.num_classes, bars, f"training a classifier on {of} images")
        found.append(accuracy(network, held_out.images, held_out.labels))
    return ClassificationAccuracy(found[0], found[1], count, split)
