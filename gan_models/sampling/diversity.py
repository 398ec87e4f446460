"""How much samples differ from each other: the early sign of mode collapse."""

import torch
from torch import Tensor


def diversity(images: Tensor, labels: Tensor | None = None) -> float:
    """Mean Euclidean distance between pairs of images [N, ...], over pairs of equal label where labels [N] are given.

    Pairs of one class only, because a conditional generator that makes one image for each class has collapsed although
    its classes differ. Zero where no two images share a class.
    """
    flat = images.flatten(1).float()
    distances = torch.cdist(flat, flat)
    pairs = ~torch.eye(len(flat), dtype=torch.bool, device=flat.device)
    if labels is not None:
        pairs &= labels[:, None] == labels[None, :]
    return float(distances[pairs].mean()) if pairs.any() else 0.0
