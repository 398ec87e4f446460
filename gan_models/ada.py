"""The augmentations of StyleGAN2-ADA (Karras et al. 2020b, section 2 and appendix B).

`augmented` is the pipeline `bgc`: pixel blitting, geometry and colour, each change with the same probability p. Their
gradients lead back to the images and may be differentiated again, as R1 on unchanged images wants it.

Geometry is one resampling, as in the paper: twice the size by the orthogonal wavelet sym6, bilinear, and back by the
same wavelet, so that where nothing moves nothing changes. Beyond its border an image is mirrored without end, where the
authors' code mirrors it once, pads by what the batch needs (which the device has to be waited for), and sees zeros
behind. Of grey images, hue and saturation say nothing and are left out, as in the authors' code.
"""

import math
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, grid_sample, pad

from gan_models import ranks

Probability = float | Tensor

# The low-pass filter of the wavelet "symlet 6" (Daubechies 1992, table 6.4), brought to a sum of 1.
_SYM6 = (
    *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633),
    *(0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252),
    *(-0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148),
)
_TAPS = len(_SYM6)
_CENTRE = 5  # the tap that lies on a pixel
# Standard deviations and ranges of table 3, as the authors' code has them.
_SHIFT, _SCALE, _STRETCH, _FRACTION = 0.125, 0.2, 0.2, 0.125
_BRIGHTNESS, _CONTRAST, _SATURATION = 0.2, 0.5, 1.0


def augmented(images: Tensor, probability: Probability, colour: float = 1.0) -> Tensor:
    """Images [B, C, H, W], C 1, 3 or 4, each changed anew: every kind of change with this probability.

    Args:
        colour: what the probability of changes of colour is multiplied by.
    """
    return recoloured(moved(images, _geometry(images, probability)), _colour(images, colour * probability))


def moved(images: Tensor, inverse: Tensor) -> Tensor:
    """Images [B, C, H, W] resampled: the pixel at q shows what lies at `inverse` [B, 3, 3] (q, 1), from the centre.

    An image whose matrix is the identity stays as it is.
    """
    height, width = images.shape[2:]
    fine, margin = _doubled(images)
    # What the halving filter needs around the image, and a place for each of the fine pixels there.
    around = _TAPS // 2
    rows, columns = (
        (torch.arange(-around, 2 * size + around, device=images.device, dtype=images.dtype) - (size - 1)) / 2
        for size in (height, width)
    )
    ones = images.new_ones(len(rows), len(columns))
    places = torch.stack([columns.expand(len(rows), -1), rows[:, None].expand(-1, len(columns)), ones])
    x, y = torch.einsum("bik,khw->ibhw", inverse[:, :2], places)
    x, y = (_inside(place, size, margin) for place, size in ((x, width), (y, height)))
    resampled = _halved(_sampled(fine, torch.stack([x, y], dim=3)), height, width)
    still = (inverse == torch.eye(3, device=inverse.device)).flatten(1).all(1)
    return torch.where(still[:, None, None, None], images, resampled)


def recoloured(images: Tensor, matrix: Tensor) -> Tensor:
    """Colours [B, 3 or 4, H, W], or greys [B, 1, H, W], mapped by matrices [B, 4, 4] of (colour, 1)."""
    if images.shape[1] == 4:
        return torch.cat([recoloured(images[:, :3], matrix), images[:, 3:]], dim=1)
    linear, offset = matrix[:, :3, :3], matrix[:, :3, 3]
    if images.shape[1] == 3:
        return torch.einsum("bik,bkhw->bihw", linear, images) + offset[:, :, None, None]
    return images * linear.sum(2).mean(1)[:, None, None, None] + offset.mean(1)[:, None, None, None]


