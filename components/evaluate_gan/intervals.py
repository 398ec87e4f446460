"""How sure the figures are: intervals of what the generator and real images in its place get, as far as cheaply had.

Frechet distances are taken of half-samples where features are narrow (`gan_models.metrics.intervals` says why), else of
parts of the sample; shares of images have Wilson's interval (1927) over the images that are counted; IS and KID bring a
spread of their own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from scipy.stats import norm
from scipy.stats import t as student
from torch import Tensor

from components.evaluate_gan.findings import Findings, Interval, Intervals, Reading
from gan_models.metrics.frechet import frechet_distance

if TYPE_CHECKING:
    from gan_models.metrics.extraction import Extracted
    from gan_models.metrics.judge import Material

CONFIDENCE = 0.95
_RESAMPLES, _PARTS = 25, 5
_NARROW = 256  # features, up to which a distance takes milliseconds
_LEAST = 20  # images of a part that has a spread worth telling

_COUNTED = {"precision": "sample", "recall": "reference", "coverage": "reference", "agreement": "sample"}
"""Shares, and whose images are counted."""


def intervals(findings: Findings, material: Material, seed: int) -> dict[str, Intervals]:
    """By metric, of those that have one."""
    found: dict[str, Intervals] = {}
    for metric, row in findings.lines():
        name = row.metric
        if name == "FD":
            found |= _of_distance(row.generated, row.real, material, seed)
        elif name in _COUNTED:
            of_reference = _COUNTED[name] == "reference"
            ours, theirs = (
                reading and wilson(reading.value, len(material.reference) if of_reference else reading.images)
                for reading in (row.generated, row.real)
            )
            how = f"Wilson's 95 % interval over the {'real' if of_reference else 'generated'} images that are counted"
            found[name] = Intervals(generated=ours, real=theirs, how=how)
        elif row.generated.std is not None:
            what = "splits" if metric.title == "Inception Score" else "subsets"
            ours, theirs = (_spread(reading) for reading in (row.generated, row.real))
            found[name] = Intervals(generated=ours, real=theirs, how=f"standard deviation over {what}")
    return found


def wilson(share: float, count: int, confidence: float = CONFIDENCE) -> Interval:
    """Of a share of `count` independent cases."""
    z = float(norm.ppf(0.5 + confidence / 2))
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    # Of none and of all, rounding must not leave a hair.
    low, high = (0.0 if share == 0 else middle - half), (1.0 if share == 1 else middle + half)
    return Interval(low=low, high=high)


def _spread(reading: Reading | None) -> Interval | None:
    if reading is None or reading.std is None:
        return None
    return Interval(low=reading.value - reading.std, high=reading.value + reading.std)


class _Drawn(NamedTuple):
    """Distances of one resample."""

    generated: float
    real: float
    difference: float  # at equal numbers of images


def _of_distance(ours: Reading, theirs: Reading | None, material: Material, seed: int) -> dict[str, Intervals]:
    sample, real, reference = material.generated, material.real, material.reference
    if theirs is None or min(len(sample), len(real), len(reference)) < _LEAST * _PARTS:
        return {}
    few = min(len(sample), len(real))
    matched = sample.part(0, few)
    if sample.features.shape[1] <= _NARROW:
        drawn = _resampled(sample, matched, real, reference, seed)
        scale, how = 1.0, f"{_RESAMPLES} half-samples of all sides, 95 %"
    else:
        drawn = _by_parts(matched, real, reference)
        scale, how = 1 / math.sqrt(_PARTS), f"spread over {_PARTS} parts of the images, 95 %"
    at_equal = frechet_distance(matched.gaussian, reference.gaussian) - theirs.value
    return {
        "FD": Intervals(
            generated=_around(ours.value, [one.generated for one in drawn], scale, lowest=0.0),
            real=_around(theirs.value, [one.real for one in drawn], scale, lowest=0.0),
            difference=_around(at_equal, [one.difference for one in drawn], scale),
            how=how,
        )
    }


def _resampled(sample: Extracted, matched: Extracted, real: Extracted, reference: Extracted, seed: int) -> list[_Drawn]:
    """Fewer images make every distance larger: only the spread around the mean is used."""
    stream = torch.Generator().manual_seed(seed)

    def draw(images: Extracted) -> Extracted:
        return images.rows(_rows(len(images), stream))

    drawn = []
    for _ in range(_RESAMPLES):
        by, other = draw(reference).gaussian, draw(real).gaussian
        whole = draw(sample)
        ours, theirs = frechet_distance(whole.gaussian, by), frechet_distance(other, by)
        equal = ours if matched is sample else frechet_distance(draw(matched).gaussian, by)
        drawn.append(_Drawn(ours, theirs, equal - theirs))
    return drawn


def _by_parts(matched: Extracted, real: Extracted, reference: Extracted) -> list[_Drawn]:
    size = len(matched) // _PARTS
    drawn = []
    for start in range(0, size * _PARTS, size):
        ours, theirs = (
            frechet_distance(side.part(start, start + size).gaussian, reference.gaussian) for side in (matched, real)
        )
        drawn.append(_Drawn(ours, theirs, ours - theirs))
    return drawn


def _rows(size: int, stream: torch.Generator) -> Tensor:
    return torch.randperm(size, generator=stream)[: size // 2]


def _around(value: float, drawn: Sequence[float], scale: float, lowest: float = -math.inf) -> Interval:
    mean = sum(drawn) / len(drawn)
    error = scale * math.sqrt(sum((one - mean) ** 2 for one in drawn) / (len(drawn) - 1))
    margin = float(student.ppf(0.5 + CONFIDENCE / 2, len(drawn) - 1)) * error
    return Interval(low=max(lowest, value - margin), high=value + margin)
