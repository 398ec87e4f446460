"""How sure one figure is, of one generator (bootstrap.py: the difference of two).

Images are drawn without replacement, half of either side. The usual bootstrap draws with replacement, and what is
made of distances takes that amiss: an image that comes twice is its own nearest neighbour, a covariance of 63 % of the
images is that of a smaller set, and a Frechet distance of resamples is larger than the figure by its whole bias once
more, so that all percentiles of it may lie above the truth. Half-samples repeat nothing, and their spread is the
standard error of the whole: a figure of m of N rows varies, the N given, by s^2 (1/m - 1/N), which at m = N/2 is the
s^2 / N that the whole varies by (Politis, Romano 1994; the delete-half jackknife of Shao, Wu 1989).

They also tell the bias: what is off by b/N is off by 2b/N at half of the images, so twice the figure less their mean is
off by neither (Quenouille 1956).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import torch
from scipy.stats import t as student

from gan_models.metrics.bootstrap import resamples_for
from gan_models.metrics.metric import Comparison, Metric, Score


class Interval(NamedTuple):
    """Of a figure."""

    value: float
    error: float  # standard error
    low: float
    high: float  # the interval: value -+ as many errors as Student's t asks for
    resamples: int
    confidence: float  # that the interval holds what it is of


def interval(
    metric: Metric,
    seen: Comparison,
    *,
    seed: int,
    confidence: float = 0.95,
    resamples: int | None = None,
    corrected: bool = False,
    report: Callable[[], None] = lambda: None,
) -> Interval:
    """What the figure would be of new images, as many of them, generated and real.

    Args:
        confidence: two-sided. Of few resamples the error itself is uncertain: hence Student's t.
        resamples: half-samples; default 200, fewer where features are wide (`resamples_for`).
        corrected: the value, and what the interval is of, is the figure at infinitely many images: for those of which
            the bias falls as 1/N, such as FD and IS. Otherwise it is what it is called, with the bias of its N.
        report: called after each half-sample.

    Where two sets are equal in distribution, a Frechet distance varies in second order, and the error is too large.

    Raises:
        ValueError: the images, or half of them, do not allow the figure.
    """
    count = resamples or resamples_for(seen.sample.features.shape[1])
    if count < 2:
        raise ValueError(f"a spread needs at least 2 resamples, got {count}")
    figure = _figure(metric, seen)
    stream = torch.Generator().manual_seed(seed)
    drawn = []
    for _ in range(count):
        sides = (len(seen.sample), len(seen.reference))
        rows, others = (torch.randperm(size, generator=stream)[: size // 2] for size in sides)
        drawn.append(_figure(metric, seen.rows(rows, others)))
        report()
    mean = sum(drawn) / count
    error = math.sqrt(sum((value - mean) ** 2 for value in drawn) / (count - 1))
    value, uncertain = figure, error
    if corrected:
        value, uncertain = 2.0 * figure - mean, error * math.sqrt(1.0 + 1.0 / count)
    margin = float(student.ppf(0.5 + confidence / 2, count - 1)) * uncertain
    return Interval(value, uncertain, value - margin, value + margin, count, confidence)


def real_against_real(metric: Metric, seen: Comparison, *, seed: int, splits: int = 5) -> Score | None:
    """The figure of one half of the real images against the other, disjoint one: no generator of as many is nearer.

    Mean and (population) deviation over `splits` random halves of the reference; None where these do not allow it.
    """
    stream = torch.Generator().manual_seed(seed)
    real, values = seen.reference, []
    for _ in range(splits):
        order = torch.randperm(len(real), generator=stream)
        domains = None if seen.domains is None else (seen.domains[1], seen.domains[1])
        both = replace(seen, sample=real, domains=domains)
        score = metric.of(both.rows(order[: len(real) // 2], order[len(real) // 2 :]))
        if score is None:
            return None
        values.append(score.value)
    mean = sum(values) / splits
    return Score(mean, math.sqrt(sum((value - mean) ** 2 for value in values) / splits) if splits > 1 else None)


def _figure(metric: Metric, seen: Comparison) -> float:
    score = metric.of(seen)
    if score is None:
        raise ValueError(
            f"the {metric.title} of {len(seen.sample)} images against {len(seen.reference)} has no interval: they, or "
            "half of them, are too few for it"
        )
    return score.value
