"""Authenticity (Alaa et al. 2022, "How Faithful is your Synthetic Data?", section 3.3): are training images repeated?

A generated image counts as made up where its nearest training image is farther from it than from its own nearest
neighbour among the other training images. Copies, and images with less noise on them than training images differ by,
give 0. New real images are not at 1 but somewhat above a half, for it is as likely that one is nearer as that the other
is: read it beside that, or `nearest-ratio`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gan_models.metrics.matrices import Matrix
    from gan_models.metrics.metric import Comparison
    from gan_models.metrics.neighbours import Nearest


def authenticity(generated: Matrix, training: Matrix) -> float:
    """Share of generated features [N, D] that are no copies of training features [M, D].

    Raises:
        ValueError: different D, fewer than two training images, or values that are not finite.
    """
    from gan_models.metrics.neighbours import nearest

    return _share(nearest(generated, training), training)


def authenticity_of(seen: Comparison) -> float | None:
    """None where there are no two training images."""
    assert seen.training is not None
    return _share(seen.shared(nearest_training), seen.training.features) if len(seen.training) > 1 else None


def nearest_training(seen: Comparison) -> Nearest:
    """The training image nearest to each image of the sample."""
    from gan_models.metrics.neighbours import nearest

    assert seen.training is not None
    return nearest(seen.sample.features, seen.training.features)


def _share(found: Nearest, training: Matrix) -> float:
    import torch

    from gan_models.metrics.neighbours import nearest

    # Only training images that are nearest to something are asked for their own neighbours; the first is itself.
    copied, which = torch.unique(found.indices[:, 0], return_inverse=True)
    own = nearest(training[copied], training, k=2).distances[:, 1]
    return float((found.distances[:, 0] > own[which]).double().mean())
