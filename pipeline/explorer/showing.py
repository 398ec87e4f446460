"""From tensors to what a page shows, and from what goes wrong to a sentence in the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec, TypeVar

import gradio as gr
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from components.stage.failures import failure_of
from gan_models.errors import RequestError, RunError
from gan_models.sampling.grids import as_image, image_grid
from pipeline.request.request import MAX_SEED

P = ParamSpec("P")
T = TypeVar("T")

LARGE, SMALL = 384, 64  # pixels that an image has at least, alone and among others
_FONT_SIZE = 22


def answering(draw: Callable[P, T]) -> Callable[P, T]:
    """What is asked for wrongly, and whatever else goes wrong, is told in the page in a sentence."""

    @wraps(draw)
    def answer(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return draw(*arguments, **named)
        except (RequestError, RunError) as error:
            raise gr.Error(str(error), print_exception=False) from None
        except gr.Error:
            raise
        except Exception as error:
            raise gr.Error(failure_of(error).sentence, print_exception=False) from None

    return answer


def enlarged(image: Tensor, least: int = LARGE) -> Image.Image:
    """Uint8 [H, W, C] without smoothing, each pixel a square of equal size, at least so many pixels wide."""
    return _scaled(as_image(image.numpy()), enlargement(image.shape[1], least))


def tiled(images: Tensor, columns: int, rows: Sequence[str] = ()) -> Image.Image:
    """Uint8 [N, H, W, C], `columns` to a row, each enlarged as `enlarged` does it; `rows` are written in front."""
    scale = enlargement(images.shape[2], SMALL)
    grid = _scaled(as_image(image_grid(images, columns, gap=1)), scale)
    if not rows:
        return grid
    font = ImageFont.load_default(_FONT_SIZE)
    margin = int(max(map(font.getlength, rows))) + _FONT_SIZE
    whole = Image.new("RGB", (margin + grid.width, grid.height), "white")
    whole.paste(grid, (margin, 0))
    for number, name in enumerate(rows):
        middle = scale * (number * (images.shape[1] + 1) + images.shape[1] / 2)
        ImageDraw.Draw(whole).text((margin - _FONT_SIZE / 2, middle), name, "#444444", font, anchor="rm")
    return whole


def enlargement(width: int, least: int) -> int:
    """How many times an image so wide is enlarged."""
    return max(1, -(-least // width))


def _scaled(image: Image.Image, scale: int) -> Image.Image:
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def whole(value: float | None, what: str, least: int = 0, most: int = MAX_SEED) -> int:
    """A whole number of a field of the page; RequestError where it is none, or out of bounds."""
    if value is None or value != int(value) or not least <= value <= most:
        shown = "nothing" if value is None else f"{value:g}"
        raise RequestError(f"{what}: expected a whole number from {least} to {most}, not {shown}")
    return int(value)


def gallery(label: str, images: Sequence[Image.Image] | None = None) -> gr.Gallery:
    """Pictures to click on, small and eight abreast where there is room."""
    return gr.Gallery(
        None if images is None else list(images),
        label=label,
        columns=8,
        allow_preview=False,
        interactive=False,
        buttons=[],
        object_fit="contain",
        height="auto",
        format="png",
        elem_id="gallery",
    )
