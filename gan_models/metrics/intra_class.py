"""Frechet distance within classes (Miyato, Koyama 2018, section 4.1, "intra FID"), or within domains.

Over all classes at once, a conditional generator may draw any class for any label, or one image for each, and still
come near; class by class it may not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor

    from gan_models.metrics.extraction import Extracted
    from gan_models.metrics.metric import Comparison

LEAST = 30
"""Images of a class on either side, below which a covariance says more about their number than about the class."""


class ClassDistance(NamedTuple):
    """Of one class."""

    label: int
    distance: float
    images: int  # of the sample


def distances_within_classes(
    sample: Extracted, labels: Tensor, reference: Extracted, reference_labels: Tensor, *, least: int = LEAST
) -> list[ClassDistance]:
    """Distance of each class of the sample to the same class of the reference, by label.

    Args:
        labels: int64 [N], the classes (or domains) asked for; of real images, their own.
        reference_labels: int64 [R], those of the reference, -1 for none.
        least: classes with fewer images on either side are left out.
    """
    from gan_models.metrics.frechet import frechet_distance

    found = []
    for label in sorted((set(labels.tolist()) | set(reference_labels.tolist())) - {-1}):
        ours, theirs = sample.features[labels == label], reference.features[reference_labels == label]
        if min(len(ours), len(theirs)) >= least:
            found.append(ClassDistance(label, frechet_distance(ours, theirs), len(ours)))
    return found


def class_distances(seen: Comparison) -> list[ClassDistance]:
    """Of each class that has images enough: `distances_within_classes` of a comparison."""
    sample, reference = seen.sample, seen.reference
    assert sample.labels is not None
    assert reference.labels is not None
    return distances_within_classes(sample, sample.labels.cpu(), reference, reference.labels)


def class_labels(seen: Comparison) -> set[int]:
    """The classes that there are on either side."""
    sides = (seen.sample.labels, seen.reference.labels)
    return {label for labels in sides if labels is not None for label in labels.tolist() if label >= 0}


def mean_within_classes(seen: Comparison) -> float | None:
    """Over all classes, or nothing: a mean over some of them would be another figure under the same name."""
    found = seen.shared(class_distances)
    return sum(one.distance for one in found) / len(found) if len(found) == len(class_labels(seen)) else None


def mean_within_domains(seen: Comparison) -> float | None:
    """Between images translated to a domain and real images of it, mean over the domains with two of either.

    Over all domains at once, images that were not translated at all would be the nearest. None where no domain has two
    images on both sides.
    """
    assert seen.domains is not None
    targets, domains = seen.domains
    found = distances_within_classes(seen.sample, targets, seen.reference, domains, least=2)
    return sum(one.distance for one in found) / len(found) if found else None
