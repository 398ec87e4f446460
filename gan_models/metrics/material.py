"""Draws the sample and gathers everything it is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from gan_models.errors import RequestError
from gan_models.metrics.extraction import Extracted
from gan_models.metrics.judge import Judge, reference_split
from gan_models.sampling.generator import LoadedGenerator, Samples

_LEAST = 2  # images that have a spread


class Material(NamedTuple):
    """What an evaluation compares. N images were generated, R stand for the reference split."""

    generator: LoadedGenerator
    samples: Samples
    """What was drawn, with what it was made from."""
    generated: Extracted
    """Features of that."""
    split: str
    """The reference split."""
    reference: Extracted
    """Of R of its images: N, or all where it holds fewer."""
    training: Extracted
    """Of the first training images in `representative_order`: of all where the extractor is quick, else at least N."""
    real: Extracted
    """Of those of them that are not in the reference: N, or all where there are fewer."""
    unseen: Extracted | None
    """Of validation images: neither trained on nor in the reference."""


def collect(folder: Path, judge: Judge, num: int, seed: int) -> Material:
    """Draws `num` images of a generator folder and extracts features of them and of real images.

    Raises:
        RequestError: the generator does not go with the data, or there are too few real images to compare with.
    """
    metadata = judge.table.metadata
    split = reference_split(metadata, "test")
    reference, training, real = _real_sets(judge, split, num)
    if min(len(reference), len(real)) < _LEAST:
        raise RequestError(
            f"{metadata.source} has too few images: an evaluation compares at least {_LEAST} training images with "
            f"{_LEAST} others"
        )
    validated = split == "test" and metadata.count("validation") >= _LEAST
    unseen = judge.real("validation", num) if validated else None
    generator, samples = judge.draw(folder, split, num, seed)
    return Material(generator, samples, judge.generated(samples), split, reference, training, real, unseen)


def _real_sets(judge: Judge, split: str, num: int) -> tuple[Extracted, Extracted, Extracted]:
    """Features of the reference, of training images, and of the real images judged in the generator's place."""
    total = judge.table.metadata.count("train")
    if split != "train":
        training = judge.real("train", total if judge.extractor.quick else num)
        return judge.real(split, num), training, training.part(0, num)
    # Nothing was held out: half of the training images stand for the reference, others for the generator.
    references = min(num, total // 2)
    training = judge.real("train", total if judge.extractor.quick else references + num)
    return training.part(0, references), training, training.part(references, references + num)
