"""Images made from their partners (Isola et al. 2017)."""

from typing import NamedTuple

import torch
from torch import Tensor

from gan_models.data.table import Split, to_float, to_uint8
from gan_models.families.interfaces import Inputs
from gan_models.families.pix2pix.networks import PairGenerator
from gan_models.metrics.judge import Judge, Material
from gan_models.sampling.draws import Draws
from gan_models.sampling.generator import LoadedGenerator, Samples
from gan_models.sampling.pngs import encode_png
from gan_models.tasks.base import Answer, Asked, Column, Row, TaskFigure
from gan_models.tasks.from_images import FromImages


class Pairs(FromImages):
    """From the partner of example i modulo their number; images without one, such as a user's own, are partners."""

    def draw(self, module: PairGenerator, draws: Draws, *, labels: Tensor | None, examples: Split | None) -> Inputs:
        if examples is None:
            raise ValueError("it makes images from images: give it examples")
        given = partners_of(examples)
        index = (draws.numbers % len(examples)).to(given.device)
        return {"images": to_float(given[index]).cpu(), "dropout": draws.uniform(module.dropout)}

    def distinct(self, module: PairGenerator, examples: int) -> int | None:
        return examples

    def given(self, inputs: Inputs) -> Tensor | None:
        return inputs["images"]

    def made(self, generator: LoadedGenerator, asked: Asked | None = None) -> tuple[str, ...]:
        return ("made",)

    def before_and_after(
        self, generator: LoadedGenerator, examples: Split, seed: int, first: int = 0, asked: Asked | None = None
    ) -> dict[str, Tensor]:
        """What is given, what is made from it, and where that is known the image that it belongs to."""
        inputs = generator.module.draw_inputs(Draws(seed, len(examples), first), examples=_turned_to(examples, first))
        true = {} if examples.partners is None else {"true": examples.images.cpu()}
        return {"given": to_uint8(inputs["images"]), "made": generator.synthesize(inputs).images, **true}

    def measure(self, material: Material, judge: Judge, seed: int) -> list[TaskFigure]:
        """Distances to the true images."""
        found = measure_pairs(material.samples)
        return [
            TaskFigure(
                name="pair-error",
                title="difference to the true image (share of the range of pixels)",
                value=found.error,
                better="lower",
            ),
            TaskFigure(name="PSNR-pairs", title="PSNR to the true image (dB)", value=found.psnr, better="higher"),
        ]

    def columns(self, generator: LoadedGenerator) -> tuple[Column, ...]:
        """An image to make another from, and a seed of what dropout leaves out, by default 0."""
        return (Column("image", "string", required=True), Column("seed", "long"))

    def example_rows(self, generator: LoadedGenerator) -> list[Row]:
        image = self.example_image(generator)
        return [{"image": image, "seed": None}, {"image": image, "seed": 1}]

    def example_image(self, generator: LoadedGenerator) -> str:
        examples = generator.examples
        if examples is None or examples.partners is None:
            return super().example_image(generator)
        return encode_png(examples.partners[0].cpu())

    def answer_row(self, generator: LoadedGenerator, row: Row) -> Answer:
        seed = row.get("seed") or 0
        images = self.image_of(generator, row)
        module = generator.module
        assert isinstance(module, PairGenerator)
        inputs = {"images": images, "dropout": Draws(seed, 1).uniform(module.dropout)}
        return Answer(generator.synthesize(inputs).images[0], {"seed": seed})


class Distance(NamedTuple):
    """Of images made from their partners to the true ones."""

    error: float  # mean absolute difference, as a share of the range of pixels
    psnr: float  # peak signal to noise ratio in dB, of the squared error over all images


def measure_pairs(samples: Samples) -> Distance:
    """Distance of `samples` to the images of the examples that they were made for."""
    examples = samples.examples
    assert examples is not None
    numbers = torch.arange(len(samples.images)) if samples.numbers is None else samples.numbers
    truth = examples.images.cpu()[numbers % len(examples)]
    difference = (samples.images.double() - truth.double()) / 255
    psnr = -10 * torch.log10(difference.square().mean().clamp(min=1e-12))
    return Distance(float(difference.abs().mean()), float(psnr))


def partners_of(examples: Split) -> Tensor:
    """What examples are made from, uint8 [N, H, W, C]."""
    return examples.images if examples.partners is None else examples.partners


def _turned_to(examples: Split, first: int) -> Split:
    """The examples in such an order that the one at place 0 is drawn as image `first`."""
    return examples.rows((torch.arange(len(examples)) - first) % len(examples))
