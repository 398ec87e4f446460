"""Vector arithmetic on latents (Radford, Metz, Chintala 2016, section 6.3.2).

Latents whose images show one thing are averaged, and the averages are added and subtracted: a - b + c.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor


class Term(NamedTuple):
    """A class, as it stands in a sum."""

    mean: Tensor
    """Mean latent [Z] of the images that show it."""
    images: int
    """How many those are."""


def mean_latents(latents: Tensor, probabilities: Tensor, *, sure: float = 0.9, least: int = 3) -> dict[int, Term]:
    """The mean latent of each class, over the images that a classifier is sure of.

    Single latents are unstable, as the paper says, which takes means of three.

    Args:
        latents: [N, Z], what the images were made of.
        probabilities: [N, K], what the classifier says of the images.
        sure: an image counts for its likeliest class from this probability on.
        least: classes of fewer images are left out.
    """
    confidence, classes = probabilities.max(dim=1)
    found = {}
    for number in range(probabilities.shape[1]):
        chosen = latents[(classes == number) & (confidence >= sure)]
        if len(chosen) >= least:
            found[number] = Term(chosen.mean(dim=0), len(chosen))
    return found


def combine(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """a - b + c, all [Z]."""
    return a - b + c


def rows(terms: Mapping[int, Term], num: int) -> list[tuple[int, int, int]]:
    """Up to `num` different triples (a, b, c) of three classes each, every class taking its turn in every place.

    Raises:
        ValueError: fewer than three classes.
    """
    classes = sorted(terms)
    count = len(classes)
    if count < 3:
        raise ValueError(f"a - b + c needs three classes, and the generator's images show {count}")
    triples = []
    for turn in range(num):
        start, stride = turn % count, 1 + (turn // count) % (count - 1)
        a, b = start, (start + stride) % count
        c = next(place for step in range(1, count) if (place := (b + step) % count) not in (a, b))
        triples.append((classes[a], classes[b], classes[c]))
    return list(dict.fromkeys(triples))


def row_latents(terms: Mapping[int, Term], triple: tuple[int, int, int]) -> Tensor:
    """Latents [4, Z] of a, b, c and a - b + c."""
    a, b, c = (terms[number].mean for number in triple)
    return torch.stack([a, b, c, combine(a, b, c)])
