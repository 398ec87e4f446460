"""Differentiable augmentation (Zhao et al. 2020): D sees real and generated images only after the same random change.

D cannot learn few images by heart when it never sees them twice alike, and G is not taught to imitate the change,
because its own images are changed as well. Each function maps images [B, C, H, W] to images of the same shape; a new
one is one entry in `AUGMENTATIONS`. PyTorch is imported when one is applied, so that recipes can be read without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def translation(images: Tensor) -> Tensor:
    """Shifts each image by up to an eighth of its size in both directions (section 3.2 of the paper).

    What the shift uncovers repeats the border; the paper fills in grey, a line that no image has by itself.
    """
    import torch

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
    import torch

    reach = max(1, size // 8)
    return (torch.arange(size, device=device) + _drawn(-reach, reach + 1, count, device)).clamp_(0, size - 1)


def _near_centre(size: int, count: int, device: torch.device) -> Tensor:
    """For each image, whether a row (or column) lies in a window of half the size around a random centre: [B, size]."""
    import torch

    distance = torch.arange(size, device=device) - _drawn(0, size, count, device)
    return (distance >= -(size // 4)) & (distance < size // 4)


def _drawn(low: int, high: int, count: int, device: torch.device) -> Tensor:
    """A whole number from `low` to below `high` for each image, int64 [B, 1]."""
    import torch

    from gan_models import ranks

    return ranks.share(torch.randint(low, high, (count * ranks.count(), 1), device=device))