class _Drawn:
    """Random numbers for each image of this rank, and who is changed.

    Args:
        probability: of a change.
    """

    def __init__(self, images: Tensor, probability: Probability) -> None:
        self._like, self._count = images, len(images) * ranks.count()
        self.probability = probability

    def uniform(self, *shape: int) -> Tensor:
        """From U[0, 1), [B, *shape]."""
        return ranks.share(torch.rand(self._count, *shape, device=self._like.device)).to(self._like.dtype)

    def normal(self, *shape: int) -> Tensor:
        """From N(0, 1), [B, *shape]."""
        return ranks.share(torch.randn(self._count, *shape, device=self._like.device)).to(self._like.dtype)

    def either(self, values: Tensor, otherwise: float, probability: Probability | None = None) -> Tensor:
        """`values` [B, ...] for those who are changed, `otherwise` for the rest."""
        chosen = self.uniform() < (self.probability if probability is None else probability)
        return torch.where(chosen.view(-1, *(1 for _ in values.shape[1:])), values, otherwise)


def _geometry(images: Tensor, probability: Probability) -> Tensor:
    """[B, 3, 3], from a pixel of the changed image to where it comes from."""
    height, width = images.shape[2:]
    size = images.new_tensor([width, height])
    drawn = _Drawn(images, probability)
    flip = drawn.either((drawn.uniform() * 2).floor(), 0.0)
    turns = drawn.either((drawn.uniform() * 4).floor(), 0.0)
    shift = (drawn.either((drawn.uniform(2) * 2 - 1) * _SHIFT, 0.0) * size).round()
    scale = drawn.either(torch.exp2(drawn.normal() * _SCALE), 1.0)
    # Before and behind the stretching, so that one of both happens with the probability.
    once = 1.0 - (1.0 - torch.as_tensor(probability, device=images.device)).clamp(0.0, 1.0).sqrt()
    before = drawn.either((drawn.uniform() * 2 - 1) * math.pi, 0.0, once)
    stretch = drawn.either(torch.exp2(drawn.normal() * _STRETCH), 1.0)
    behind = drawn.either((drawn.uniform() * 2 - 1) * math.pi, 0.0, once)
    fraction = drawn.either(drawn.normal(2) * _FRACTION, 0.0) * size
    return (
        _scaling(1 - 2 * flip, torch.ones_like(flip))
        @ _turning(turns * (math.pi / 2))
        @ _shifting(-shift)
        @ _scaling(1 / scale, 1 / scale)
        @ _turning(before)
        @ _scaling(1 / stretch, stretch)
        @ _turning(behind)
        @ _shifting(-fraction)
    )


def _colour(images: Tensor, probability: Probability) -> Tensor:
    """[B, 4, 4], of (colour, 1)."""
    drawn = _Drawn(images, probability)
    count, one = len(images), torch.eye(4, dtype=images.dtype, device=images.device)
    grey = images.new_tensor([1.0, 1.0, 1.0, 0.0]) / math.sqrt(3.0)  # the axis of equal red, green and blue
    along = grey.outer(grey)
    matrix = one.repeat(count, 1, 1)
    matrix[:, :3, 3] = drawn.either(drawn.normal() * _BRIGHTNESS, 0.0)[:, None]
    contrast = drawn.either(torch.exp2(drawn.normal() * _CONTRAST), 1.0)
    matrix = torch.cat([matrix[:, :3] * contrast[:, None, None], matrix[:, 3:]], dim=1)
    flip = drawn.either((drawn.uniform() * 2).floor(), 0.0)
    matrix = (one - 2 * along * flip[:, None, None]) @ matrix  # mirrored at the plane through grey, black to white
    if images.shape[1] >= 3:
        matrix = _hue(drawn.either((drawn.uniform() * 2 - 1) * math.pi, 0.0)) @ matrix
        saturation = drawn.either(torch.exp2(drawn.normal() * _SATURATION), 1.0)
        matrix = (along + (one - along) * saturation[:, None, None]) @ matrix
    return matrix


def _matrix(rows: list[list[Tensor | float]], like: Tensor) -> Tensor:
    """[B, N, N] of entries [B] or numbers."""
    entries = [
        torch.as_tensor(entry, dtype=like.dtype, device=like.device).expand_as(like) for row in rows for entry in row
    ]
    return torch.stack(entries, dim=1).view(-1, len(rows), len(rows))


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    return _matrix([[x, 0, 0], [0, y, 0], [0, 0, 1]], x)


