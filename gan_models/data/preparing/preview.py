"""The preview of a prepared data set: a few images of each class, enlarged, with the names of the classes."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

COLUMNS = 10
ROWS = 16
CELL_PIXELS = 64
GAP = 2
BACKGROUND = (255, 255, 255)


class Preview:
    """Keeps the first images of each class as they pass by, as many as the grid has room for."""

    def __init__(self, class_names: Sequence[str]) -> None:
        self._names = class_names
        self._room = COLUMNS if class_names else COLUMNS * ROWS
        self._kept: dict[int | None, list[np.ndarray]] = {}

    def offer(self, images: np.ndarray, labels: Sequence[int | None]) -> None:
        """`images` uint8 [N, H, W, C] with their labels."""
        kinds = max(1, len(self._names))
        if len(self._kept) == kinds and all(len(kept) == self._room for kept in self._kept.values()):
            return
        for image, label in zip(images, labels, strict=True):
            if label is None and self._names:
                continue
            kept = self._kept.setdefault(label, [])
            if len(kept) < self._room:
                kept.append(image.copy())

    def lacking(self) -> dict[int | None, int]:
        """Images that each class has room for, of the classes that are shown."""
        shown: Sequence[int | None] = range(min(ROWS, len(self._names))) or [None]
        left = {label: self._room - len(self._kept.get(label, ())) for label in shown}
        return {label: count for label, count in left.items() if count}

    def draw(self) -> Image.Image:
        """A grid: one row for each of the first 16 classes, or rows of ten where there are no classes."""
        rows: list[tuple[str, Sequence[np.ndarray]]] = []
        if self._names:
            rows = [(name, self._kept.get(label, ())) for label, name in enumerate(self._names[:ROWS])]
        else:
            kept = self._kept.get(None, ())
            rows = [("", kept[start : start + COLUMNS]) for start in range(0, len(kept), COLUMNS)]
        font = ImageFont.load_default(size=14)
        margin = max((int(font.getlength(name[:24])) + 3 * GAP for name, _ in rows if name), default=GAP)
        side = max(CELL_PIXELS, *(max(image.shape[:2]) for _, images in rows for image in images[:1]), 1)
        pitch = side + GAP
        canvas = Image.new("RGB", (margin + COLUMNS * pitch, max(1, len(rows)) * pitch + GAP), BACKGROUND)
        pen = ImageDraw.Draw(canvas)
        for row, (name, images) in enumerate(rows):
            top = GAP + row * pitch
            pen.text((GAP, top + side // 2), name[:24], fill=(0, 0, 0), font=font, anchor="lm")
            for column, image in enumerate(images):
                pixels = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
                scale = side / max(pixels.size)
                size = (max(1, round(pixels.width * scale)), max(1, round(pixels.height * scale)))
                shown = pixels.resize(size, Image.Resampling.NEAREST)
                mask = shown if shown.mode == "RGBA" else None
                canvas.paste(shown, (margin + column * pitch, top), mask)
        return canvas
