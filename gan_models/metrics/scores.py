"""All figures of one sample against one reference, under names that say what was measured."""

from __future__ import annotations

from typing import Literal, NamedTuple

from gan_models.metrics.extractors import Extracted
from gan_models.metrics.frechet import frechet_distance
from gan_models.metrics.inception_score import inception_score
from gan_models.metrics.kernel_distance import kernel_distance
from gan_models.metrics.neighbours import nearest, neighbourhoods

SPLITS = 10  # of the Inception Score, as everybody reports it
SUBSETS, SUBSET_SIZE = 100, 1000  # of the kernel distance, as torch-fidelity takes them

Better = Literal["lower", "higher"]
BETTER: dict[str, Better] = {
    "FD": "lower",
    "KID": "lower",
    "IS": "higher",
    "precision": "higher",
    "recall": "higher",
    "density": "higher",
    "coverage": "higher",
}
"""The metrics of `score`, in the order they are reported."""


class Score(NamedTuple):
    """A figure; `std` over splits (IS) or subsets (KID), None for the others."""

    value: float
    std: float | None = None


class Parameters(NamedTuple):
    """What the figures were computed with."""

    is_splits: int
    kid_subsets: int
    kid_subset_size: int
    neighbours: int


def parameters(count: int, references: int, k: int) -> Parameters:
    """The usual ones, or what so many generated and real images allow."""
    fewest = min(count, references)
    # At most half of a side: subsets that are the whole of it would all be the same, and their spread 0.
    size = min(SUBSET_SIZE, max(2, fewest // 2))
    return Parameters(min(SPLITS, count), SUBSETS, size, min(k, fewest - 1))


def score(sample: Extracted, reference: Extracted, *, k: int = 5, seed: int = 2020) -> dict[str, Score]:
    """Every metric of `BETTER` for sample [N] against reference [M] images; IS only where there are logits.

    Small sets lower the `parameters` rather than fail.

    Args:
        k: of precision, recall, density and coverage.
        seed: of the splits of IS and the subsets of KID.

    Raises:
        ValueError: fewer than two images on either side.
    """
    used = parameters(len(sample), len(reference), k)
    kernel = kernel_distance(
        sample.features, reference.features, subsets=used.kid_subsets, subset_size=used.kid_subset_size, seed=seed
    )
    balls = neighbourhoods(sample.features, reference.features, k=used.neighbours)
    scores = {
        "FD": Score(frechet_distance(sample.gaussian, reference.gaussian)),
        "KID": Score(kernel.mean, kernel.std),
        **{name: Score(value) for name, value in balls._asdict().items()},
    }
    if sample.logits is not None:
        inception = inception_score(sample.logits, splits=used.is_splits, seed=seed)
        scores["IS"] = Score(inception.mean, inception.std)
    return {name: scores[name] for name in BETTER if name in scores}


def metric_name(metric: str, extractor: str, count: int, split: str | None = None) -> str:
    """The full name of a figure: metric, extractor, reference split where there is one, number of images scored.

    Only the 2015 Inception network makes a Frechet distance an FID.

    >>> metric_name("FD", "classifier", 5000, "test")
    'FD-classifier-test-5000'
    >>> metric_name("IS", "classifier", 5000)
    'IS-classifier-5000'
    >>> metric_name("FD", "inception-2015", 50000, "train")
    'FID-inception-2015-train-50000'
    >>> metric_name("intra-FD-of-cat", "inception-2015", 5000, "test")
    'intra-FID-of-cat-inception-2015-test-5000'
    """
    if extractor == "inception-2015" and metric.split("-of-")[0] in ("FD", "intra-FD"):
        metric = metric.replace("FD", "FID", 1)
    return "-".join(part for part in (metric, extractor, split, str(count)) if part)


class Memorisation(NamedTuple):
    """Is the sample nearer to the images it was trained on than to others of the same kind?

    `gap` is FD to held-out minus FD to training images, equally many of each: near `gap_of_real`, the same for real
    images that nobody trained on, when nothing is memorised; larger when training images are repeated.
    `distance_ratio` is the median distance to the nearest training image, in units of what it is for held-out images:
    about 1 or more when nothing is memorised, near 0 for copies.
    """

    images: int
    """Of the held-out and of the training images that `to_training`, `to_held_out` and the gaps are of."""
    searched: int
    """Training images among which the nearest was looked for."""
    to_training: float
    to_held_out: float
    gap: float
    gap_of_real: float | None
    distance_ratio: float


def memorisation(
    sample: Extracted, training: Extracted, held_out: Extracted, unseen: Extracted | None = None
) -> Memorisation:
    """Compares a generated sample with training and with held-out images.

    Args:
        unseen: further real images outside the training set, to calibrate the gap with.

    Raises:
        ValueError: fewer than two images in any of them.
    """
    count = min(len(training), len(held_out))
    train_side, test_side = training.part(0, count).gaussian, held_out.part(0, count).gaussian

    def distances(images: Extracted) -> tuple[float, float]:
        return frechet_distance(images.gaussian, train_side), frechet_distance(images.gaussian, test_side)

    to_training, to_held_out = distances(sample)
    gap_of_real = None
    if unseen is not None:
        unseen_to_training, unseen_to_held_out = distances(unseen)
        gap_of_real = unseen_to_held_out - unseen_to_training
    own = nearest(sample.features, training.features).distances.median()
    usual = nearest(held_out.features, training.features).distances.median()
    return Memorisation(
        images=count,
        searched=len(training),
        to_training=to_training,
        to_held_out=to_held_out,
        gap=to_held_out - to_training,
        gap_of_real=gap_of_real,
        distance_ratio=float(own / usual.clamp(min=1e-12)),
    )
