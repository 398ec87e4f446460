"""Before and after: the picture of an image-to-image generator."""

from __future__ import annotations

from pathlib import Path

from components.export_samples.figures import Drawn
from gan_models.sampling.before_after import before_and_after
from gan_models.sampling.examples import first
from gan_models.sampling.generator import LoadedGenerator
from gan_models.sampling.grids import image_grid, save_png

TRANSLATIONS_FILE = "translations.png"
_ROWS = 10


def write_translations(path: Path, generator: LoadedGenerator, seed: int) -> Drawn:
    """A row for each of ten of the generator's examples: the image, and what is made of it."""
    examples = generator.examples
    if examples is None:
        return Drawn(False, f"no {path.name}: the generator folder carries no examples")
    made = before_and_after(generator, first(examples, _ROWS), seed)
    scale = max(1, 56 // made.images.shape[1])
    save_png(image_grid(made.images, len(made.columns)), path, scale=scale)
    return Drawn(True, f"{path.name}: columns are {', '.join(made.columns)}")
