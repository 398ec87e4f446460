"""Images of the user's own for `gan-pipeline sample --input`, prepared as the training images were."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gan_models.errors import RequestError

if TYPE_CHECKING:
    from gan_models.data.table import Split
    from gan_models.recipes.schema import Data

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"})


def read_images(place: Path, image_shape: tuple[int, int, int], data: Data, at_most: int) -> Split:
    """The image at `place`, or the first `at_most` of a folder in the order of their paths, without labels.

    Args:
        image_shape: (C, H, W) that the generator takes.
        data: how images were made square and resized for its training.

    Raises:
        RequestError: there is no image, or one cannot be read.
    """
    import numpy as np
    import torch
    from PIL import Image, UnidentifiedImageError

    from components.prepare_data.decoding import to_square
    from gan_models.data.table import Split

    paths = _paths(place)[:at_most]
    channels, size, _ = image_shape
    pixels = []
    for path in paths:
        try:
            with Image.open(path) as opened:
                square = to_square(opened.convert("L" if channels == 1 else "RGB"), size, data.resize, data.fit)
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            reason = (str(error).splitlines() or [""])[0] or type(error).__name__
            raise RequestError(f"--input {path}: this is not an image that can be read ({reason})") from None
        pixels.append(np.asarray(square).reshape(size, size, channels))
    return Split(torch.from_numpy(np.stack(pixels)), None, [str(path) for path in paths])


def _paths(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise RequestError(f"--input {place}: there is no such file or folder")
    found = sorted(path for path in place.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    if not found:
        raise RequestError(f"--input {place}: the folder holds no images ({', '.join(sorted(_SUFFIXES))})")
    return found
