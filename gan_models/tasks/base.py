"""The interface of a task, and what it hands over."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel

from gan_models.errors import RequestError

if TYPE_CHECKING:
    from torch import Tensor

    from gan_models.data.table import Split
    from gan_models.families.interfaces import Inputs
    from gan_models.metrics.judge import Judge, Material
    from gan_models.sampling.draws import Draws
    from gan_models.sampling.generator import LoadedGenerator
    from gan_models.sampling.grids import Pixels


class Picture(NamedTuple):
    """Something to look at."""

    file: str
    """A name for it."""
    sentence: str
    """Its legend, or why there is none."""
    pixels: Pixels | None = None
    """uint8 [H, W, C]; None where there is nothing to show."""
    scale: int = 1
    """How many times it is enlarged without smoothing."""


class TaskFigure(BaseModel):
    """A figure of what a generator is for, beyond how real its images look."""

    name: str
    """What it is called, as `gan_models.metrics.scores.metric_key` does it."""
    title: str
    value: float
    real: float | None = None
    """What real images get, where that can be said."""
    better: Literal["lower", "higher"]
    is_share: bool = False
    """Shown in per cent."""
    goes_first: bool = True
    """Among the figures that a reader looks for."""


class Asked(NamedTuple):
    """What somebody asks a generator for."""

    num: int
    seed: int = 0
    labels: str | None = None
    """Classes by name or number, with commas between; repeated in turn."""
    truncation: float | None = None
    captions: tuple[str, ...] = ()
    given: Callable[..., Split] | None = None
    """Reads images of the user's own, prepared as the generator's training images were: all, or `num` from `first`."""
    seeds: tuple[int, ...] = ()
    """Image 0 of each of these, `num` of them, in the place of images 0 to `num` - 1 of `seed`."""
    columns: int | None = None
    """Images to a row of a grid; None: as the task arranges them."""
    attributes: str | None = None
    """Attributes to give, or with a minus to take away, with commas between; None: each in turn."""
    embeddings: Path | None = None
    """A .npy file of what stands for texts: [E], or [N, E], each in turn."""

    def draws(self, start: int = 0, stop: int | None = None) -> Draws:
        """Random numbers for the images from `start` to before `stop`, at most `num`; by default for all."""
        from gan_models.sampling.draws import Draws

        stop = self.num if stop is None else min(stop, self.num)
        return Draws.of_seeds(self.seeds[start:stop]) if self.seeds else Draws(self.seed, stop - start, start)

    def name(self, place: int) -> str:
        """What to call the image at `place`: by its number, or by its seed."""
        return f"seed{self.seeds[place]:010d}" if self.seeds else f"{place:08d}"


class Conditions(NamedTuple):
    """What images are drawn under, in turn: image i is of the label, and of the example, i modulo their number."""

    labels: Tensor | None = None
    """int64 [K]; None: as the generator's task has it."""
    examples: Split | None = None

    def labels_of(self, draws: Draws) -> Tensor | None:
        """int64 [num], of the images of `draws`."""
        return None if self.labels is None else self.labels[draws.numbers % len(self.labels)]


class Part(NamedTuple):
    """Some of the images that were asked for."""

    names: list[str]
    """Of their files, without a suffix."""
    draw: Callable[[], Tensor]
    """Makes them: uint8 [N, H, W, C]."""


class Column(NamedTuple):
    """Something that a row of a request to a served generator may say."""

    name: str
    kind: Literal["long", "double", "string"]
    """Its type, as JSON and MLflow's signatures have it."""
    required: bool = False


Row = Mapping[str, Any]
"""Values by column, whole numbers, numbers and strings; None, or left out, where the row does not say."""

SEED = Column("seed", "long", required=True)
TRUNCATION = Column("truncation", "double")


class Answer(NamedTuple):
    """What a served generator draws for a row."""

    image: Tensor
    """uint8 [H, W, C]."""
    about: dict[str, int | str]
    """What it was drawn from, names spelled out."""


