"""Images as text: PNG in base64, as requests to a served generator and its answers carry them."""

from __future__ import annotations

import base64
import binascii
import io
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from gan_models.data.decoding import fitted
from gan_models.errors import RequestError

if TYPE_CHECKING:
    from gan_models.sampling.generator import LoadedGenerator

MOST_PIXELS = 4096 * 4096  # of an image that is sent; what its header says is looked at before it is decoded
_FORMATS = ("PNG", "JPEG", "WEBP")


def encode_png(image: Tensor) -> str:
    """Of uint8 [H, W, C], C 1 (grey), 3 (RGB) or 4 (with transparency)."""
    pixels = image.numpy()
    with io.BytesIO() as file:
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, format="png")
        return base64.b64encode(file.getvalue()).decode("ascii")


def decode_image(name: str, text: str) -> Image.Image:
    """The image of base64 text, PNG, JPEG or WebP; RequestError, which begins with `name`, where it holds none."""
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise RequestError(f"{name}: this is not base64; send the bytes of a PNG file in base64") from None
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise RequestError(
                    f"{name}: {opened.width}x{opened.height} pixels are too many; send at most {MOST_PIXELS}"
                )
            opened.load()
            return opened
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError, SyntaxError) as error:
        reason = "" if isinstance(error, UnidentifiedImageError) else f" ({str(error).splitlines()[0]})"
        raise RequestError(f"{name}: this is not a PNG, JPEG or WebP image that can be read{reason}") from None


def image_input(image: Image.Image, generator: LoadedGenerator) -> Tensor:
    """An image prepared as the training images of a generator were, uint8 [H, W, C]."""
    target = generator.target
    return torch.from_numpy(np.array(fitted(image, target)).reshape(*target.size, target.channels))
