"""What tasks have in common that make images from images: rows of before and after."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from gan_models.data.table import Split, to_float
from gan_models.errors import RequestError
from gan_models.sampling.generator import LoadedGenerator
from gan_models.sampling.grids import enlargement, image_grid, side_by_side
from gan_models.sampling.pngs import decode_image, encode_png, image_input
from gan_models.tasks.base import Asked, Picture, Row, Task

_ROWS = 10
_ACROSS = 12  # images in a row of a picture that was asked for, where a row of it holds several of before and after


class FromImages(Task):
    """Base of the tasks whose generators are given images."""

    takes: ClassVar[frozenset[str]] = frozenset({"given", "captions"})

    @abstractmethod
    def before_and_after(self, generator: LoadedGenerator, examples: Split, seed: int) -> dict[str, Tensor]:
        """Columns by what they show, each uint8 [N, H, W, C]: the examples, and what is made of them."""

    def pictures(self, generator: LoadedGenerator, seed: int) -> Iterator[Picture]:
        """A row for each of ten of the generator's examples."""
        file = "translations.png"
        if generator.examples is None:
            yield Picture(file, f"no {file}: the generator folder carries no examples")
            return
        columns = self.before_and_after(generator, generator.examples.first(_ROWS), seed)
        images = side_by_side(*columns.values())
        grid = image_grid(images, len(columns))
        yield Picture(file, f"{file}: columns are {', '.join(columns)}", grid, enlargement(images))

    def answer(self, generator: LoadedGenerator, asked: Asked) -> Picture:
        """What is made of up to `num` images, the user's own or those that came with the generator: a row for each."""
        info = generator.info
        examples = generator.examples if asked.given is None else asked.given()
        if examples is None:
            raise RequestError(
                f"{info.recipe_name} translates images and its folder carries none: name some with --input"
            )
        examples = examples.first(asked.num)
        columns = self.before_and_after(generator, examples, asked.seed)
        abreast = max(1, _ACROSS // len(columns)) if len(examples) > 1 else 1
        grid = image_grid(side_by_side(*columns.values()), len(columns) * abreast)
        return Picture("grid", f"{len(examples)} images by {info.called}; columns: {', '.join(columns)}", grid)

    def example_image(self, generator: LoadedGenerator) -> str:
        """One that came with the generator, else a black one, as rows carry it."""
        channels, size, _ = generator.info.image_shape
        examples = generator.examples
        image = torch.zeros(size, size, channels, dtype=torch.uint8) if examples is None else examples.images[0].cpu()
        return encode_png(image)

    def image_of(self, generator: LoadedGenerator, row: Row) -> Tensor:
        """The image of a row as the generator's training images were, float32 [1, C, H, W]."""
        return to_float(image_input(decode_image("image", row["image"]), generator)[None])
