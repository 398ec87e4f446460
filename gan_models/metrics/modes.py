"""Modes found, and how evenly (Srivastava et al. 2017, VEEGAN, section 4.1; Lin et al. 2018, PacGAN, section 4.1).

A mode is a class of the data, as its own classifier sees it: stacked MNIST has 1,000 of them. One is found where an
image of the sample is taken for it. Few images find few modes, so both figures need ten for each class; the divergence
of an even sample of so many from its own distribution is about (K - 1) / 2N, at most 0.05.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gan_models.metrics.distributions import kullback_leibler

if TYPE_CHECKING:
    from gan_models.metrics.extraction import Extracted
    from gan_models.metrics.metric import Comparison

IMAGES_FOR_A_CLASS = 10


def class_counts(images: Extracted) -> np.ndarray:
    """int64 [K]: how many images are taken for each class."""
    assert images.logits is not None
    counts: np.ndarray = images.logits.argmax(dim=1).bincount(minlength=images.logits.shape[1]).numpy()
    return counts


def modes_found(seen: Comparison) -> int | None:
    """Classes that an image of the sample is taken for; None where there are fewer than ten images for each class."""
    counts = class_counts(seen.sample)
    return int((counts > 0).sum()) if counts.sum() >= IMAGES_FOR_A_CLASS * len(counts) else None


def class_divergence(seen: Comparison) -> float | None:
    """KL(generated || real) of the classes in nats; None where either side has fewer than ten images for each class.

    Real are the training images, or the reference where there are none. A class that none of them is taken for counts
    as half an image: else one generated image of it would make the figure infinite.
    """
    counts = class_counts(seen.sample)
    real = class_counts(seen.reference if seen.training is None else seen.training).astype(float)
    if min(counts.sum(), real.sum()) < IMAGES_FOR_A_CLASS * len(counts):
        return None
    return divergence(counts, real)


def divergence(generated: np.ndarray, real: np.ndarray) -> float:
    """KL(generated || real) in nats of counts [K]; a real count of 0 is taken for half an image."""
    expected = np.where(real > 0, real, 0.5)
    return kullback_leibler(generated / generated.sum(), expected / expected.sum())