def _turning(angle: Tensor) -> Tensor:
    sine, cosine = angle.sin(), angle.cos()
    return _matrix([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], angle)


def _shifting(by: Tensor) -> Tensor:
    return _matrix([[1, 0, by[:, 0]], [0, 1, by[:, 1]], [0, 0, 1]], by[:, 0])


def _hue(angle: Tensor) -> Tensor:
    """Rotation around the axis of greys (Rodrigues)."""
    cosine, sine = angle.cos(), angle.sin() / math.sqrt(3.0)
    rest = (1 - cosine) / 3
    same, up, down = cosine + rest, rest + sine, rest - sine
    return _matrix([[same, down, up, 0], [up, same, down, 0], [down, up, same, 0], [0, 0, 0, 1]], angle)


def _filter(images: Tensor, gain: float) -> Tensor:
    """[C, 1, taps], for a direction."""
    taps = images.new_tensor(_SYM6)
    return (taps * (gain / taps.sum())).expand(images.shape[1], 1, -1)


def _doubled(images: Tensor) -> tuple[Tensor, int]:
    """Images mirrored by a margin, at twice the size: [B, C, 2 (H + 2 margin), 2 (W + 2 margin)], and the margin.

    Pixel i of the image lies at 2 (i + margin).
    """
    taps, channels = _filter(images, 2.0), images.shape[1]
    margin = min(_TAPS, *(size - 1 for size in images.shape[2:]))
    fine = pad(images, [margin] * 4, mode="reflect")
    fine = conv_transpose2d(fine, taps[:, :, :, None], stride=(2, 1), padding=(_CENTRE, 0), groups=channels)
    fine = conv_transpose2d(fine, taps[:, :, None], stride=(1, 2), padding=(0, _CENTRE), groups=channels)
    return fine, margin


def _inside(places: Tensor, size: int, margin: int) -> Tensor:
    """Places in pixels from the image's centre, as places from -1 to 1 in the mirrored image of twice the size.

    Beyond the margin, a quarter of a filter from its end, they are mirrored back into the image.
    """
    index, last, known = places + (size - 1) / 2, size - 1, margin - _TAPS // 4
    mirrored = last - (index.remainder(2 * last) - last).abs()
    index = torch.where((index < -known) | (index > last + known), mirrored, index)
    return 4 * (index + margin) / (2 * (size + 2 * margin) - 1) - 1


def _halved(fine: Tensor, height: int, width: int) -> Tensor:
    """[B, C, H, W] of fine pixels that begin half a filter in front of the image: the transpose of the doubling."""
    taps, channels = _filter(fine, 1.0), fine.shape[1]
    fine = fine[:, :, 1:, 1:]
    fine = conv2d(fine, taps[:, :, :, None], stride=(2, 1), groups=channels)
    return conv2d(fine, taps[:, :, None], stride=(1, 2), groups=channels)[:, :, :height, :width]


def _sampled(images: Tensor, places: Tensor) -> Tensor:
    """Bilinear, -1 and 1 being the outer pixels' centres: [B, C, *places.shape[1:3]]."""
    return cast(Tensor, _Sampling.apply(images, places.detach()))


class _Sampling(torch.autograd.Function):
    """`grid_sample`, linear in the images: unlike PyTorch's, its gradient may be differentiated again."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.shape = images.shape
        return grid_sample(images, places, mode="bilinear", padding_mode="border", align_corners=True)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return cast(Tensor, _Spreading.apply(gradients[0], *ctx.saved_tensors, ctx.shape)), None


class _Spreading(torch.autograd.Function):
    """The transpose of `_Sampling`."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, places: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(places)
        bilinear, border = 0, 1
        spread: Tensor
        spread, _ = torch.ops.aten.grid_sampler_2d_backward(
            gradient, gradient.new_empty(1).expand(shape), places, bilinear, border, True, (True, False)
        )
        return spread

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _sampled(gradients[0], *ctx.saved_tensors), None, None
