"""Grey images and colour hints: what a colorization is made from.

A hint tells the mean colour of a square of pixels. As a tensor, hints [B, 4, H, W] are a mask of 0 and 1 and the RGB
colours in [-1, 1] where the mask is 1, 0 elsewhere. Users are simulated as in Zhang et al. 2017 ("Real-Time User-Guided
Image Colorization with Learned Deep Priors"), section 3.1: the number of hints is geometric, their places are normal
around the middle of the image with a standard deviation of a quarter of its side.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

# ITU-R BT.601: how bright red, green and blue look.
_LUMINANCE = (0.299, 0.587, 0.114)
MOST_HINTS = 64


def grey_of(images: Tensor) -> Tensor:
    """Luminance [B, 1, H, W] of RGB images [B, 3, H, W], in their own range."""
    weights = torch.tensor(_LUMINANCE, dtype=images.dtype, device=images.device)
    return (images * weights[:, None, None]).sum(1, keepdim=True)


def with_luminance(colours: Tensor, grey: Tensor) -> Tensor:
    """RGB [B, 3, H, W] with the luminance [B, 1, H, W] of `grey`: all channels shifted alike, then cut to [-1, 1]."""
    return (colours + (grey - grey_of(colours))).clamp(-1, 1)


def geometric_counts(shares: Tensor, end: float) -> Tensor:
    """int64 [B], P(n) = (1 - end)^n end for n = 0, 1, ..., by shares [B] from U[0, 1); cut at 64 hints."""
    if end >= 1:
        return torch.zeros(len(shares), dtype=torch.int64)
    counts = torch.log1p(-shares.double()).div_(math.log1p(-end)).floor_()
    return counts.clamp_(max=MOST_HINTS).to(torch.int64)


def simulate_hints(images: Tensor, counts: Tensor, sizes: Tensor, places: Tensor) -> Tensor:
    """Hints [B, 4, H, W] for RGB images [B, 3, H, W]: `counts` int64 [B] squares in each, at most M.

    A later hint covers an earlier one.

    Args:
        sizes: int64 [B, M], the sides of the squares in pixels.
        places: [B, M, 2] from N(0, 1): their rows and columns, in quarters of the room there is, from the middle.
    """
    batch, _, height, width = images.shape
    hints = images.new_zeros(batch, 4, height, width)
    for number in range(int(counts.max()) if len(counts) else 0):
        rows = _cells(places[:, number, 0], sizes[:, number], height)
        columns = _cells(places[:, number, 1], sizes[:, number], width)
        square = rows[:, :, None] & columns[:, None, :] & (counts > number)[:, None, None]
        hints = place_hints(hints, square.to(images.device)[:, None], images)
    return hints


def place_hints(hints: Tensor, squares: Tensor, images: Tensor) -> Tensor:
    """`hints` with those squares (bool [B, 1, H, W]) filled with the mean colour of `images` in them."""
    means = mean_inside(images, squares)
    told = torch.cat([torch.ones_like(means[:, :1]), means], dim=1)
    return torch.where(squares, told, hints)


def mean_inside(images: Tensor, squares: Tensor) -> Tensor:
    """Mean colours [B, 3, 1, 1] of `images` in squares, bool [B, 1, H, W]; 0 in one that is empty."""
    inside = squares.to(images.dtype)
    return (images * inside).sum((2, 3), keepdim=True) / inside.sum((2, 3), keepdim=True).clamp(min=1)


def painted_hints(paint: Tensor, grey: Tensor) -> Tensor:
    """Hints [1, 4, H, W] from what a user painted over an enlarged grey image: each pixel covered by at least a half.

    The colour told is the mean of the paint there at the luminance of the image there: so a hint could be true, as all
    are that a generator was trained on, and paint of any brightness says which colour is meant.

    Args:
        paint: uint8 [H', W', 4], RGB and opacity, H' and W' whatever the page's canvas has.
        grey: float [1, 1, H, W] in [-1, 1], the image that is to be coloured.
    """
    layer = paint.permute(2, 0, 1)[None].double() / 255
    opacity = layer[:, 3:]
    size = (grey.shape[2], grey.shape[3])
    covered = adaptive_avg_pool2d(opacity, size)
    colours = adaptive_avg_pool2d(layer[:, :3] * opacity, size) / covered.clamp(min=1e-6)
    told = with_luminance(colours * 2 - 1, grey.double())
    mask = (covered >= 0.5).double()
    return torch.cat([mask, told * mask], dim=1).float()


def all_told(images: Tensor) -> Tensor:
    """Hints that tell every pixel's colour."""
    return torch.cat([torch.ones_like(images[:, :1]), images], dim=1)


def _cells(places: Tensor, sizes: Tensor, side: int) -> Tensor:
    """bool [B, side]: where a square of `sizes` [B] pixels lies along one axis; `places` [B] from N(0, 1)."""
    room = (side - sizes).clamp(min=0)
    start = (room / 2 + places * room / 4).round().clamp(min=torch.zeros(()), max=room)
    cells = torch.arange(side)
    return (cells >= start[:, None]) & (cells < (start + sizes)[:, None])
