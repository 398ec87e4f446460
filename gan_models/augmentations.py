"""Differentiable augmentation (Zhao et al. 2020): D sees real and generated images only after the same random change.

D cannot learn few images by heart when it never sees them twice alike, and G is not taught to imitate the change,
because its own images are changed as well. Each function maps images [B, C, H, W] to images of the same shape; a new
one is one entry in `AUGMENTATIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gan_models import ranks


def translation(images: Tensor) -> Tensor:
    """Shifts each image by up to an eighth of its size in both directions (section 3.2 of the paper).

    What the shift uncovers repeats the border; the paper fills in grey, a line that no image has by itself.
    """
    count, _, height, width = images.shape
    rows = _shifted(height, count, images.device)[:, :, None]
    columns = _shifted(width, count, images.device)[:, None, :]
    each = torch.arange(count, device=images.device)[:, None, None]
    return images.permute(0, 2, 3, 1)[each, rows, columns].permute(0, 3, 1, 2)


def cutout(images: Tensor) -> Tensor:
    """Blanks (to grey, 0) a square of half the image's size at a random place, cut off at the border (section 3.2)."""
    count, _, height, width = images.shape
    inside = _near_centre(height, count, images.device)[:, :, None] & _near_centre(width, count, images.device)[:, None]
    return images * (~inside)[:, None]


AUGMENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {"cutout": cutout, "translation": translation}


def augment(images: Tensor, names: Sequence[str]) -> Tensor:
    """Applies the named augmentations in order, drawn anew for each image."""
    for name in names:
        images = AUGMENTATIONS[name](images)
    return images


def _shifted(size: int, count: int, device: torch.device) -> Tensor:
    """For each image, which row (or column) comes to lie at each place: int64 [B, size]."""
    reach = max(1, size // 8)
    shift = ranks.share(torch.randint(-reach, reach + 1, (count * ranks.count(), 1), device=device))
    return (torch.arange(size, device=device) + shift).clamp_(0, size - 1)


def _near_centre(size: int, count: int, device: torch.device) -> Tensor:
    """For each image, whether a row (or column) lies in a window of half the size around a random centre: [B, size]."""
    centre = ranks.share(torch.randint(0, size, (count * ranks.count(), 1), device=device))
    distance = torch.arange(size, device=device) - centre
    return (distance >= -(size // 4)) & (distance < size // 4)
