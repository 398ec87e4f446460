"""The page of a generator that translates pictures: a picture, a domain, and what comes of it."""

from __future__ import annotations

from typing import Any

import gradio as gr
import torch

from gan_models.data.table import to_float
from gan_models.exploring.training_set import TrainingSet
from gan_models.sampling.generator import LoadedGenerator
from pipeline.explorer.neighbours import Neighbours
from pipeline.explorer.pictures import Pictures, as_batch
from pipeline.explorer.showing import answering, enlarged


class TranslationPage:
    """Redrawn whenever another picture or another domain is chosen."""

    def __init__(self, generator: LoadedGenerator, training: TrainingSet | None) -> None:
        self.generator = generator
        names = list(generator.info.domain_names)
        self.domain = gr.Radio(names, value=names[-1], label="Domain", elem_id="domain")
        with gr.Row():
            self.before = gr.Image(label="Picture", interactive=False, buttons=[], format="png", elem_id="before")
            self.after = gr.Image(
                label="Translated", interactive=False, buttons=["download"], format="png", elem_id="after"
            )
        self.pictures = Pictures(generator)
        self.neighbours = Neighbours(training)
        inputs = [self.pictures.chosen, self.domain, *self.neighbours.inputs]
        outputs = [self.before, self.after, *self.neighbours.outputs]
        triggers = [component.input for component in (self.domain, *self.neighbours.inputs)]
        gr.on([self.pictures.chosen.change, *triggers], self._draw, inputs, outputs, show_progress="hidden")
        self.load = (self._draw, inputs, outputs)

    @answering
    def _draw(self, chosen: Any, domain: str, *how: str) -> dict[Any, Any]:
        if chosen is None:
            return {}
        image = as_batch(chosen)
        number = self.generator.info.domain_names.index(domain)
        made = self.generator.synthesize({"images": to_float(image), "domains": torch.tensor([number])}).images[0]
        return {self.before: enlarged(image[0]), self.after: enlarged(made), **self.neighbours.of(made, *how)}
