"""CIE 1976 L*a*b* under D65 and sRGB (IEC 61966-2-1): conversions that gradients pass through, and bins of colours.

L* is 0 to 100; a* and b* of sRGB's colours lie within +-110. Images are RGB in [-1, 1] as everywhere.
"""

import torch
from torch import Tensor

AB_REACH = 110.0
"""a* and b* are divided by this where networks see them."""
BIN = 10.0
BINS_A_SIDE = 23
BINS = BINS_A_SIDE**2
"""Squares of 10 by 10 that the plane of a* and b* is cut into; sRGB's colours fall into 261 of them."""

# Linear sRGB to XYZ, and back (ITU-R BT.709 primaries, white D65).
_TO_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_FROM_XYZ = (  # written out: inverting a matrix is nothing that ONNX knows
    (3.24048134, -1.53715152, -0.49853633),
    (-0.96925495, 1.87599000, 0.04155593),
    (0.05564664, -0.20404134, 1.05731107),
)
_WHITE = (0.95047, 1.0, 1.08883)
_KNEE = 6.0 / 29.0  # of the cube root: below its cube, a straight line


def lab_of(images: Tensor) -> Tensor:
    """RGB [B, 3, H, W] in [-1, 1] -> L*, a*, b* [B, 3, H, W]."""
    xyz = _mixed(_linear(images), torch.tensor(_TO_XYZ)) / _column(_WHITE, images)
    x, y, z = _root(xyz).unbind(1)
    return torch.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], dim=1)


def rgb_of(lab: Tensor) -> Tensor:
    """L*, a*, b* [B, 3, H, W] -> RGB [B, 3, H, W] in [-1, 1]; what sRGB cannot show is cut off channel by channel."""
    lightness, a, b = lab.unbind(1)
    y = (lightness + 16.0) / 116.0
    roots = torch.stack([y + a / 500.0, y, y - b / 200.0], dim=1)
    xyz = torch.where(roots > _KNEE, roots**3, 3.0 * _KNEE**2 * (roots - 4.0 / 29.0)) * _column(_WHITE, lab)
    return _coded(_mixed(xyz, torch.tensor(_FROM_XYZ))).clamp(-1.0, 1.0)


def grey_of_equal_lightness(images: Tensor) -> Tensor:
    """RGB [B, 3, H, W] -> grey [B, 1, H, W] in [-1, 1] of the same L*: what is left when colours are taken away."""
    luminance = _mixed(_linear(images), torch.tensor(_TO_XYZ[1:2]))
    return _coded(luminance).clamp(-1.0, 1.0)


def lightness_of(grey: Tensor) -> Tensor:
    """L* [B, 1, H, W] of grey images [B, 1, H, W] in [-1, 1]."""
    return 116.0 * _root(_linear(grey)) - 16.0


def bin_of(ab: Tensor) -> Tensor:
    """The bins int64 [B, H, W] that a*, b* [B, 2, H, W] fall into: `BINS_A_SIDE` times that of a*, and that of b*."""
    places = ((ab + AB_REACH) / BIN).round().clamp(0, BINS_A_SIDE - 1).long()
    return places[:, 0] * BINS_A_SIDE + places[:, 1]


def middle_of(bins: Tensor) -> Tensor:
    """The middle a*, b* float32 [B, 2, H, W] of bins int64 [B, H, W]."""
    places = torch.stack([bins // BINS_A_SIDE, bins % BINS_A_SIDE], dim=1)
    return places.float() * BIN - AB_REACH


def _linear(images: Tensor) -> Tensor:
    """sRGB in [-1, 1] -> light in [0, 1]."""
    coded = (images + 1.0) / 2.0
    return torch.where(coded > 0.04045, ((coded.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4, coded / 12.92)


def _coded(light: Tensor) -> Tensor:
    """Light in [0, 1] -> sRGB in [-1, 1]."""
    bright = 1.055 * light.clamp(min=0.0031308) ** (1.0 / 2.4) - 0.055
    return torch.where(light > 0.0031308, bright, 12.92 * light) * 2.0 - 1.0


def _root(light: Tensor) -> Tensor:
    """The cube root, but for a straight line near 0."""
    return torch.where(
        light > _KNEE**3, light.clamp(min=_KNEE**3) ** (1.0 / 3.0), light / (3.0 * _KNEE**2) + 4.0 / 29.0
    )


def _mixed(channels: Tensor, matrix: Tensor) -> Tensor:
    """[B, C, H, W] by a matrix [D, C] at every pixel: [B, D, H, W]."""
    return torch.einsum("dc,bchw->bdhw", matrix.to(channels), channels)


def _column(values: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None, None]
