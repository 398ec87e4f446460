"""The metrics there are, each one record of `METRICS`: what is written, shown and chosen by is made from these.

A metric of an installed package is one record more (entry point group `gan_pipeline.metrics`, see docs/extending.md).
What needs PyTorch is imported when a figure is computed, so names and directions are known without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from gan_models.metrics.authenticity import authenticity_of
from gan_models.metrics.extractors import EXTRACTORS
from gan_models.metrics.intra_class import mean_within_classes, mean_within_domains
from gan_models.metrics.memorisation import memorisation
from gan_models.metrics.metric import Comparison, Metric, Score
from gan_models.plugins import Registry

if TYPE_CHECKING:
    from gan_models.metrics.extraction import Extracted
    from gan_models.metrics.neighbours import Neighbourhoods

_OF_A_CLASS = 10


def _frechet(seen: Comparison) -> float:
    from gan_models.metrics.frechet import frechet_distance

    return frechet_distance(seen.sample.gaussian, seen.reference.gaussian)


def _kernel(seen: Comparison) -> Score:
    from gan_models.metrics.kernel_distance import kernel_distance

    used, sides = seen.parameters, (seen.sample.features, seen.reference.features)
    return kernel_distance(*sides, subsets=used.kid_subsets, subset_size=used.kid_subset_size, seed=seen.seed)


def _inception(seen: Comparison) -> Score:
    from gan_models.metrics.inception_score import inception_score

    assert seen.sample.logits is not None
    return inception_score(seen.sample.logits, splits=seen.parameters.is_splits, seed=seen.seed)


def _balls(figure: str) -> Callable[[Comparison], float | None]:
    """One of the four; None where a ball to the k-th neighbour would hold half of a side or more."""

    def compute(seen: Comparison) -> float | None:
        if min(len(seen.sample), len(seen.reference)) <= 2 * seen.k:
            return None
        found: float = getattr(seen.shared(_neighbourhoods), figure)
        return found

    return compute


def _neighbourhoods(seen: Comparison) -> Neighbourhoods:
    from gan_models.metrics.neighbours import neighbourhoods

    return neighbourhoods(seen.sample.features, seen.reference.features, k=seen.k)


def _frechet_infinity(seen: Comparison) -> float | None:
    """None where features are wide for the number of images."""
    from gan_models.metrics.frechet_infinity import frechet_infinity, images_needed

    sample, reference = seen.sample.features, seen.reference.features
    if min(len(sample), len(reference)) < images_needed(sample.shape[1]):
        return None
    return frechet_infinity(sample, reference, seed=seen.seed).value


def _rbf(seen: Comparison) -> float:
    from gan_models.metrics.rbf_distance import rbf_distance

    return rbf_distance(seen.sample.features, seen.reference.features)


def _modes(seen: Comparison) -> float | None:
    from gan_models.metrics.modes import modes_found

    return modes_found(seen)


def _class_divergence(seen: Comparison) -> float | None:
    from gan_models.metrics.modes import class_divergence

    return class_divergence(seen)


def _path_length(seen: Comparison) -> Score:
    assert seen.generator is not None
    return seen.generator.path_length


def _classification_accuracy(seen: Comparison) -> float:
    """Of the reference in the sample's place, what was learnt from as many real images."""
    assert seen.generator is not None
    found = seen.generator.accuracy
    return found.real if seen.sample is seen.reference else found.generated


def _smallest_class(seen: Comparison) -> float | None:
    """None where a class has few images even when all have equally many."""
    shares = class_shares(seen.sample)
    return min(shares) if len(seen.sample) >= _OF_A_CLASS * len(shares) else None


def confidence(images: Extracted) -> float:
    """Mean probability of the likeliest class."""
    assert images.logits is not None
    return float(images.logits.double().softmax(dim=1).amax(dim=1).mean())


def agreement(images: Extracted) -> float:
    """Share of the images with a label that are taken for the class they are labelled with."""
    assert images.logits is not None
    assert images.labels is not None
    named, labels = images.logits.argmax(dim=1), images.labels.cpu()
    return float((named == labels)[labels >= 0].double().mean())


