"""Random changes of the images that are trained on: mirrored, or enlarged and cut out of; never of what is measured.

They widen a data set where the papers' protocols do: a face mirrored is a face. Unlike `gan_models.augmentations`,
which D sees real and generated images through, they are part of what G learns to make.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from gan_models import ranks
from gan_models.data.shape import Size


def changed(sides: Sequence[Tensor], *, flip: bool = False, load_size: int | None = None) -> list[Tensor]:
    """Images float [B, C, H, W] in [-1, 1] after changes of their own; all sides of a pair alike.

    Random numbers come from torch's global stream, for the rows of all ranks.

    Args:
        sides: of as many rows each, and one size; each row of one is changed as the same row of the others.
        flip: mirror each image from left to right with a probability of 1/2.
        load_size: enlarge to so many pixels on the shorter side (bicubic), then cut H x W pixels out at a random
            place.
    """
    changes = list(sides)
    count, device = len(sides[0]), sides[0].device
    size = Size(*sides[0].shape[2:])
    if load_size is not None and load_size > size.shorter:
        whole = size.with_shorter(load_size)
        down, right = (
            _whole_numbers(large - small + 1, count, device) for large, small in zip(whole, size, strict=True)
        )
        changes = [_cut_out(_enlarged(images, whole), down, right, size) for images in changes]
    if flip:
        mirrored = (_whole_numbers(2, count, device) == 1)[:, :, None, None]
        changes = [torch.where(mirrored, images.flip(3), images) for images in changes]
    return changes


def _enlarged(images: Tensor, size: Size) -> Tensor:
    # As Pillow enlarges, which the public codes do it with (a straight ramp stays one); it overshoots at edges.
    return interpolate(images, tuple(size), mode="bicubic", antialias=True).clamp_(-1.0, 1.0)


def _cut_out(images: Tensor, down: Tensor, right: Tensor, size: Size) -> Tensor:
    """Of each image, the part of that size whose first row and column are given, int64 [B, 1]: [B, C, *size]."""
    across, along = (torch.arange(side, device=images.device) for side in size)
    each = torch.arange(len(images), device=images.device)
    rows, columns = (down + across)[:, :, None], (right + along)[:, None, :]
    # Indexed with the channels last, as the images lie in memory.
    return images.permute(0, 2, 3, 1)[each[:, None, None], rows, columns].permute(0, 3, 1, 2)


def _whole_numbers(below: int, count: int, device: torch.device) -> Tensor:
    """One for each image from 0 to below `below`, int64 [B, 1]."""
    return ranks.share(torch.randint(below, (count * ranks.count(), 1), device=device))
