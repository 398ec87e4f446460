"""Places in latent space and their images: of a seed, moved along directions, walked between, added and subtracted.

A seed stands for one image, the first that `sample` draws of it: what is found here can be drawn there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from gan_models.atomic import new_file
from gan_models.errors import RequestError, unknown_name
from gan_models.exploring.directions import Directions, principal_directions
from gan_models.families.interfaces import Inputs
from gan_models.sampling.draws import Draws
from gan_models.sampling.generator import LoadedGenerator
from gan_models.sampling.grids import as_image
from gan_models.sampling.latents import LEAST_THRESHOLD, spherical, truncate
from gan_models.tasks.text import captions_of, examples_of

MOST_IMAGES = 400  # of one grid
MOST_ROWS = 20
THRESHOLDS = (0.1, 0.3, 0.5, 0.8, 1.2, None)  # from one image to all that there are

Rows = Literal["seeds", "classes", "truncation", "mixing"]


class Grid(NamedTuple):
    """Images uint8 [N, H, W, C], `columns` to a row; what each row is: a class, a threshold, or its first seed."""

    images: Tensor
    columns: int
    rows: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class LatentSpace:
    """Of a generator that draws from latents and, it may be, a condition: a class by name, a caption, an example."""

    generator: LoadedGenerator

    thresholds: ClassVar[tuple[float | None, ...]] = THRESHOLDS
    """Of truncation, from one image to all that there are."""
    rows: ClassVar[tuple[Rows, ...]] = ("seeds", "truncation")
    """What the rows of a grid can be where there are no classes."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes that can be asked for; of the examples, where their embeddings stand for texts."""
        if self._embeddings is not None:
            return tuple(f"example {number}" for number in range(len(self._embeddings)))
        return self.generator.info.class_names if "labels" in self.generator.module.inputs else ()

    @property
    def _embeddings(self) -> Tensor | None:
        """The first of each example that came with the generator, float32 [N, E]; None where it reads no such."""
        examples = self.generator.examples
        if "embeddings" not in self.generator.module.inputs or examples is None or examples.embeddings is None:
            return None
        return examples.embeddings[:, 0]

    @property
    def takes_captions(self) -> bool:
        return "captions" in self.generator.module.inputs

    @cached_property
    def captions(self) -> tuple[str, ...]:
        """Those that came with the generator, each once."""
        examples = self.generator.examples
        if not self.takes_captions or examples is None or examples.captions is None:
            return ()
        return tuple(dict.fromkeys(captions_of(examples.captions, self.generator.info)))

    @property
    def first_condition(self) -> str | None:
        """What to begin with; None where nothing is conditioned."""
        if self.takes_captions:
            return next(iter((*self.captions, *self.generator.info.words)))
        return next(iter(self.classes), None)

    @cached_property
    def directions(self) -> Directions:
        """Of the first condition; found once."""
        return principal_directions(self.generator.module, self._conditioned([self.first_condition]))

    def latents(self, seeds: Sequence[int], truncation: float | None = None, condition: str | None = None) -> Tensor:
        """float32 [N, Z]: the first that `sample` draws of each seed; RequestError for what is no threshold.

        Args:
            condition: of what they are to be, where places depend on it.
        """
        if truncation is not None and not truncation >= LEAST_THRESHOLD:
            raise RequestError(f"truncation {truncation:g}: latents are cut off at {LEAST_THRESHOLD} or above")
        rows = []
        for seed in seeds:
            draws = Draws(seed, 1)
            drawn = draws.normal(self.generator.module.latent)
            rows.append(drawn if truncation is None else truncate(drawn, truncation, draws))
        return torch.cat(rows)

    def images(self, latents: Tensor, conditions: Sequence[str | None]) -> Tensor:
        """uint8 [N, H, W, C] of latents [N, Z], each with its condition; RequestError for one that is not known."""
        return self.generator.synthesize({"latents": latents} | self._conditioned(conditions)).images

    def moved(self, latent: Tensor, amounts: Sequence[float]) -> Tensor:
        """The latent [Z] and so many standard deviations of each of the main directions."""
        vectors = self.directions.vectors[: len(amounts)]
        return latent + torch.tensor(amounts, dtype=latent.dtype) @ vectors

    def grid(
        self, seed: int, columns: int, rows: Rows, number: int, condition: str | None, truncation: float | None
    ) -> Grid:
        """A column for each seed from `seed` on; rows go on with seeds, or are classes, or thresholds of truncation.

        Args:
            number: how many rows of seeds.

        Raises:
            RequestError: more images than a page can show, or what `latents` and `images` refuse.
        """
        kinds: list[tuple[str | None, float | None]]
        if rows == "classes":
            kinds = [(name, truncation) for name in self.classes[:MOST_ROWS]]
        elif rows == "truncation":
            kinds = [(condition, threshold) for threshold in self.thresholds]
        else:
            kinds = [(condition, truncation)] * number
        if not (columns >= 1 and kinds and columns * len(kinds) <= MOST_IMAGES):
            raise RequestError(f"{columns} x {len(kinds)} images: expected from 1 to {MOST_IMAGES}")
        latents, conditions = [], []
        for row, (asked, threshold) in enumerate(kinds):
            first = seed + (row * columns if rows == "seeds" else 0)
            latents.append(self.latents(range(first, first + columns), threshold, asked))
            conditions += [asked] * columns
        labels = {
            "classes": [str(asked) for asked, _ in kinds],
            "truncation": ["none" if threshold is None else f"{threshold:g}" for _, threshold in kinds],
            "seeds": [f"{seed + row * columns}" for row in range(len(kinds))],
        }[rows]
        return Grid(self.images(torch.cat(latents), conditions), columns, tuple(labels))

    def walk(self, start: Tensor, end: Tensor, steps: int) -> Tensor:
        """[steps, Z] from one latent [Z] to another, there and not back; RequestError for too many."""
        return walk(start, end, steps)

    def combined(self, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
        """a - b + c of latents [Z]."""
        return combined(a, b, c)

    def _conditioned(self, conditions: Sequence[str | None]) -> Inputs:
        """The inputs besides latents, a row for each condition."""
        if self.takes_captions:
            captions = examples_of([condition or "" for condition in conditions], self.generator.info).captions
            assert captions is not None
            return {"captions": captions}
        if "embeddings" in self.generator.module.inputs and not self.classes:
            raise RequestError(
                f"{self.generator.info.recipe_name} draws from embeddings and its folder carries none: `gan-pipeline "
                "sample --embedding FILE.npy` draws from a file of them"
            )
        if self.classes:
            places = {name: place for place, name in enumerate(self.classes)}
            for condition in conditions:
                if condition not in places:
                    raise unknown_name("class", str(condition), self.classes)
            chosen = torch.tensor([places[str(condition)] for condition in conditions])
            return {"labels": chosen} if self._embeddings is None else {"embeddings": self._embeddings[chosen]}
        return {}


def walk(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """[steps, Z] on the great circle from one latent [Z] to another, there and not back."""
    if not 2 <= steps <= MOST_IMAGES:
        raise RequestError(f"{steps} steps: expected from 2 to {MOST_IMAGES}")
    return spherical(start, end, steps)


def combined(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """a - b + c of latents [Z], as long as the three are on average.

    The sum of three single latents is sqrt(3) times as long as the latents that a generator was trained on, which ends
    in glaring images. (Radford, Metz, Chintala 2016, section 6.3.2, average several for each term instead.)
    """
    total = a - b + c
    length = torch.stack([a, b, c]).norm(dim=1).mean()
    return total * (length / total.norm().clamp(min=1e-12))


def save_animation(images: Tensor, path: Path, *, scale: int, milliseconds: int = 80) -> None:
    """Writes uint8 [N, H, W, C] as a GIF that goes there and back for ever, enlarged without smoothing."""
    frames = [as_image(image) for image in images.numpy()]
    size = (frames[0].width * scale, frames[0].height * scale)
    there = [frame.resize(size, Image.Resampling.NEAREST) for frame in frames]
    every = [*there, *there[-2:0:-1]]
    with new_file(path) as temporary:
        every[0].save(temporary, format="gif", save_all=True, append_images=every[1:], duration=milliseconds, loop=0)
