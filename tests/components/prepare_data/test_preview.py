"""The preview shows classes in rows."""

import numpy as np

from components.prepare_data.preview import CELL_PIXELS, COLUMNS, GAP, ROWS, PreviewImages, draw_preview


def shades(*values: int, channels: int = 1) -> np.ndarray:
    """One flat image [8, 8, C] for each value."""
    return np.stack([np.full((8, 8, channels), value, np.uint8) for value in values])


def test_a_row_for_each_class() -> None:
    images = PreviewImages(["cat", "dog"])
    images.offer(shades(10, 20, 30), [1, 0, 1])
    preview = np.asarray(draw_preview(images.by_label, ["cat", "dog"]))
    pitch = CELL_PIXELS + GAP
    margin = preview.shape[1] - COLUMNS * pitch
    middle = CELL_PIXELS // 2
    assert preview.shape[0] == 2 * pitch + GAP
    assert preview[GAP + middle, margin + middle].tolist() == [20, 20, 20]
    assert preview[GAP + pitch + middle, margin + middle].tolist() == [10, 10, 10]
    assert preview[GAP + pitch + middle, margin + pitch + middle].tolist() == [30, 30, 30]
    assert preview[GAP + middle, margin + pitch + middle].tolist() == [255, 255, 255]


def test_unlabelled_images_fill_the_grid() -> None:
    images = PreviewImages([])
    for _ in range(20):
        images.offer(shades(*range(40), channels=3), [None] * 40)
    preview = draw_preview(images.by_label, [])
    assert preview.height == ROWS * (CELL_PIXELS + GAP) + GAP
    assert preview.mode == "RGB"


def test_only_what_is_shown_is_kept() -> None:
    images = PreviewImages([str(label) for label in range(50)])
    for _ in range(9):
        images.offer(shades(*range(50)), list(range(50)))
        images.offer(shades(*range(50)), list(range(50)))
    assert all(len(kept) <= COLUMNS for kept in images.by_label.values())
    assert draw_preview(images.by_label, [str(label) for label in range(50)]).height == ROWS * (CELL_PIXELS + GAP) + GAP


def test_large_images_are_not_shrunk() -> None:
    images = {None: list(np.zeros((2, 100, 100, 3), np.uint8))}
    assert draw_preview(images, []).height == 100 + 2 * GAP


def test_nothing_to_show() -> None:
    assert draw_preview({}, []).height > 0
