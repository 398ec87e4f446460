"""What tasks have in common that make images from images: rows of before and after."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from gan_models.data.table import Split
from gan_models.errors import RequestError
from gan_models.sampling.examples import first
from gan_models.sampling.generator import LoadedGenerator
from gan_models.sampling.grids import image_grid
from gan_models.tasks.base import Asked, Picture, Task, enlargement

_ROWS = 10
_ACROSS = 12  # images in a row of a picture that was asked for, where a row of it holds several of before and after


class BeforeAfter(NamedTuple):
    """`images` uint8 [rows * columns, H, W, C], row by row; `columns` says what each column shows."""

    images: Tensor
    columns: list[str]

    @classmethod
    def of(cls, columns: dict[str, Tensor]) -> BeforeAfter:
        """Of columns by what they show, each uint8 [rows, H, W, C]."""
        return cls(torch.stack(list(columns.values()), dim=1).flatten(0, 1), list(columns))


class FromImages(Task):
    """Base of the tasks whose generators are given images."""

    takes: ClassVar[frozenset[str]] = frozenset({"given", "captions"})

    @abstractmethod
    def before_and_after(self, generator: LoadedGenerator, examples: Split, seed: int) -> BeforeAfter:
        """A row for each example: the image, and what is made of it."""

    def pictures(self, generator: LoadedGenerator, seed: int) -> Iterator[Picture]:
        """A row for each of ten of the generator's examples."""
        file = "translations.png"
        if generator.examples is None:
            yield Picture(file, f"no {file}: the generator folder carries no examples")
            return
        made = self.before_and_after(generator, first(generator.examples, _ROWS), seed)
        grid = image_grid(made.images, len(made.columns))
        yield Picture(file, f"{file}: columns are {', '.join(made.columns)}", grid, enlargement(made.images))

    def answer(self, generator: LoadedGenerator, asked: Asked) -> Picture:
        """What is made of up to `num` images, the user's own or those that came with the generator: a row for each."""
        info = generator.info
        examples = generator.examples if asked.given is None else asked.given()
        if examples is None:
            raise RequestError(
                f"{info.recipe_name} translates images and its folder carries none: name some with --input"
            )
        made = self.before_and_after(generator, first(examples, asked.num), asked.seed)
        rows = len(made.images) // len(made.columns)
        abreast = max(1, _ACROSS // len(made.columns)) if rows > 1 else 1
        grid = image_grid(made.images, len(made.columns) * abreast)
        return Picture("grid", f"{rows} images by {info.called}; columns: {', '.join(made.columns)}", grid)
