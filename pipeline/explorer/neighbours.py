"""The training images nearest to a picture of the page, where they are at hand."""

from __future__ import annotations

from typing import Any

import gradio as gr
from torch import Tensor

from gan_models.exploring.training_set import TrainingSet
from gan_models.metrics.training_images import NEIGHBOURS
from pipeline.explorer.showing import tiled

_NONE, _PIXELS, _FEATURES = "off", "by pixels", "by features"


class Neighbours:
    """A switch, and a strip of images under it; nothing where there are no training images."""

    def __init__(self, training: TrainingSet | None) -> None:
        self.training = training
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        if training is not None:
            choices = [_NONE, _PIXELS, _FEATURES]
            self.how = gr.Radio(choices, value=_NONE, label="Nearest training images", elem_id="nearest")
            self.strip = gr.Image(
                label="The nearest first",
                visible=False,
                interactive=False,
                buttons=[],
                format="png",
                elem_id="nearest-strip",
            )
            self.inputs, self.outputs = [self.how], [self.strip]

    def of(self, image: Tensor, *how: str) -> dict[Any, Any]:
        """The strip for uint8 [H, W, C]; `how` is the value of the switch, if there is one."""
        if self.training is None or not how:
            return {}
        if how[0] == _NONE:
            return {self.strip: gr.update(visible=False)}
        find = self.training.by_pixels if how[0] == _PIXELS else self.training.by_features
        near = find(image[None])[0]
        return {self.strip: gr.update(value=tiled(near, NEIGHBOURS), visible=True)}
