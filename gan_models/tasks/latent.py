"""Images from noise, and a class where the generator takes one."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gan_models.data.table import Split
from gan_models.errors import RequestError, unknown_name
from gan_models.families.interfaces import Generator, Inputs
from gan_models.sampling.draws import Draws
from gan_models.sampling.generator import LoadedGenerator
from gan_models.sampling.grids import image_grid
from gan_models.tasks.base import SEED, TRUNCATION, Answer, Asked, Column, Picture, Row, Task, columns_for


class Latent(Task):
    """Latents from N(0, I); image i is of class i modulo K."""

    def draw(self, module: Generator, draws: Draws, *, labels: Tensor | None, examples: Split | None) -> Inputs:
        inputs = {"latents": draws.normal(module.latent)}
        if module.num_classes:
            inputs["labels"] = draws.numbers % module.num_classes if labels is None else labels
        return inputs

    def answer(self, generator: LoadedGenerator, asked: Asked) -> Picture:
        labels = None if asked.labels is None else _classes(asked.labels, asked.num, generator.info.class_names)
        samples = generator.sample(asked.num, seed=asked.seed, labels=labels, truncation=asked.truncation)
        every_class = generator.module.num_classes if labels is None else 0
        grid = image_grid(samples.images, columns_for(asked.num, every_class))
        return Picture("grid", f"{asked.num} images of {generator.info.called}", grid)

    def columns(self, generator: LoadedGenerator) -> tuple[Column, ...]:
        """A class by name or number; left out, it is the first one, as of the first image of a seed."""
        label = (Column("label", "string"),) if generator.module.num_classes else ()
        return (SEED, *label, TRUNCATION)

    def example_rows(self, generator: LoadedGenerator) -> list[Row]:
        rows: list[Row] = [{"seed": 0, "truncation": None}, {"seed": 1, "truncation": 0.7}]
        if not generator.module.num_classes:
            return rows
        names = generator.info.class_names
        return [{**row, "label": names[at % len(names)]} for at, row in enumerate(rows)]

    def answer_row(self, generator: LoadedGenerator, row: Row) -> Answer:
        names, label = generator.info.class_names, row.get("label")
        labels = None if label is None else torch.tensor([position_of("class", label, names)])
        samples = generator.sample(1, seed=row["seed"], labels=labels, truncation=row.get("truncation"))
        shown = {} if samples.labels is None else {"label": names[int(samples.labels[0])]}
        return Answer(samples.images[0], {"seed": row["seed"], **shown})


def position_of(kind: str, text: str, names: Sequence[str]) -> int:
    """Of a name in `names`, or of its number; RequestError for one that is neither. `kind`: what they are names of."""
    if text in names:
        return list(names).index(text)
    if text.isdecimal() and int(text) < len(names):
        return int(text)
    raise unknown_name(kind, text, names)


def _classes(text: str, num: int, names: Sequence[str]) -> Tensor:
    """The classes asked for, in turn, as int64 [num]."""
    if not names:
        raise RequestError("--labels: this generator was trained without classes; leave the option out")
    positions = {name: position for position, name in enumerate(names)}
    chosen = []
    parts = [part.strip() for part in text.split(",")]
    while parts:
        # Names may have commas in them: the longest run of parts that is one is it.
        runs = ((", ".join(parts[:end]), ",".join(parts[:end]), end) for end in range(len(parts), 0, -1))
        found = next(((name, end) for *forms, end in runs for name in forms if name in positions), None)
        if found:
            chosen.append(positions[found[0]])
            parts = parts[found[1] :]
        elif parts[0].isdigit() and int(parts[0]) < len(names):
            chosen.append(int(parts.pop(0)))
        else:
            raise unknown_name("class", parts[0], names)
    return torch.tensor([chosen[index % len(chosen)] for index in range(num)])
