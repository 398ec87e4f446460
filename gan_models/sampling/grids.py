"""Images put side by side, and written as PNG."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gan_models.atomic import new_file

Pixels = NDArray[np.unsignedinteger[Any]]
"""uint8, or uint16 of images that are kept at their depth."""

_SHOWN_PIXELS = 56  # a side
_PICTURE_PIXELS = 480  # a side of a whole picture


def image_grid(images: Tensor, columns: int, *, gap: int = 2) -> Pixels:
    """Tiles uint8 [N, H, W, C], `columns` to a row, `gap` white pixels between: [H', W', C], cells left over white."""
    count, height, width, channels = images.shape
    rows = -(-count // columns)
    grid = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 255, dtype=np.uint8)
    for index, image in enumerate(images.cpu().numpy()):
        row, column = divmod(index, columns)
        top, left = row * (height + gap), column * (width + gap)
        grid[top : top + height, left : left + width] = image
    return grid


def side_by_side(*columns: Tensor) -> Tensor:
    """Columns of as many images each, [N, H, W, C], row by row: [N * columns, H, W, C]."""
    return torch.stack(columns, dim=1).flatten(0, 1)


def as_image(pixels: Pixels) -> Image.Image:
    """Of uint8 [H, W, C], or of uint16 [H, W, 1]."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def enlargement(images: Tensor) -> int:
    """How many times small images [N, H, W, C] are enlarged in pictures, to about 56 pixels."""
    return max(1, _SHOWN_PIXELS // images.shape[1])


def enlarged_to(picture: Pixels) -> int:
    """How many times a small picture [H, W, C] is enlarged, to about 480 pixels across."""
    return max(1, _PICTURE_PIXELS // picture.shape[1])


FORMATS = ("png", "tiff")
"""Of files that images are written to; both keep all bits."""


def save_image(pixels: Pixels, path: Path, *, scale: int = 1, flush: bool = True, form: str = "png") -> None:
    """Writes uint8 [H, W, C], or uint16 [H, W, 1], atomically, enlarged `scale` times without smoothing.

    Args:
        flush: as in `gan_models.atomic.new_file`.
        form: one of `FORMATS`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path, flush=flush) as temporary:
        enlarged(as_image(pixels), scale).save(temporary, format=form)


def enlarged(image: Image.Image, scale: int) -> Image.Image:
    """`scale` times as large, without smoothing."""
    if scale == 1:
        return image
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def save_png(pixels: Pixels, path: Path, *, scale: int = 1, flush: bool = True) -> None:
    """`save_image` as PNG."""
    save_image(pixels, path, scale=scale, flush=flush)
