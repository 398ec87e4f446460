"""The page of a generator that makes pictures from pictures: a picture, what is wanted of it, and what comes of it."""

from __future__ import annotations

from typing import Any

import gradio as gr
import torch
from torch import Tensor

from gan_models.data.table import Split, to_float
from gan_models.exploring.training_set import TrainingSet
from gan_models.families.interfaces import Inputs
from gan_models.sampling.draws import Draws
from gan_models.sampling.generator import LoadedGenerator
from pipeline.explorer.neighbours import Neighbours
from pipeline.explorer.pictures import Pictures, as_batch
from pipeline.explorer.showing import answering, enlarged

_SEEDS = 99


class TranslationPage:
    """Redrawn whenever another picture is chosen, or something else is wanted of it.

    That is a domain, attributes, or, where there is nothing to want, the seed of what dropout leaves out.
    """

    def __init__(self, generator: LoadedGenerator, training: TrainingSet | None) -> None:
        self.generator = generator
        info, self.what = generator.info, generator.module.inputs[1]
        if self.what == "domains":
            names = list(info.domain_names)
            self.wanted: Any = gr.Radio(names, value=names[-1], label="Domain", elem_id="domain")
        elif self.what == "attributes":
            names = list(info.attribute_names)
            self.wanted = gr.CheckboxGroup(names, value=names[:1], label="Attributes", elem_id="attributes")
        else:
            self.wanted = gr.Slider(0, _SEEDS, value=0, step=1, label="Seed", elem_id="seed")
        with gr.Row():
            self.before = gr.Image(label="Picture", interactive=False, buttons=[], format="png", elem_id="before")
            self.after = gr.Image(
                label="Translated", interactive=False, buttons=["download"], format="png", elem_id="after"
            )
        self.pictures = Pictures(generator)
        self.neighbours = Neighbours(training)
        inputs = [self.pictures.chosen, self.wanted, *self.neighbours.inputs]
        outputs = [self.before, self.after, *self.neighbours.outputs]
        triggers = [component.input for component in (self.wanted, *self.neighbours.inputs)]
        gr.on([self.pictures.chosen.change, *triggers], self._draw, inputs, outputs, show_progress="hidden")
        self.load = (self._draw, inputs, outputs)

    @answering
    def _draw(self, chosen: Any, wanted: Any, *how: str) -> dict[Any, Any]:
        if chosen is None:
            return {}
        image = as_batch(chosen)
        made = self.generator.synthesize(self._inputs(image, wanted)).images[0]
        return {self.before: enlarged(image[0]), self.after: enlarged(made), **self.neighbours.of(made, *how)}

    def _inputs(self, image: Tensor, wanted: Any) -> Inputs:
        """Of the generator, for one image uint8 [1, H, W, C]."""
        info, module = self.generator.info, self.generator.module
        images = to_float(image)
        if self.what == "domains":
            return {"images": images, "domains": torch.tensor([info.domain_names.index(wanted)])}
        if self.what == "attributes":
            held = [float(name in wanted) for name in info.attribute_names]
            return {"images": images, "attributes": torch.tensor([held])}
        return module.draw_inputs(Draws.of_seeds([int(wanted)]), examples=Split(image, None, [""]))
