"""Colours for grey images, led by hints at a few pixels (Zhang et al. 2017)."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan_models.data.hints import (
    MOST_HINTS,
    geometric_counts,
    grey_of,
    mean_inside,
    place_hints,
    simulate_hints,
    with_luminance,
)
from gan_models.data.table import Split, to_float, to_uint8
from gan_models.errors import RequestError
from gan_models.families.colorization.networks import Colorizer
from gan_models.families.interfaces import Inputs
from gan_models.metrics.judge import Judge, Material
from gan_models.sampling.draws import Draws
from gan_models.sampling.generator import LoadedGenerator
from gan_models.sampling.pngs import decode_image, encode_png
from gan_models.tasks.base import Answer, Asked, Column, Row, TaskFigure
from gan_models.tasks.from_images import FromImages

_HINTS = 5
HINT_COUNTS = (0, 1, 5, 20)
_DIFFERENT = 0.1  # colours that differ by less, as a share of the range of pixels, say nothing about who was followed


class Colorization(FromImages):
    """Example i modulo their number in grey, with hints as a simulated user gives them."""

    def draw(self, module: Colorizer, draws: Draws, *, labels: Tensor | None, examples: Split | None) -> Inputs:
        if examples is None:
            raise ValueError("it colours images: give it examples in colour")
        index = (draws.numbers % len(examples)).to(examples.images.device)
        images = to_float(examples.images[index]).cpu()
        counts = geometric_counts(draws.uniform(), module.hint_end)
        hints = simulate_hints(images, counts, *_squares(draws, module.hint_size))
        return {"images": module.grey(images), "hints": hints}

    def given(self, inputs: Inputs) -> Tensor | None:
        """In grey, hints painted over."""
        images, hints = inputs["images"], inputs["hints"]
        return torch.where(hints[:, :1] > 0, hints[:, 1:], images.expand(-1, hints.shape[1] - 1, -1, -1))

    def made(self, generator: LoadedGenerator, asked: Asked | None = None) -> tuple[str, ...]:
        return ("coloured", "coloured with hints")

    def before_and_after(
        self, generator: LoadedGenerator, examples: Split, seed: int, first: int = 0, asked: Asked | None = None
    ) -> dict[str, Tensor]:
        """In grey, coloured without hints, in grey with a few (of its own colours), coloured with these, the image."""
        images = to_float(examples.images).cpu()
        squares = _squares(Draws(seed, len(images), first), _colorizer(generator).hint_size)
        hints = simulate_hints(images, torch.full((len(images),), _HINTS), *squares)
        grey = _colorizer(generator).grey(images)
        shown = self.given({"images": grey, "hints": hints})
        assert shown is not None
        without, told = (
            generator.synthesize({"images": grey, "hints": each}).images for each in (torch.zeros_like(hints), hints)
        )
        return {
            "grey": to_uint8(grey.expand_as(images)),
            "coloured": without,
            "hints": to_uint8(shown),
            "coloured with hints": told,
            "true colours": to_uint8(images),
        }

    def measure(self, material: Material, judge: Judge, seed: int) -> list[TaskFigure]:
        """Distances to the true colours with more and more hints, and whether hints are followed."""
        examples, largest = material.samples.examples, _colorizer(material.generator).hint_size
        assert examples is not None
        figures = []
        for colours in measure_colours(material.generator, examples, largest, seed):
            hints = "1 hint" if colours.hints == 1 else f"{colours.hints} hints"
            about = hints.replace(" ", "-")
            figures += [
                TaskFigure(
                    name=f"colour-error-{about}",
                    title=f"difference to the true colours with {hints} (share of the range of pixels)",
                    value=colours.error,
                    better="lower",
                ),
                TaskFigure(
                    name=f"PSNR-{about}",
                    title=f"PSNR with {hints} (dB)",
                    value=colours.psnr,
                    better="higher",
                ),
            ]
        followed = measure_following(material.generator, examples, largest, seed)
        if followed.images:
            figures.append(
                TaskFigure(
                    name="hint-followed",
                    title="hints of another colour that are nearer to what is drawn there than the true colour is",
                    value=followed.share,
                    better="higher",
                    is_share=True,
                )
            )
        return figures

    def columns(self, generator: LoadedGenerator) -> tuple[Column, ...]:
        """An image, taken in grey, and hints: an image of the generator's size, opaque where it tells a colour."""
        return (Column("image", "string", required=True), Column("hints", "string"))

    def example_rows(self, generator: LoadedGenerator) -> list[Row]:
        image, (_, height, width) = self.example_image(generator), generator.info.image_shape
        hints = torch.zeros(height, width, 4, dtype=torch.uint8)
        hints[height // 2, width // 2] = torch.tensor([255, 0, 0, 255], dtype=torch.uint8)
        return [{"image": image, "hints": None}, {"image": image, "hints": encode_png(hints)}]

    def answer_row(self, generator: LoadedGenerator, row: Row) -> Answer:
        images = self.image_of(generator, row)
        hints = images.new_zeros(1, 4, *images.shape[2:]) if row.get("hints") is None else _hints(row["hints"], images)
        return Answer(
            generator.synthesize({"images": _colorizer(generator).grey(images), "hints": hints}).images[0], {}
        )


def _hints(text: str, images: Tensor) -> Tensor:
    """Hints [1, 4, H, W] of an image with opaque and transparent pixels, of the size of `images`."""
    told = decode_image("hints", text).convert("RGBA")
    height, width = images.shape[2:]
    if told.size != (width, height):
        raise RequestError(f"hints: an image of {told.width}x{told.height} pixels; expected {width}x{height}")
    pixels = torch.from_numpy(np.array(told))[None]
    mask = (pixels[..., 3] > 127).to(images.dtype)[:, None]
    return torch.cat([mask, to_float(pixels[..., :3]) * mask], dim=1)


def _squares(draws: Draws, largest: int) -> tuple[Tensor, Tensor]:
    """Sizes and places of as many hints as an image may have (`simulate_hints`)."""
    sizes = 1 + (draws.uniform(MOST_HINTS) * largest).long().clamp(max=largest - 1)
    return sizes, draws.normal(MOST_HINTS, 2)


def _colorizer(generator: LoadedGenerator) -> Colorizer:
    assert isinstance(generator.module, Colorizer)
    return generator.module


class Colours(NamedTuple):
    """Distances to the true colours with so many hints."""

    hints: int
    error: float  # mean absolute difference, as a share of the range of pixels
    psnr: float  # peak signal to noise ratio in dB, of the squared error over all images


class Followed(NamedTuple):
    """What happens where one hint tells another colour than the true one."""

    share: float  # of the images, those whose colour there is nearer to the hint than to the truth
    error: float  # mean absolute difference to the hint there, as a share of the range of pixels
    images: int


def measure_colours(generator: LoadedGenerator, examples: Split, largest: int, seed: int) -> list[Colours]:
    """Distances for each of `HINT_COUNTS`; hints as a simulated user gives them, up to `largest` pixels a side."""
    truth = to_float(examples.images).cpu()
    grey, figures = _colorizer(generator).grey(truth), []
    for count in HINT_COUNTS:
        hints = simulate_hints(truth, torch.full((len(truth),), count), *_squares(Draws(seed, len(truth)), largest))
        drawn = generator.synthesize({"images": grey, "hints": hints}).images
        difference = (drawn.double() - examples.images.cpu().double()) / 255
        psnr = -10 * torch.log10(difference.square().mean().clamp(min=1e-12))
        figures.append(Colours(count, float(difference.abs().mean()), float(psnr)))
    return figures


def measure_following(generator: LoadedGenerator, examples: Split, largest: int, seed: int) -> Followed:
    """One hint at the most colourful place of each image: the colour that another image has at its own.

    The hint has the luminance of the place, so that it could be true; images whose partner has nearly the same colour
    are left out.
    """
    truth = to_float(examples.images).cpu()
    squares = _most_colourful(truth, largest)
    order = torch.randperm(len(truth), generator=torch.Generator().manual_seed(seed))
    own = mean_inside(truth, squares)
    told = with_luminance(own[order], grey_of(own))
    different = ((told - own).abs().mean((1, 2, 3)) / 2) > _DIFFERENT
    if not different.any():
        return Followed(0.0, 0.0, 0)
    truth, squares, own, told = (tensor[different] for tensor in (truth, squares, own, told))
    empty = truth.new_zeros(len(truth), 4, *truth.shape[2:])
    hints, grey = place_hints(empty, squares, told.expand_as(truth)), _colorizer(generator).grey(truth)
    drawn = to_float(generator.synthesize({"images": grey, "hints": hints}).images)
    found = mean_inside(drawn, squares)
    to_told, to_own = ((found - colour).abs().mean((1, 2, 3)) / 2 for colour in (told, own))
    return Followed(float((to_told < to_own).double().mean()), float(to_told.mean()), len(truth))


def _most_colourful(images: Tensor, largest: int) -> Tensor:
    """bool [B, 1, H, W]: the square of `largest` pixels a side around the most colourful pixel, inside the image."""
    height, width = images.shape[2:]
    colourful = images.amax(1) - images.amin(1)
    places = colourful.flatten(1).argmax(1)
    rows, columns = places // width, places % width
    return (_near(rows, largest, height)[:, :, None] & _near(columns, largest, width)[:, None, :])[:, None]


def _near(places: Tensor, size: int, side: int) -> Tensor:
    start = (places - size // 2).clamp(min=0, max=max(side - size, 0))
    cells = torch.arange(side)
    return (cells >= start[:, None]) & (cells < start[:, None] + size)
