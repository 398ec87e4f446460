"""Inception Score (Salimans et al. 2016, section 4): exp of the mean KL divergence of p(y|x) from p(y).

High when each image is clearly of one class and the classes are even. It sees neither copies of training images nor
variety within a class, and grows with the number of images: read it beside the others.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from gan_models.metrics.matrices import Matrix, as_float64


class InceptionScore(NamedTuple):
    """`mean` and (population) standard deviation `std` over the splits; between 1 and the number of classes."""

    mean: float
    std: float


def inception_score(logits: Matrix, *, splits: int = 10, shuffle: bool = True, seed: int = 2020) -> InceptionScore:
    """Inception Score of class logits [N, K].

    Args:
        splits: the images are scored in so many parts.
        shuffle: take the images in an order drawn with `seed`, as torch-fidelity does: sorted ones would score too low.

    Raises:
        ValueError: fewer images than splits, or logits that are not finite.
    """
    rows = as_float64(logits, "logits")
    count = len(rows)
    if splits < 1 or count < splits:
        raise ValueError(f"{count} images can't be scored in {splits} splits")
    if shuffle:
        rows = rows[torch.from_numpy(np.random.RandomState(seed).permutation(count))]
    log_p = rows.log_softmax(dim=1)
    edges = [index * count // splits for index in range(splits + 1)]
    scores = []
    for start, end in pairwise(edges):
        part = log_p[start:end]
        # log p(y) from the logarithms: a class that no image comes near must not make 0 * log 0.
        marginal = part.logsumexp(dim=0) - float(np.log(end - start))
        scores.append(float((part.exp() * (part - marginal)).sum(dim=1).mean().exp()))
    return InceptionScore(float(np.mean(scores)), float(np.std(scores)))
