"""Inception Score (Salimans et al. 2016, section 4): exp of the mean KL divergence of p(y|x) from p(y).

High when each image is clearly of one class and the classes are even. It sees neither copies of training images nor
variety within a class, and grows with the number of images: read it beside the others.
"""

from itertools import pairwise

import numpy as np
import torch

from gan_models.metrics.matrices import Matrix, as_float64
from gan_models.metrics.metric import Score


def inception_score(logits: Matrix, *, splits: int = 10, seed: int = 2020) -> Score:
    """Inception Score of class logits [N, K], between 1 and K: mean and (population) deviation over the splits.

    One split has no deviation.

    Args:
        splits: the images are scored in so many parts.
        seed: of the order that they are taken in, as torch-fidelity does: sorted ones would score too low.

    Raises:
        ValueError: fewer images than splits, or logits that are not finite.
    """
    rows = as_float64(logits, "logits")
    count = len(rows)
    if splits < 1 or count < splits:
        raise ValueError(f"{count} images can't be scored in {splits} splits")
    log_p = rows[torch.from_numpy(np.random.RandomState(seed).permutation(count))].log_softmax(dim=1)
    edges = [index * count // splits for index in range(splits + 1)]
    scores = []
    for start, end in pairwise(edges):
        part = log_p[start:end]
        # log p(y) from the logarithms: a class that no image comes near must not make 0 * log 0.
        marginal = part.logsumexp(dim=0) - float(np.log(end - start))
        scores.append(float((part.exp() * (part - marginal)).sum(dim=1).mean().exp()))
    return Score(float(np.mean(scores)), float(np.std(scores)) if splits > 1 else None)
