"""The preview shows classes in rows."""

import numpy as np

from gan_models.data.preparing.preview import CELL_PIXELS, COLUMNS, GAP, ROWS, Preview


def shades(*values: int, channels: int = 1) -> np.ndarray:
    """One flat image [8, 8, C] for each value."""
    return np.stack([np.full((8, 8, channels), value, np.uint8) for value in values])


def test_a_row_for_each_class() -> None:
    images = Preview(["cat", "dog"])
    images.offer(shades(10, 20, 30), [1, 0, 1])
    preview = np.asarray(images.draw())
    pitch = CELL_PIXELS + GAP
    margin = preview.shape[1] - COLUMNS * pitch
    middle = CELL_PIXELS // 2
    assert preview.shape[0] == 2 * pitch + GAP
    assert preview[GAP + middle, margin + middle].tolist() == [20, 20, 20]
    assert preview[GAP + pitch + middle, margin + middle].tolist() == [10, 10, 10]
    assert preview[GAP + pitch + middle, margin + pitch + middle].tolist() == [30, 30, 30]
    assert preview[GAP + middle, margin + pitch + middle].tolist() == [255, 255, 255]


def test_unlabelled_images_fill_the_grid() -> None:
    images = Preview([])
    for _ in range(20):
        images.offer(shades(*range(40), channels=3), [None] * 40)
    preview = images.draw()
    assert preview.height == ROWS * (CELL_PIXELS + GAP) + GAP
    assert preview.mode == "RGB"


def test_only_what_is_shown_is_kept() -> None:
    images = Preview([str(label) for label in range(50)])
    for _ in range(9):
        images.offer(shades(*range(50)), list(range(50)))
        images.offer(shades(*range(50)), list(range(50)))
    assert all(len(kept) <= COLUMNS for kept in images._kept.values())
    assert images.draw().height == ROWS * (CELL_PIXELS + GAP) + GAP


def test_large_images_are_not_shrunk() -> None:
    images = Preview([])
    images.offer(np.zeros((2, 100, 100, 3), np.uint8), [None, None])
    assert images.draw().height == 100 + 2 * GAP


def test_nothing_to_show() -> None:
    assert Preview([]).draw().height > 0
