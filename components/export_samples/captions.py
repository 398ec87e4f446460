"""Texts and pictures: the figure of a generator that draws what a text says."""

from __future__ import annotations

from pathlib import Path

from components.export_samples.figures import Drawn
from gan_models.sampling.captioned import captioned_grid, captions_of
from gan_models.sampling.generator import LoadedGenerator
from gan_models.sampling.grids import save_png

CAPTIONS_FILE = "captions.png"
_ROWS, _COLUMNS = 5, 8


def write_captions(path: Path, generator: LoadedGenerator, seed: int) -> Drawn:
    """Forty pictures of the captions that came with the generator, each with its caption underneath."""
    if generator.examples is None:
        return Drawn(False, f"no {path.name}: the generator folder carries no captions")
    samples = generator.sample(_ROWS * _COLUMNS, seed=seed)
    texts = captions_of(samples.inputs["captions"], generator.info)
    save_png(captioned_grid(samples.images, texts, _COLUMNS), path)
    return Drawn(True, f"{path.name}: pictures with the captions that were asked for underneath")