class Task(ABC):
    """Made without arguments; keeps nothing."""

    random: ClassVar[bool] = True
    """Whether a seed decides anything."""
    takes: ClassVar[frozenset[str]] = frozenset()
    """Which of `Asked`'s labels, captions, attributes, embeddings and given images mean something to it."""
    foreign: ClassVar[dict[str, str]] = {
        "given": "--input: {recipe} makes images from nothing; leave the option out",
        "captions": "--caption: {recipe} does not draw from texts; leave the option out",
        "attributes": "--attributes: {recipe} changes no attributes; leave the option out",
        "embeddings": "--embedding: {recipe} does not draw from embeddings; leave the option out",
    }
    """The sentence for one that does not, or for another of `Asked`; one without a sentence is passed over."""

    @abstractmethod
    def draw(self, module: Any, draws: Draws, *, labels: Tensor | None, examples: Split | None) -> Inputs:
        """Inputs of a generator for the images of `draws`, on the CPU: those of an image depend on its number alone.

        Args:
            labels: int64 [num], the classes to draw; default: image i is of class i modulo K.
            examples: real images with what they carry, for generators that translate or illustrate; image i is made
                from example i modulo their number.

        Raises:
            ValueError: examples are needed and not given.
        """

    def distinct(self, module: Any, examples: int) -> int | None:
        """How many different inputs `draw` makes of so many examples; None where there is no limit."""
        return None

    def given(self, inputs: Inputs) -> Tensor | None:
        """The images among a generator's inputs as people see them, float [N, C or 1, H, W]; None where it has none."""
        return None

    def pictures(self, generator: LoadedGenerator, seed: int) -> Iterator[Picture]:
        """What shows the task itself, beside the grid of samples that every generator has."""
        return iter(())

    def measure(self, material: Material, judge: Judge, seed: int) -> list[TaskFigure]:
        """Figures of the task."""
        return []

    def ask(self, generator: LoadedGenerator, asked: Asked) -> Picture:
        """What was asked for, as one picture; RequestError where it cannot be asked of this generator."""
        self.refuse(generator, asked)
        return self.answer(generator, asked)

    def refuse(self, generator: LoadedGenerator, asked: Asked) -> None:
        """RequestError for what was asked for and means nothing to the task."""
        for name, sentence in self.foreign.items():
            if getattr(asked, name) not in (None, ()) and name not in self.takes:
                raise RequestError(sentence.format(recipe=generator.info.recipe_name))

    def conditions(self, generator: LoadedGenerator, asked: Asked) -> Conditions:
        """What the images asked for are drawn under; RequestError where that cannot be."""
        return Conditions()

    def about(self, generator: LoadedGenerator, asked: Asked) -> dict[str, Any]:
        """The same in words, for a record of what was drawn."""
        return {}

    def parts(self, generator: LoadedGenerator, asked: Asked, size: int = 256) -> Iterator[Part]:
        """The images that were asked for one by one, `size` at a time: however many, never all in memory.

        RequestError, before the first part, where it cannot be asked of this generator.
        """
        self.refuse(generator, asked)
        conditions = self.conditions(generator, asked)
        one = asked.draws(0, 1)  # what cannot be asked is found out with one image's inputs
        labels, examples = conditions.labels_of(one), conditions.examples
        generator.inputs(one, labels=labels, examples=examples, truncation=asked.truncation)

        def draw(start: int) -> Tensor:
            draws = asked.draws(start, start + size)
            labels, examples = conditions.labels_of(draws), conditions.examples
            return generator.draw(draws, labels=labels, examples=examples, truncation=asked.truncation).images

        def parts() -> Iterator[Part]:
            for start in range(0, asked.num, size):
                names = [asked.name(place) for place in range(start, min(start + size, asked.num))]
                yield Part(names, partial(draw, start))

        return parts()

    @abstractmethod
    def answer(self, generator: LoadedGenerator, asked: Asked) -> Picture:
        """As `ask`, once what means nothing to the task has been refused."""

    def columns(self, generator: LoadedGenerator) -> tuple[Column, ...]:
        """What rows of a request may say where it is served; none: it is served by the generator's own tensors."""
        return ()

    def example_rows(self, generator: LoadedGenerator) -> list[Row]:
        """A small request that it answers, with every column somewhere."""
        return []

    def answer_row(self, generator: LoadedGenerator, row: Row) -> Answer:
        """The one image that a row of its `columns` asks for; RequestError where there is none such."""
        raise RequestError(f"{generator.info.recipe_name} is not served by rows")


def columns_for(num: int, num_classes: int) -> int:
    """One column for each class where that makes a readable grid, else about square."""
    if 1 < num_classes <= min(num, 20):
        return num_classes
    return max(1, math.ceil(math.sqrt(num)))


def file_name(text: str) -> str:
    """A text as a part of a file's name."""
    return re.sub(r"[^\w.-]+", "-", text)