def class_shares(images: Extracted) -> list[float]:
    """Of each class, the share of the images that are taken for it."""
    assert images.logits is not None
    seen, classes = images.logits.argmax(dim=1), images.logits.shape[1]
    return (seen.bincount(minlength=classes).double() / len(images)).tolist()


def confusion(images: Extracted) -> list[list[int]]:
    """For each class, how many images that are labelled with it are taken for each class."""
    assert images.logits is not None
    assert images.labels is not None
    seen, classes = images.logits.argmax(dim=1), images.logits.shape[1]
    counts = (images.labels.cpu() * classes + seen.cpu()).bincount(minlength=classes * classes)
    return counts.view(classes, classes).tolist()


METRICS: Registry[Metric] = Registry(
    "metric",
    "gan_pipeline.metrics",
    {
        "FD": Metric("Frechet distance", "lower", _frechet, published="FID", selects=True),
        "KID": Metric("Kernel distance", "lower", _kernel, least=20),
        "IS": Metric("Inception Score", "higher", _inception, needs=("logits",), least=50),
        "precision": Metric("precision", "higher", _balls("precision"), least=20),
        "recall": Metric("recall", "higher", _balls("recall"), least=20),
        "density": Metric("density", "higher", _balls("density"), least=20),
        "coverage": Metric("coverage", "higher", _balls("coverage"), least=20),
        "confidence": Metric(
            "confidence of the classifier", "higher", lambda seen: confidence(seen.sample), needs=("classes",),
            beside="reference", is_share=True, goes_first=False, short="confidence"
        ),
        "agreement": Metric(
            "agreement with the class asked for", "higher", lambda seen: agreement(seen.sample),
            needs=("classes", "labels"), beside="reference", is_share=True, short="class asked for"
        ),
        "smallest-class": Metric(
            "share of the smallest class", "higher", _smallest_class, needs=("classes",),
            beside="reference", is_share=True, goes_first=False, in_terminal=False
        ),
        "intra-FD": Metric(
            "Frechet distance within classes, mean", "lower", mean_within_classes, needs=("reference", "asked"),
            published="intra-FID", in_terminal=False
        ),
        "FD-within-domains": Metric(
            "Frechet distance within each domain, mean over domains", "lower", mean_within_domains,
            needs=("reference", "domains"), beside="nothing", selects=True
        ),
        "FD-gap": Metric(
            "Frechet distance to held-out images minus that to as many training images", "near 0",
            lambda seen: seen.shared(memorisation).gap, needs=("reference", "training"), beside="nothing",
            goes_first=False, in_report=False, in_terminal=False, least=20
        ),
        "nearest-ratio": Metric(
            "distance to the nearest training image over that of held-out images, medians", "near 1",
            lambda seen: seen.shared(memorisation).distance_ratio, needs=("reference", "training"), beside="nothing",
            goes_first=False, in_report=False, in_terminal=False, least=20
        ),
        "FD-infinity": Metric(
            "Frechet distance extrapolated to infinitely many images", "lower",
            lambda seen: seen.shared(_frechet_infinity), least=100, goes_first=False, in_terminal=False
        ),
        "MMD-rbf": Metric(
            "Gaussian-kernel distance", "lower", lambda seen: seen.shared(_rbf), least=100, goes_first=False,
            in_terminal=False, published="CMMD", published_with="clip"
        ),
        "authenticity": Metric(
            "share of images that no training image was copied for", "higher",
            lambda seen: seen.shared(authenticity_of), needs=("training",), beside="nothing", is_share=True,
            goes_first=False, in_terminal=False, least=20
        ),
        "modes": Metric(
            "classes found", "higher", _modes, needs=("classes",), beside="reference", goes_first=False,
            in_terminal=False
        ),
        "class-KL": Metric(
            "divergence of the classes from those of real images", "lower", _class_divergence,
            needs=("reference", "classes"), beside="reference", goes_first=False, in_terminal=False
        ),
        "path-length": Metric(
            "perceptual path length", "lower", _path_length, needs=("generator",), beside="nothing",
            goes_first=False, in_terminal=False, only_named=True
        ),
        "CAS": Metric(
            "classification accuracy score", "higher", _classification_accuracy, needs=("generator", "reference"),
            beside="reference", is_share=True, goes_first=False, in_terminal=False, only_named=True
        ),
    },
)  # fmt: skip


