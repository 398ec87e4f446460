"""Frechet distance within classes (Miyato, Koyama 2018, section 4.1, "intra FID"), or within domains.

Over all classes at once, a conditional generator may draw any class for any label, or one image for each, and still
come near; class by class it may not.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from gan_models.metrics.extraction import Extracted
from gan_models.metrics.frechet import frechet_distance

LEAST = 30
"""Images of a class on either side, below which a covariance says more about their number than about the class."""


class ClassDistance(NamedTuple):
    """Of one class."""

    label: int
    distance: float
    images: int
    """Of the sample."""


def distances_within_classes(
    sample: Extracted, labels: Tensor, reference: Extracted, reference_labels: Tensor, *, least: int = LEAST
) -> list[ClassDistance]:
    """Distance of each class of the sample to the same class of the reference, by label.

    Args:
        labels: int64 [N], the classes (or domains) asked for; of real images, their own.
        reference_labels: int64 [R], those of the reference.
        least: classes with fewer images on either side are left out.
    """
    found = []
    for label in sorted(set(labels.tolist()) | set(reference_labels.tolist())):
        ours, theirs = sample.features[labels == label], reference.features[reference_labels == label]
        if min(len(ours), len(theirs)) >= least:
            found.append(ClassDistance(label, frechet_distance(ours, theirs), len(ours)))
    return found


def distance_within_domains(generated: Extracted, targets: Tensor, real: Extracted, domains: Tensor) -> float:
    """Mean over domains of the Frechet distance between images translated to it and real images of it.

    Domains with fewer than two images on either side are left out.

    Raises:
        ValueError: no domain has two images on both sides.
    """
    found = distances_within_classes(generated, targets, real, domains, least=2)
    if not found:
        raise ValueError("no domain has two translated and two real images to compare")
    return sum(one.distance for one in found) / len(found)
