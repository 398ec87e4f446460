"""Digits in colour: fixed styles of white-on-black images, so that an image's counterpart in another style is known.

Images are uint8; shapes: N images, H height, W width. Needs no PyTorch.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
INKS = {"red": (255, 48, 48), "green": (48, 255, 48), "blue": (48, 96, 255)}
"""The largest channel of each is 255, so that the largest channel of a coloured digit is the digit itself."""
YELLOW, NAVY = (255, 220, 64), (16, 32, 128)


def in_ink(digits: np.ndarray, ink: tuple[int, int, int], paper: tuple[int, int, int] = BLACK) -> np.ndarray:
    """[N, H, W] of 0 (paper) to 255 (ink) as RGB [N, H, W, 3], every pixel in proportion; strokes stay as they are."""
    from_paper, to_ink = np.asarray(paper, np.float64), np.asarray(ink, np.float64)
    share = digits[..., None].astype(np.float64) / 255.0
    return np.asarray(np.rint(from_paper + share * (to_ink - from_paper)), np.uint8)


def thickened(digits: np.ndarray) -> np.ndarray:
    """[N, H, W] with strokes one pixel wider on each side: the largest of each pixel and its four neighbours."""
    padded = np.pad(digits, ((0, 0), (1, 1), (1, 1)))
    height, width = digits.shape[1:]
    corners = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
    return np.asarray(np.max([padded[:, y : y + height, x : x + width] for y, x in corners], axis=0))


def inverted(digits: np.ndarray) -> np.ndarray:
    """Thick dark blue ink on yellow paper, [N, H, W] -> [N, H, W, 3]."""
    return in_ink(thickened(digits), NAVY, YELLOW)


STYLES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "plain": partial(in_ink, ink=WHITE),
    "inverted": inverted,
    **{name: partial(in_ink, ink=ink) for name, ink in INKS.items()},
}
"""By the name of the domain that it makes."""