def score(seen: Comparison, metrics: Iterable[str] = METRICS) -> dict[str, Score]:
    """Every figure that applies; small sets lower the `parameters`. ValueError: other features, NaN or Inf."""
    found = {name: METRICS[name].of(seen) for name in metrics}
    return {name: figure for name, figure in found.items() if figure is not None}


def chosen_by(seen: Comparison) -> str:
    """The metric that generators are chosen by when they are compared like this."""
    return [name for name, metric in METRICS.items() if metric.selects and metric.applies(seen)][-1]


def deciding(figures: Collection[str]) -> str:
    """Of keys, that of the figure generators are chosen by (lower is better); "" where there is none.

    >>> deciding(["IS-classifier", "FD-classifier"])
    'FD-classifier'
    """
    selecting = [name for name, metric in METRICS.items() if metric.selects]
    return next((found for name in reversed(selecting) if (found := figure_of(name, figures))), "")


def figure_of(metric: str, figures: Collection[str]) -> str:
    """Of keys, that of a metric's figure; "" where there is none.

    >>> figure_of("FD", ["FD-gap-classifier", "FD-classifier", "FD-classifier-std"])
    'FD-classifier'

    Versions registered before figures had protocols carry split and number in the key:

    >>> figure_of("FD", ["FD-gap-classifier-test-5000", "FD-classifier-test-5000"])
    'FD-classifier-test-5000'
    """
    known = METRICS.get(metric)
    called = {metric, known.published or metric} if known else {metric}
    keys = {metric_key(metric, extractor) for extractor in EXTRACTORS}
    before = {f"{each}-{extractor}" for each in called for extractor in EXTRACTORS}
    of_files = tuple(
        f"{one}-{extractor}-" for one in called for extractor, each in EXTRACTORS.items() if each.takes_file
    )

    def is_meant(name: str) -> bool:
        return name in keys or (name.startswith(of_files) and not name.endswith("-std")) or _without(name) in before

    return next((name for name in figures if is_meant(name)), "")


def _without(name: str) -> str:
    return _SPLIT_AND_NUMBER.sub("", name)


_SPLIT_AND_NUMBER = re.compile(r"(-train|-validation|-test)?-\d+$")


def metric_key(metric: str, extractor: str) -> str:
    """What a figure is called: metric and extractor, which is left out for the 2015 Inception network.

    Its features are those of published figures, and only with them is a Frechet distance an FID. How many images were
    compared with which is the figure's `Protocol`.

    >>> metric_key("FD", "classifier")
    'FD-classifier'
    >>> metric_key("FD", "inception-2015"), metric_key("KID", "inception-2015")
    ('FID', 'KID')
    >>> metric_key("intra-FD-of-cat", "inception-2015")
    'intra-FID-of-cat'

    CMMD is the Gaussian-kernel distance by CLIP's features, and stays beside the digest of the file they are by:

    >>> metric_key("MMD-rbf", "clip-5f2c0a11"), metric_key("MMD-rbf", "inception-2015")
    ('CMMD-clip-5f2c0a11', 'MMD-rbf-inception-2015')
    """
    name, of, what = metric.partition("-of-")
    known, features = METRICS.get(name), EXTRACTORS.get(extractor)
    if known is not None and known.published_with:
        return f"{known.published if extractor.startswith(f'{known.published_with}-') else metric}-{extractor}"
    if features is None or not features.published:
        return f"{metric}-{extractor}"
    return ((known.published if known else "") or name) + of + what
