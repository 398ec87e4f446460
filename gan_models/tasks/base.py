"""The interface of a task, and what it hands over."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
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
    """Its full name: what it is of, and how many images it was measured on."""
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
    given: Callable[[], Split] | None = None
    """Reads images of the user's own, prepared as the generator's training images were."""


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

    takes: ClassVar[frozenset[str]] = frozenset()
    """Which of `Asked`'s labels, captions and given images mean something to it."""
    foreign: ClassVar[dict[str, str]] = {
        "given": "--input: {recipe} makes images from nothing; leave the option out",
        "captions": "--caption: {recipe} does not draw from texts; leave the option out",
    }
    """The sentence for one that does not; one without a sentence is passed over."""

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
        for name, sentence in self.foreign.items():
            if getattr(asked, name) not in (None, ()) and name not in self.takes:
                raise RequestError(sentence.format(recipe=generator.info.recipe_name))
        return self.answer(generator, asked)

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
