"""The page of a generator that colours grey pictures: colours are painted where they shall be."""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np
import torch
from torch import Tensor

from gan_models.data.hints import painted_hints
from gan_models.data.table import to_float, to_uint8
from gan_models.exploring.training_set import TrainingSet
from gan_models.families.colorization.networks import Colorizer
from gan_models.sampling.generator import LoadedGenerator
from pipeline.explorer.neighbours import Neighbours
from pipeline.explorer.pictures import Pictures, as_batch
from pipeline.explorer.showing import LARGE, answering, enlarged, enlargement

_COLOURS: list[str | tuple[str, float]] = [
    "#e02020",
    "#f08c1e",
    "#f0dc1e",
    "#2fa84f",
    "#22b8cf",
    "#2050e0",
    "#8a3ffc",
    "#e64980",
    "#8b5a2b",
    "#808080",
]


class ColorizationPage:
    """Coloured anew after every stroke of the brush, and whenever another picture is chosen."""

    def __init__(self, generator: LoadedGenerator, training: TrainingSet | None) -> None:
        assert isinstance(generator.module, Colorizer)
        self.generator, self.colorizer = generator, generator.module
        _, rows, columns = generator.info.image_shape
        scale = enlargement(columns, LARGE)
        height, width = scale * rows, scale * columns
        dot = scale * self.colorizer.hint_size // 2  # the radius of a hint as those it learnt from
        gr.Markdown("Paint colours on the grey picture, a dot is enough: what is around takes them up.")
        with gr.Row():
            self.canvas = gr.ImageEditor(
                label="Grey picture, with your hints",
                type="numpy",
                image_mode="RGBA",
                sources=(),
                transforms=(),
                layers=False,
                brush=gr.Brush(default_size=dot, colors=_COLOURS, default_color=_COLOURS[0]),
                eraser=gr.Eraser(default_size=dot),
                canvas_size=(width, height),
                fixed_canvas=True,
                height=height + 60,
                buttons=[],
                elem_id="canvas",
            )
            self.after = gr.Image(
                label="Coloured", interactive=False, buttons=["download"], format="png", elem_id="after"
            )
        self.pictures = Pictures(generator, show=self._grey)
        self.neighbours = Neighbours(training)
        inputs = [self.pictures.chosen, self.canvas, *self.neighbours.inputs]
        outputs = [self.after, *self.neighbours.outputs]
        begin = [self.pictures.chosen, *self.neighbours.inputs]
        fresh = [self.canvas, *outputs]
        self.pictures.chosen.change(self._begin, begin, fresh, show_progress="hidden")
        triggers = [component.input for component in self.neighbours.inputs]
        gr.on(
            [self.canvas.change, *triggers],
            self._draw,
            inputs,
            outputs,
            show_progress="hidden",
            trigger_mode="always_last",
        )
        self.load = (self._begin, begin, fresh)

    @answering
    def _begin(self, chosen: Any, *how: str) -> dict[Any, Any]:
        """A fresh canvas, and what is made of it without hints."""
        if chosen is None:
            return {}
        picture = np.array(enlarged(self._grey(torch.from_numpy(chosen))).convert("RGBA"))
        return {
            self.canvas: {"background": picture, "layers": [], "composite": None},
            **self._coloured(chosen, [], how),
        }

    @answering
    def _draw(self, chosen: Any, canvas: Any, *how: str) -> dict[Any, Any]:
        return {} if chosen is None else self._coloured(chosen, (canvas or {}).get("layers") or [], how)

    def _coloured(self, chosen: Any, layers: list[Any], how: tuple[str, ...]) -> dict[Any, Any]:
        grey = self.colorizer.grey(to_float(as_batch(chosen)))
        hints = torch.zeros(1, 4, *grey.shape[2:])
        if layers and layers[0] is not None:
            hints = painted_hints(torch.from_numpy(np.array(layers[0])), grey)
        made = self.generator.synthesize({"images": grey, "hints": hints}).images[0]
        return {self.after: enlarged(made), **self.neighbours.of(made, *how)}

    def _grey(self, image: Tensor) -> Tensor:
        """Uint8 [H, W, 3] as grey uint8 [H, W, 1], as the generator sees it."""
        return to_uint8(self.colorizer.grey(to_float(image[None])))[0]
