"""How sure one is that a generator is nearer to the real images than another one (Efron 1979, the bootstrap)."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from scipy.stats import t as student
from torch import Tensor

from gan_models.metrics.extraction import Extracted
from gan_models.metrics.metric import Comparison, Metric

FALSE_PROMOTIONS = 0.05
"""The chance that a champion is ever replaced by what is no better."""
_MOST, _FEWEST = 200, 25
_QUICK_DIMENSIONS = 256


class Difference(NamedTuple):
    """The figure of a first set minus that of a second one, by the same reference: negative, first better.

    Of a metric of which more is better, it is the other way round; where a value is best, of the distances to it.
    """

    first: float
    second: float
    value: float
    error: float  # standard error over the resamples
    low: float
    high: float  # the interval: value -+ as many errors as Student's t asks for
    resamples: int
    confidence: float  # that the interval holds the true difference


def difference(
    metric: Metric,
    seen: Comparison,
    other: Extracted,
    *,
    seed: int,
    confidence: float = 0.95,
    report: Callable[[], None] = lambda: None,
) -> Difference:
    """Compares the sample of `seen`, N images of a generator, with those of another one, M of the same reference.

    The rows of both generators are drawn alike, for row i of both was made from the same latent, and so are the rows
    of the reference, which both are judged by. Resampling makes every distance larger (fewer distinct images), by about
    as much for both: the spread of the difference is used, not its mean.

    Args:
        confidence: of the interval, two-sided. Of few resamples the error itself is uncertain: hence Student's t.
        report: called after each resample.

    Raises:
        ValueError: the images do not allow the metric's figure.
    """
    count = resamples_for(seen.sample.features.shape[1])
    stream = torch.Generator().manual_seed(seed)
    before, after = _figures(metric, seen, seen.sample, other, seen.reference)
    paired = len(seen.sample) == len(other)
    drawn = []
    for _ in range(count):
        rows = _draw(len(seen.sample), stream)
        others = rows if paired else _draw(len(other), stream)
        part = seen.rows(rows, _draw(len(seen.reference), stream))
        figures = _figures(metric, part, part.sample, other.rows(others), part.reference)
        drawn.append(metric.distance(figures[0]) - metric.distance(figures[1]))
        report()
    mean = sum(drawn) / count
    error = math.sqrt(sum((value - mean) ** 2 for value in drawn) / (count - 1))
    value = metric.distance(before) - metric.distance(after)
    margin = float(student.ppf(0.5 + confidence / 2, count - 1)) * error
    return Difference(before, after, value, error, value - margin, value + margin, count, confidence)


def confidence_of(comparison: int) -> float:
    """Of the interval of the n-th comparison with one champion, n from 1: 0.95, 0.983, 0.992, ...

    The chance that one no better than the champion passes for better is (1 - confidence) / 2 each time, and over all
    comparisons, however many, it adds up to `FALSE_PROMOTIONS`: an error rate that is spent by a fixed schedule (as
    Lan, DeMets 1983 do over the looks at one trial), here 0.05 / (n (n + 1)).
    """
    return 1.0 - 2.0 * FALSE_PROMOTIONS / (comparison * (comparison + 1))


def _figures(
    metric: Metric, seen: Comparison, first: Extracted, second: Extracted, reference: Extracted
) -> list[float]:
    found = [metric.of(replace(seen, sample=sample, reference=reference)) for sample in (first, second)]
    if None in found:
        raise ValueError(f"the {metric.title} of so few images cannot be compared")
    return [score.value for score in found if score is not None]


def resamples_for(dimensions: int) -> int:
    """Fewer where features are wide and a distance takes seconds; 25 give the error to about a seventh of itself."""
    return max(_FEWEST, min(_MOST, _MOST * _QUICK_DIMENSIONS // dimensions))


def _draw(size: int, stream: torch.Generator) -> Tensor:
    return torch.randint(size, (size,), generator=stream)
