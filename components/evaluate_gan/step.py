"""Judges a generator: every figure beside what real images get when they are judged in the same way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from components.artifacts import REPORT_FILE, REPORT_PAGE_FILE
from components.evaluate_gan.findings import Findings
from components.stage.request import StageRequest
from components.stage.stage import Stage
from gan_models.atomic import new_folder, write_text
from gan_models.errors import RequestError
from gan_models.metrics.locations import default_cache
from gan_models.recipes.schema import Evaluation

if TYPE_CHECKING:
    from gan_models.metrics.judge import Judge
    from gan_models.metrics.material import Material

# The images that are judged are not those the checkpoint was selected by, which would flatter it.
_NOT_THE_SELECTION = 1
_PAIRS, _COLUMNS = 30, 12


class Request(StageRequest):
    """What to judge, and how."""

    generator: Path
    """A generator folder."""
    dataset: Path
    """The dataset folder that it was trained on."""
    evaluation: Evaluation
    output: Path
    """Folder to write: metrics.json, report.md, report.html, figures."""
    cache_dir: Path = Field(default_factory=default_cache)
    seed: int


class Result(BaseModel):
    """The generator's figures by their full names, all and those that go first."""

    metrics: dict[str, float]
    headline: dict[str, float]
    extractor: str
    split: str


def run(request: Request, stage: Stage) -> Result:
    """Measures, draws the figures and writes the report.

    Raises:
        RequestError: generator and data do not go together, the extractor is not available, or images are too few.
    """
    from components.evaluate_gan.measuring import find, truncation_curve
    from gan_models.data.table import ImageTable
    from gan_models.metrics.judge import Judge
    from gan_models.metrics.material import collect

    evaluation = request.evaluation
    if evaluation.samples < 2:
        raise RequestError("evaluation.samples must be at least 2: one image has no spread to measure")
    table = ImageTable.open(request.dataset)
    metadata = table.metadata
    stage.log_params({"evaluation": evaluation, "seed": request.seed})
    stage.log_dataset(
        metadata.source, metadata.fingerprint, metadata.source, {"counts": metadata.counts}, context="evaluation"
    )
    judge = Judge.for_table(table, evaluation, cache=request.cache_dir, bars=stage.progress)
    stage.note(judge.sentence())
    seed = request.seed + _NOT_THE_SELECTION
    material = collect(request.generator, judge, evaluation.samples, seed)
    with stage.progress("comparing", 2) as bar:
        findings = find(material, judge, k=evaluation.neighbours, seed=seed)
        findings.truncation = truncation_curve(material, judge, evaluation.truncations, seed)
        bar.advance()
        with new_folder(request.output) as target:
            pictures = _write(target, findings, material, judge)
        bar.advance()
    _tell(stage, request.output, findings, pictures)
    return Result(
        metrics=findings.metrics,
        headline={name: findings.metrics[name] for name in findings.headline},
        extractor=judge.extractor.name,
        split=material.split,
    )


def _write(target: Path, findings: Findings, material: Material, judge: Judge) -> dict[str, str]:
    """The folder; returns its pictures with what stands under them."""
    from components.evaluate_gan.figures import (
        source_rows,
        write_classes,
        write_nearest,
        write_samples,
        write_truncation,
    )
    from components.evaluate_gan.report import markdown, page
    from gan_models.sampling.grids import enlargement, image_grid, save_png

    pictures = {
        "samples.png": "Samples. A row is a class where the generator is conditional.",
        "nearest.png": "Top row: generated images, the first eight of the sample, then the eight that are nearest to a "
        "training image. Below each: the training images nearest to it, by features. Copies would show here.",
    }
    write_samples(target / "samples.png", material.samples.images, material.samples.labels)
    write_nearest(target / "nearest.png", material, judge)
    if findings.classes is not None:
        pictures["classes.png"] = "Classes of generated and of real images, as the classifier sees them."
        write_classes(target / "classes.png", findings.classes)
    rows = source_rows(material, _PAIRS)
    if rows is not None:
        pictures["pairs.png"] = "Images of the reference split, what was made of each at its right."
        save_png(image_grid(rows, _COLUMNS), target / "pairs.png", scale=enlargement(rows))
    if findings.truncation:
        pictures["truncation.png"] = "Latents cut off at falling thresholds: variety for quality."
        write_truncation(target / "truncation.png", findings.truncation)
    title = f"Evaluation of {material.generator.info.recipe_name} on {findings.data['source']}"
    findings.write(target)
    write_text(target / REPORT_FILE, markdown(title, findings, pictures))
    write_text(target / REPORT_PAGE_FILE, page(title, findings, pictures, target))
    return pictures


def _tell(stage: Stage, folder: Path, findings: Findings, pictures: dict[str, str]) -> None:
    from components.evaluate_gan.report import short_markdown

    stage.log_metrics({**findings.metrics, **findings.comparison_metrics})
    for file in (Findings.FILE, REPORT_FILE, REPORT_PAGE_FILE, *pictures):
        stage.log_artifact(folder / file)
    stage.headline(
        {name: findings.metrics[name] for name in findings.headline},
        short_markdown(findings),
        tags={"extractor": findings.extractor["name"], "reference_split": findings.reference["split"]},
    )
