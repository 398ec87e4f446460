"""How good a translation between domains is: is the target reached, is the rest kept, does the way back lead back."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from gan_models.data.table import to_float
from gan_models.metrics.extraction import FeatureExtractor
from gan_models.sampling.generator import LoadedGenerator, Samples


class Translation(NamedTuple):
    """Figures of translated images."""

    reached: float
    """Share of the images that a classifier of domains takes for the domain asked for."""
    kept: float | None
    """Share that a classifier of labels takes for the label of the image they were made from; None without labels."""
    cycle_error: float
    """Mean absolute difference of an image and its translation back, as a share of the range of pixels."""


def measure_translation(
    generator: LoadedGenerator, samples: Samples, domains: FeatureExtractor, labels: FeatureExtractor | None
) -> Translation:
    """Figures of `samples`, which `generator` made of examples with domains.

    Args:
        domains: a classifier of the data's domains.
        labels: one of its labels, where it has any.
    """
    sources, source_domains = samples.sources, samples.source_domains
    assert sources is not None
    assert source_domains is not None
    returned = generator.synthesize({"images": to_float(samples.images), "domains": source_domains}).images
    kept = None
    if labels is not None and samples.labels is not None:
        kept = _share_named(labels, samples.images, samples.labels)
    return Translation(
        reached=_share_named(domains, samples.images, samples.inputs["domains"]),
        kept=kept,
        cycle_error=float((returned.double() - sources.cpu().double()).abs().mean() / 255),
    )


def _share_named(classifier: FeatureExtractor, images: Tensor, asked: Tensor) -> float:
    logits = classifier.features_and_logits(images).logits
    assert logits is not None
    return float((logits.argmax(1) == asked.cpu()).double().mean())
