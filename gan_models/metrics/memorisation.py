"""Is a sample nearer to the images it was trained on than to others of the same kind?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gan_models.metrics.extraction import Extracted
    from gan_models.metrics.metric import Comparison


@dataclass(frozen=True)
class Memorisation:
    """What was found.

    `gap` is FD to held-out minus FD to training images, equally many of each: near `gap_of_real`, the same for real
    images that nobody trained on, when nothing is memorised; larger when training images are repeated.
    `distance_ratio` is the median distance to the nearest training image, in units of what it is for held-out images:
    about 1 or more when nothing is memorised, near 0 for copies; None where most held-out images equal training images.
    """

    images: int  # of the held-out and of the training images that `to_training`, `to_held_out` and the gaps are of
    searched: int  # training images among which the nearest was looked for
    to_training: float
    to_held_out: float
    gap: float
    gap_of_real: float | None
    distance_ratio: float | None


def memorisation(seen: Comparison) -> Memorisation:
    """Compares the sample with its training images and with the reference, which was held out.

    Where there are `unseen` real images outside both, the gap is calibrated by them.

    Raises:
        ValueError: fewer than two images in any of them.
    """
    from gan_models.metrics.authenticity import nearest_training
    from gan_models.metrics.frechet import frechet_distance
    from gan_models.metrics.neighbours import nearest

    sample, training, held_out = seen.sample, seen.training, seen.reference
    assert training is not None
    count = min(len(training), len(held_out))
    train_side, test_side = training.part(0, count).gaussian, held_out.part(0, count).gaussian

    def distances(images: Extracted) -> tuple[float, float]:
        return frechet_distance(images.gaussian, train_side), frechet_distance(images.gaussian, test_side)

    to_training, to_held_out = distances(sample)
    gap_of_real = None
    if seen.unseen is not None:
        unseen_to_training, unseen_to_held_out = distances(seen.unseen)
        gap_of_real = unseen_to_held_out - unseen_to_training
    own = seen.shared(nearest_training).distances.median()
    usual = nearest(held_out.features, training.features).distances.median()
    return Memorisation(
        images=count,
        searched=len(training),
        to_training=to_training,
        to_held_out=to_held_out,
        gap=to_held_out - to_training,
        gap_of_real=gap_of_real,
        distance_ratio=float(own / usual) if usual > 0 else None,
    )
