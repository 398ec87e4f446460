"""Choosing a picture: of those that came with the generator, or one of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import torch
from torch import Tensor

from gan_models.exploring.given import read_picture
from gan_models.sampling.generator import LoadedGenerator
from pipeline.explorer.showing import SMALL, answering, enlarged, gallery

_SHOWN = 24


class Pictures:
    """A gallery and a button to upload; `chosen` is the picture, as numpy uint8 [H, W, C]."""

    def __init__(self, generator: LoadedGenerator, show: Callable[[Tensor], Tensor] = lambda image: image) -> None:
        """`show` makes of an image what the gallery shows of it."""
        self.generator = generator
        examples = generator.examples
        self.images = None
        if examples is not None and len(examples):
            shown = examples.first(_SHOWN)
            self.images = (shown.images if shown.partners is None else shown.partners).cpu()
        self.chosen = gr.State(None if self.images is None else self.images[0].numpy())
        self.upload = gr.UploadButton(
            "Upload a picture", file_types=["image"], type="filepath", size="sm", elem_id="upload"
        )
        self.upload.upload(self._read, self.upload, self.chosen, show_progress="hidden")
        if self.images is not None:
            self.gallery = gallery(
                "Or one that came with the generator", [enlarged(show(image), 2 * SMALL) for image in self.images]
            )
            self.gallery.select(self._choose, None, self.chosen, show_progress="hidden")

    def _choose(self, event: gr.SelectData) -> Any:
        assert self.images is not None
        return self.images[event.index].numpy()

    @answering
    def _read(self, path: str) -> Any:
        return read_picture(Path(path), self.generator).images[0].numpy()


def as_batch(chosen: Any) -> Tensor:
    """Uint8 [1, H, W, C] of what is in `chosen`."""
    return torch.from_numpy(chosen)[None]
