"""What is done with latents: cut off, walked between, added and subtracted.

Truncation (Brock, Donahue, Simonyan 2019, section 3.1) trades variety for fidelity after training. In vector arithmetic
(Radford, Metz, Chintala 2016, section 6.3.2) latents whose images show one thing are averaged, and the averages are
added and subtracted: a - b + c.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from gan_models.errors import RequestError
from gan_models.sampling.draws import Draws

if TYPE_CHECKING:
    from gan_models.families.interfaces import Inputs

LEAST_THRESHOLD = 0.02  # below this nearly every number is drawn again and again, and the images are all but one


def truncate(latents: Tensor, threshold: float, draws: Draws) -> Tensor:
    """Latents [N, Z] from N(0, I) with each number beyond +-`threshold` drawn again until it is within.

    Drawn again, never clamped, so that what comes is the truncated normal distribution. Numbers that are within stay as
    they are: a larger threshold changes fewer of the same images.
    """
    cut = latents.clone().numpy()
    for row, stream in zip(cut, draws.streams(), strict=True):
        beyond = np.flatnonzero(np.abs(row) > threshold)
        while len(beyond):
            row[beyond] = stream.standard_normal(len(beyond), dtype=np.float32)
            beyond = beyond[np.abs(row[beyond]) > threshold]
    return torch.from_numpy(cut)


def linear(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Straight line from `start` [Z] to `end` [Z]: [steps, Z], both ends included."""
    share = torch.linspace(0, 1, steps, device=start.device)[:, None]
    return (1 - share) * start + share * end


def spherical(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Great-circle walk (White 2016, "Sampling Generative Networks", section 2.1): [steps, Z], both ends included.

    A straight line between Gaussian latents leaves the shell of radius sqrt(Z) they live on; this one stays near it.
    Parallel latents have no great circle and are joined by the straight line.
    """
    cosine = torch.dot(start / start.norm(), end / end.norm()).clamp(-1, 1)
    angle = torch.acos(cosine)
    if torch.sin(angle) < 1e-6:
        return linear(start, end, steps)
    share = torch.linspace(0, 1, steps, device=start.device)[:, None]
    return (torch.sin((1 - share) * angle) * start + torch.sin(share * angle) * end) / torch.sin(angle)


def loop(inputs: Inputs, steps: int) -> Iterator[Inputs]:
    """A walk through the latents of `inputs` [S rows each] and back to the first, leg by leg: `steps` rows each.

    Great circles between one stop and the next. What else a generator takes (class, caption) changes half way. The last
    step of all lies as far before the first stop as the second one lies behind it: repeated, the walk has no seam.
    """
    stops, count = inputs["latents"], len(inputs["latents"])
    for start in range(count):
        end = (start + 1) % count
        nearest = torch.where(2 * torch.arange(steps) < steps, start, end)
        walked = spherical(stops[start], stops[end], steps + 1)[:-1]
        yield {name: tensor[nearest] for name, tensor in inputs.items()} | {"latents": walked}


def mean_latents(latents: Tensor, probabilities: Tensor, *, sure: float = 0.9, least: int = 3) -> dict[int, Tensor]:
    """The mean latent [Z] of each class, over the images that a classifier is sure of.

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
            found[number] = chosen.mean(dim=0)
    return found


def rows(classes: Iterable[int], num: int) -> list[tuple[int, int, int]]:
    """Up to `num` triples (a, b, c) of three classes, each in every place in turn; RequestError for fewer classes."""
    classes = sorted(classes)
    count = len(classes)
    if count < 3:
        raise RequestError(f"a - b + c needs three classes, and the generator's images show {count}")
    triples = []
    for turn in range(num):
        start, stride = turn % count, 1 + (turn // count) % (count - 1)
        a, b = start, (start + stride) % count
        c = next(place for step in range(1, count) if (place := (b + step) % count) not in (a, b))
        triples.append((classes[a], classes[b], classes[c]))
    return list(dict.fromkeys(triples))


def row_latents(terms: Mapping[int, Tensor], triple: tuple[int, int, int]) -> Tensor:
    """Latents [4, Z] of a, b, c and a - b + c."""
    a, b, c = (terms[number] for number in triple)
    return torch.stack([a, b, c, a - b + c])
