"""Colours for grey images, led by hints at a few pixels (Zhang et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from gan_models.data.hints import geometric_counts, grey_of, simulate_hints
from gan_models.data.table import Split, to_float, to_uint8
from gan_models.families.colorization.networks import Colorizer
from gan_models.families.interfaces import Inputs
from gan_models.metrics.colours import measure_colours, measure_following
from gan_models.metrics.judge import Judge
from gan_models.sampling.generator import LoadedGenerator
from gan_models.tasks.base import Drawn, TaskFigure
from gan_models.tasks.from_images import BeforeAfter, FromImages

_HINTS = 5


class Colorization(FromImages):
    """Example i modulo their number in grey, with hints as a simulated user gives them."""

    def draw(
        self, module: Colorizer, num: int, stream: torch.Generator, *, labels: Tensor | None, examples: Split | None
    ) -> Inputs:
        if examples is None:
            raise ValueError("it colours images: give it examples in colour")
        index = torch.arange(num, device=examples.images.device) % len(examples)
        images = to_float(examples.images[index]).cpu()
        hints = simulate_hints(images, geometric_counts(num, module.hint_end, stream), module.hint_size, stream)
        return {"images": grey_of(images), "hints": hints}

    def given(self, inputs: Inputs) -> Tensor | None:
        """In grey, hints painted over."""
        images, hints = inputs["images"], inputs["hints"]
        return torch.where(hints[:, :1] > 0, hints[:, 1:], images.expand(-1, hints.shape[1] - 1, -1, -1))

    def before_and_after(self, generator: LoadedGenerator, examples: Split, seed: int) -> BeforeAfter:
        """In grey, coloured without hints, in grey with a few (of its own colours), coloured with these, the image."""
        images = to_float(examples.images).cpu()
        stream = torch.Generator().manual_seed(seed)
        hints = simulate_hints(images, torch.full((len(images),), _HINTS), _colorizer(generator).hint_size, stream)
        grey = grey_of(images)
        shown = self.given({"images": grey, "hints": hints})
        assert shown is not None
        without, told = (
            generator.synthesize({"images": grey, "hints": each}).images for each in (torch.zeros_like(hints), hints)
        )
        return BeforeAfter.of(
            {
                "grey": to_uint8(grey.expand_as(images)),
                "coloured": without,
                "hints": to_uint8(shown),
                "coloured with hints": told,
                "true colours": to_uint8(images),
            }
        )

    def measure(self, drawn: Drawn, judge: Judge, seed: int) -> list[TaskFigure]:
        """Distances to the true colours with more and more hints, and whether hints are followed."""
        examples, largest = drawn.samples.examples, _colorizer(drawn.generator).hint_size
        assert examples is not None
        figures = []
        for colours in measure_colours(drawn.generator, examples, largest, seed):
            hints = "1 hint" if colours.hints == 1 else f"{colours.hints} hints"
            about = f"{hints.replace(' ', '-')}-{drawn.split}-{len(examples)}"
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
                    goes_first=False,
                ),
            ]
        followed = measure_following(drawn.generator, examples, largest, seed)
        if followed.images:
            figures.append(
                TaskFigure(
                    name=f"hint-followed-{followed.images}",
                    title="hints of another colour that are nearer to what is drawn there than the true colour is",
                    value=followed.share,
                    better="higher",
                    is_share=True,
                )
            )
        return figures


def _colorizer(generator: LoadedGenerator) -> Colorizer:
    assert isinstance(generator.module, Colorizer)
    return generator.module
