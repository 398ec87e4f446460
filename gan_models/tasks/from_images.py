"""What tasks have in common that make images from images: rows of before and after."""

from abc import abstractmethod
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from gan_models.data.table import Split, to_float
from gan_models.errors import RequestError
from gan_models.sampling.generator import LoadedGenerator
from gan_models.sampling.grids import enlargement, image_grid, side_by_side
from gan_models.sampling.pngs import decode_image, encode_png, image_input
from gan_models.tasks.base import Asked, Part, Picture, Row, Task, file_name

_ROWS = 10
_ACROSS = 12  # images in a row of a picture that was asked for, where a row of it holds several of before and after


class FromImages(Task):
    """Base of the tasks whose generators are given images."""

    takes: ClassVar[frozenset[str]] = frozenset({"given"})
    foreign: ClassVar[dict[str, str]] = {
        **Task.foreign,
        "labels": "--labels: {recipe} makes images from images, not of a class; leave the option out",
        "truncation": "--truncation: {recipe} takes no latents, there is nothing to truncate; leave the option out",
        "seeds": "--seeds: {recipe} makes images from images; leave the option out, and name these with --input",
        "columns": "--columns: a row of {recipe} shows images before and after; leave the option out",
    }

    @abstractmethod
    def before_and_after(
        self, generator: LoadedGenerator, examples: Split, seed: int, first: int = 0, asked: Asked | None = None
    ) -> dict[str, Tensor]:
        """Columns by what they show, each uint8 [N, H, W, C]: the examples, and what is made of them.

        Args:
            first: the number of the first example, by which what is random about it is drawn.
            asked: what else somebody asks for; None: nothing.
        """

    @abstractmethod
    def made(self, generator: LoadedGenerator, asked: Asked | None = None) -> tuple[str, ...]:
        """Which of these columns hold what the generator made."""

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

    def about(self, generator: LoadedGenerator, asked: Asked) -> dict[str, Any]:
        """What is made of each image."""
        return {"made": list(self.made(generator, asked))}

    def parts(self, generator: LoadedGenerator, asked: Asked, size: int = 256) -> Iterator[Part]:
        """What is made of each image, in files of the image's number and of what is shown."""
        self.refuse(generator, asked)
        count = asked.num if asked.given is not None else min(asked.num, len(_examples(generator)))
        made = self.made(generator, asked)

        def draw(start: int, stop: int) -> Tensor:
            if asked.given is not None:
                examples = asked.given(start, stop - start)
            else:
                examples = _examples(generator).rows(torch.arange(start, stop))
            columns = self.before_and_after(generator, examples, asked.seed, start, asked)
            return side_by_side(*(columns[name] for name in made))

        def parts() -> Iterator[Part]:
            for start in range(0, count, size):
                stop = min(start + size, count)
                names = [f"{number:08d}-{file_name(name)}" for number in range(start, stop) for name in made]
                yield Part(names, partial(draw, start, stop))

        return parts()

    def answer(self, generator: LoadedGenerator, asked: Asked) -> Picture:
        """What is made of up to `num` images, the user's own or those that came with the generator: a row for each."""
        info = generator.info
        examples = (_examples(generator) if asked.given is None else asked.given()).first(asked.num)
        columns = self.before_and_after(generator, examples, asked.seed, asked=asked)
        abreast = max(1, _ACROSS // len(columns)) if len(examples) > 1 else 1
        grid = image_grid(side_by_side(*columns.values()), len(columns) * abreast)
        return Picture("grid", f"{len(examples)} images by {info.called}; columns: {', '.join(columns)}", grid)

    def example_image(self, generator: LoadedGenerator) -> str:
        """One that came with the generator, else a black one, as rows carry it."""
        channels, height, width = generator.info.image_shape
        examples = generator.examples
        image = torch.zeros(height, width, channels, dtype=torch.uint8)
        return encode_png(image if examples is None else examples.images[0].cpu())

    def image_of(self, generator: LoadedGenerator, row: Row) -> Tensor:
        """The image of a row as the generator's training images were, float32 [1, C, H, W]."""
        return to_float(image_input(decode_image("image", row["image"]), generator)[None])


def _examples(generator: LoadedGenerator) -> Split:
    if generator.examples is None:
        raise RequestError(
            f"{generator.info.recipe_name} translates images and its folder carries none: name some with --input"
        )
    return generator.examples
