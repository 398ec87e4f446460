"""Hands the chosen generator over: a folder that draws samples by itself, sample images, a registered model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from components.artifacts import GRID_FILE, IMAGES_FOLDER, SAMPLES_FILE, Exported, Figures
from components.stage.request import StageRequest
from components.stage.stage import Stage
from components.tracking.champions import Lineage
from components.tracking.journal import link_or_copy
from gan_models.atomic import new_folder
from gan_models.metrics.locations import default_cache
from gan_models.recipes.schema import Export

if TYPE_CHECKING:
    from torch import Tensor

    from gan_models.sampling.generator import LoadedGenerator
    from gan_models.tasks.base import Picture

_GRID_ROWS, _GRID_COLUMNS = 10, 10


class Request(StageRequest):
    """What to export, and where to."""

    generator: Path
    report: Path
    dataset: Path
    export: Export
    output: Path
    cache_dir: Path = Field(default_factory=default_cache)  # where the evaluation keeps the classifier that it trained
    seed: int


def run(request: Request, stage: Stage) -> Exported:
    """Draws the samples and writes the export folder; RequestError where the generator folder is damaged."""
    from components.export_samples.samples_table import write_table
    from gan_models.sampling.generator import folder_files, load_generator
    from gan_models.sampling.grids import enlargement, image_grid, save_png

    generator = load_generator(request.generator)
    name = request.export.model_name or generator.recipe.registry_name
    with new_folder(request.output) as target, stage.progress("exporting", 5) as bar:
        for file in folder_files(request.generator):
            link_or_copy(request.generator / file, target / file)
        if (request.report / Figures.FILE).is_file():
            link_or_copy(request.report / Figures.FILE, target / Figures.FILE)
        bar.advance()
        samples = generator.at_full_depth.sample(request.export.samples, seed=request.seed)
        (target / IMAGES_FOLDER).mkdir()
        for index, image in enumerate(samples.images.numpy()):
            save_png(image, target / IMAGES_FOLDER / f"{index:05d}.png")
        bar.advance()
        write_table(samples, generator.info, target / SAMPLES_FILE, IMAGES_FOLDER)
        bar.advance()
        grid = _grid(generator, request.seed)
        save_png(image_grid(grid, _GRID_COLUMNS), target / GRID_FILE, scale=enlargement(grid))
        figures = _write_figures(generator, request, target, stage)
        bar.advance()
        result = Exported(samples=len(samples.images), registered_name=name, step=generator.info.step)
        result.write(target)
    for file in (GRID_FILE, SAMPLES_FILE, *figures):
        stage.log_artifact(request.output / file)
    judged = Figures.read(request.report) if (request.report / Figures.FILE).is_file() else None
    headline, protocol = (judged.first, judged.protocol) if judged else ({}, None)
    stage.log_artifact(request.output / GRID_FILE, of_pipeline=True)
    stage.log_generator(request.generator, name, Lineage.of_folder(request.generator), headline, protocol)
    return result


def _grid(generator: LoadedGenerator, seed: int) -> Tensor:
    """Uint8 [N, H, W, C]: ten images to a row; a row is a class where the generator is conditional (at most ten)."""
    import torch

    rows = min(generator.module.num_classes or _GRID_ROWS, _GRID_ROWS)
    labels = torch.arange(rows * _GRID_COLUMNS) // _GRID_COLUMNS if generator.module.num_classes else None
    return generator.sample(rows * _GRID_COLUMNS, seed=seed, labels=labels).images


def _write_figures(generator: LoadedGenerator, request: Request, target: Path, stage: Stage) -> list[str]:
    """Pictures of what the generator's inputs mean, as far as it has such inputs; returns their names."""
    from components.export_samples.figures import draw_arithmetic, draw_interpolation
    from gan_models.sampling.grids import save_png

    pictures: list[Picture] = []
    if generator.module.latent:
        pictures.append(draw_interpolation(generator, request.seed))
        pictures.append(draw_arithmetic(generator, request.report, request.dataset, request.cache_dir, request.seed))
    pictures += generator.task.pictures(generator, request.seed)
    for picture in pictures:
        if picture.sentence:
            stage.note(picture.sentence)
        if picture.pixels is not None:
            save_png(picture.pixels, target / picture.file, scale=picture.scale)
    return [picture.file for picture in pictures if picture.pixels is not None]
