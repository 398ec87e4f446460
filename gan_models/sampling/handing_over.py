"""A folder to hand a generator over in: its network in one or more formats, with a model card and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from gan_models.atomic import new_folder
from gan_models.errors import RequestError
from gan_models.files import INFO_FILE, RECIPE_FILE
from gan_models.sampling.card import CARD_FILE, UNSAID_LICENSE, card
from gan_models.sampling.exporting import check_format, export, interface, plain
from gan_models.sampling.generator import LoadedGenerator, save_examples
from gan_models.sampling.grids import enlarged_to, save_png
from gan_models.tasks.base import Asked, columns_for

GRID_FILE = "grid.png"
_GRID_IMAGES = 64
_MOST_COLUMNS = 10


def hand_over(
    generator: LoadedGenerator,
    out: Path,
    forms: Sequence[str],
    *,
    figures: Mapping[str, float] | None = None,
    license_: str = UNSAID_LICENSE,
) -> list[str]:
    """Writes the folder `out`, whole or not at all; returns the names of its files.

    With `safetensors` it is a generator folder itself: `load_generator` and `gan-pipeline sample` draw from it.

    Args:
        forms: names of `exporting.FORMATS`.
        figures: of the evaluation, by their full names.

    Raises:
        RequestError: a format that there is not, packages that are missing, a network that cannot be traced, or a
            folder with something in it.
        RunError: what was written draws other pictures than the generator.
    """
    for form in forms:
        check_format(form)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RequestError(f"--out {out}: there is something already; name a new folder, or remove that one")
    ready = plain(generator)
    with new_folder(out) as target:
        for form in forms:
            export(ready, form, target)
        if "safetensors" in forms and ready.module.needs_examples and ready.examples is not None:
            save_examples(target, ready.examples)
        (target / RECIPE_FILE).write_text(yaml.safe_dump(ready.recipe.model_dump(mode="json"), sort_keys=False))
        (target / INFO_FILE).write_text(ready.info.model_dump_json(indent=2) + "\n")
        picture = _draw_grid(ready, target / GRID_FILE)
        text = card(ready, interface(ready), forms, figures or {}, license_, picture)
        (target / CARD_FILE).write_text(text, encoding="utf-8")
        return sorted(path.name for path in target.iterdir())


def _draw_grid(generator: LoadedGenerator, file: Path) -> str:
    """Draws images 0 to 63 of seed 0; returns what the picture shows, empty where nothing can be drawn without data."""
    classes = generator.module.num_classes
    columns = min(columns_for(_GRID_IMAGES, classes), _MOST_COLUMNS) if "latents" in generator.module.inputs else None
    num = _GRID_IMAGES if columns is None else columns * -(-_GRID_IMAGES // columns)
    try:
        picture = generator.task.ask(generator, Asked(num, columns=columns))
    except RequestError:  # made from images, and none came with it
        return ""
    assert picture.pixels is not None
    save_png(picture.pixels, file, scale=enlarged_to(picture.pixels))
    return f"{picture.sentence}, seed 0"
