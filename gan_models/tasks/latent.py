"""Images from noise, and a class where the generator takes one."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gan_models.data.table import Split
from gan_models.errors import RequestError, unknown_name
from gan_models.families.interfaces import Generator, Inputs
from gan_models.sampling.draws import Draws
from gan_models.sampling.generator import LoadedGenerator
from gan_models.sampling.grids import image_grid
from gan_models.tasks.base import SEED, TRUNCATION, Answer, Asked, Column, Conditions, Picture, Row, Task, columns_for


class Latent(Task):
    """Latents from N(0, I); image i is of class i modulo K."""

    def draw(self, module: Generator, draws: Draws, *, labels: Tensor | None, examples: Split | None) -> Inputs:
        inputs = {"latents": draws.normal(module.latent)}
        if module.num_classes:
            inputs["labels"] = draws.numbers % module.num_classes if labels is None else labels
        return inputs

    def conditions(self, generator: LoadedGenerator, asked: Asked) -> Conditions:
        if asked.labels is None:
            return Conditions()
        classes = classes_of(asked.labels, generator.info.class_names)
        if not generator.module.num_classes:
            raise RequestError(f"--labels: {generator.info.recipe_name} is unconditional: leave the option out")
        if asked.seeds and len(classes) > 1:
            raise RequestError(
                f"--labels {asked.labels}: image 0 of every seed is of the first class of the list; name one class, or "
                "draw --num images of one --seed"
            )
        return Conditions(torch.tensor(classes))

    def about(self, generator: LoadedGenerator, asked: Asked) -> dict[str, Any]:
        """The classes in turn: image i of a seed is of the one at i modulo their number."""
        names, count = generator.info.class_names, generator.module.num_classes
        if not count:
            return {}
        labels = self.conditions(generator, asked).labels
        numbers = range(count) if labels is None else labels.tolist()
        return {"classes": [names[number] for number in (numbers[:1] if asked.seeds else numbers)]}

    def answer(self, generator: LoadedGenerator, asked: Asked) -> Picture:
        draws, conditions = asked.draws(), self.conditions(generator, asked)
        labels = conditions.labels_of(draws)
        samples = generator.draw(draws, labels=labels, truncation=asked.truncation)
        every_class = 0 if labels is not None or asked.seeds else generator.module.num_classes
        grid = image_grid(samples.images, asked.columns or columns_for(asked.num, every_class))
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


def classes_of(text: str, names: Sequence[str]) -> list[int]:
    """Positions of the classes that a list names, by name or number; RequestError for one that is not there."""
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
    return chosen
