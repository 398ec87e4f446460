"""Images from what a text says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from gan_models.data.table import Split
from gan_models.errors import RequestError
from gan_models.families.interfaces import Generator, Inputs
from gan_models.sampling.generator import LoadedGenerator
from gan_models.tasks.base import Asked, Picture, Task, columns_for
from gan_models.tasks.captioned import captioned_grid, captions_of, examples_of

_ROWS, _COLUMNS = 5, 8


class Text(Task):
    """Latents, and the captions of the examples in turn."""

    takes: ClassVar[frozenset[str]] = frozenset({"captions"})
    foreign: ClassVar[dict[str, str]] = {
        **Task.foreign,
        "labels": "--labels: {recipe} is asked in words; use --caption",
    }

    def draw(
        self, module: Generator, num: int, stream: torch.Generator, *, labels: Tensor | None, examples: Split | None
    ) -> Inputs:
        if examples is None or examples.captions is None:
            raise ValueError("it draws what a text says: pass images with captions, or captions")
        captions = examples.captions.cpu()[torch.arange(num) % len(examples)]
        return {"latents": torch.randn(num, module.latent, generator=stream), "captions": captions}

    def pictures(self, generator: LoadedGenerator, seed: int) -> Iterator[Picture]:
        """Forty pictures of the captions that came with the generator, each with its caption underneath."""
        file = "captions.png"
        if generator.examples is None:
            yield Picture(file, f"no {file}: the generator folder carries no captions")
            return
        samples = generator.sample(_ROWS * _COLUMNS, seed=seed)
        texts = captions_of(samples.inputs["captions"], generator.info)
        grid = captioned_grid(samples.images, texts, _COLUMNS)
        yield Picture(file, f"{file}: pictures with the captions that were asked for underneath", grid)

    def answer(self, generator: LoadedGenerator, asked: Asked) -> Picture:
        """The captions in turn, the user's own or those that came with the generator, each with its text underneath."""
        info, captions = generator.info, asked.captions
        examples = examples_of(captions, info) if captions else generator.examples
        if examples is None:
            raise RequestError(
                f"{info.recipe_name} draws what a text says and its folder carries none: add --caption TEXT"
            )
        samples = generator.sample(asked.num, seed=asked.seed, examples=examples, truncation=asked.truncation)
        grid = captioned_grid(
            samples.images, captions_of(samples.inputs["captions"], info), columns_for(asked.num, len(captions))
        )
        return Picture("grid", f"{asked.num} images of {info.called}", grid)
