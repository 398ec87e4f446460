"""How sure a figure is of its images: the delete-a-group jackknife (Kott 2001; Efron, Tibshirani 1993, chapter 11).

Both sides are cut into ten parts at random, and the figure is computed ten times without one part of each. Unlike the
bootstrap, no image comes twice: a repeated one has itself for a nearest neighbour, which ruins figures of
neighbourhoods, and makes every Frechet distance larger.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from scipy.stats import t as student

from gan_models.metrics.metric import Comparison, Metric

GROUPS = 10
LEAST = 10 * GROUPS
"""Images on either side, below which parts are too small to say anything."""


class Interval(NamedTuple):
    """Around a figure, which it holds in the middle; within 0 and 1 for a share."""

    low: float
    high: float


def parts_of(seen: Comparison, seed: int) -> list[Comparison]:
    """The comparison without each of ten parts, once for all metrics; empty where images are few.

    Of memorisation nothing is left out: its figures are none of these.
    """
    sides = (seen.sample, seen.reference)
    if min(map(len, sides)) < LEAST:
        return []
    stream = torch.Generator().manual_seed(seed)
    kept: list[list[torch.Tensor]] = []
    for side in sides:
        part = torch.randperm(len(side), generator=stream) % GROUPS
        kept.append([torch.nonzero(part != group)[:, 0] for group in range(GROUPS)])
    return [
        Comparison(
            seen.sample.rows(ours),
            seen.reference.rows(theirs),
            own_classes=seen.own_classes,
            asked=seen.asked,
            k=seen.k,
            seed=seen.seed,
        )
        for ours, theirs in zip(*kept, strict=True)
    ]


def interval(metric: Metric, value: float, parts: Sequence[Comparison], confidence: float = 0.95) -> Interval | None:
    """Of a figure whose value is known; None where it has none on some part.

    The error is of ten values alone, so Student's t of nine degrees of freedom makes the width.
    """
    found = [metric.of(part) for part in parts]
    values = [each.value for each in found if each is not None]
    if len(values) < GROUPS:
        return None
    mean = sum(values) / GROUPS
    error = math.sqrt((GROUPS - 1) / GROUPS * sum((each - mean) ** 2 for each in values))
    margin = float(student.ppf(0.5 + confidence / 2, GROUPS - 1)) * error
    low, high = value - margin, value + margin
    return Interval(max(low, 0.0), min(high, 1.0)) if metric.is_share else Interval(low, high)
