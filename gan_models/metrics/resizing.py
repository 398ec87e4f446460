"""Resizing as reference implementations do it with Pillow: each channel alone, in floats or in 8 bits.

Parmar, Zhang, Zhu 2022 ("On Aliased Resizing and Surprising Subtleties in GAN Evaluation") show that filters
which do not widen when they shrink alias, and move FID by points; Pillow's widen.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

_FILTERS = {name: Image.Resampling[name.upper()] for name in ("bilinear", "bicubic")}


def pillow_resized(images: Tensor, size: int, filter_: str, *, rounded: bool = False) -> Tensor:
    """uint8 [B, H, W, C] resized to float32 [B, C, size, size] on the CPU, within 0 and 255: bicubic overshoots.

    Args:
        filter_: `bilinear` or `bicubic`.
        rounded: resize 8-bit values to 8-bit values, as Pillow does with pictures.
    """
    resized = np.empty((len(images), images.shape[3], size, size), np.float32)
    for image, target in zip(images.cpu().numpy(), resized, strict=True):
        for channel, plane in enumerate(target):
            values = image[:, :, channel]
            whole = Image.fromarray(np.ascontiguousarray(values) if rounded else values.astype(np.float32))
            plane[:] = np.asarray(whole.resize((size, size), _FILTERS[filter_]))
    return torch.from_numpy(resized.clip(0.0, 255.0))
