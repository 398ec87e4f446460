"""Judges a generator: every figure beside what real images get when they are judged in the same way."""

import time
from pathlib import Path

from pydantic import Field

from components.artifacts import REPORT_FILE, REPORT_PAGE_FILE
from components.evaluate_gan.findings import Findings
from components.markdown import plain
from components.stage.request import StageRequest
from components.stage.stage import Stage
from gan_models.atomic import new_folder, write_text
from gan_models.errors import RequestError
from gan_models.metrics.floors import shortfalls
from gan_models.metrics.locations import default_cache
from gan_models.recipes.schema import Evaluation

# The images that are judged are not those the checkpoint was selected by, which would flatter it.
_NOT_THE_SELECTION = 1


class Request(StageRequest):
    """What to judge, and how."""

    generator: Path
    dataset: Path
    evaluation: Evaluation
    output: Path
    cache_dir: Path = Field(default_factory=default_cache)
    seed: int
    code_version: str = ""
    """Told in the report."""


def run(request: Request, stage: Stage) -> Findings:
    """Measures, draws the figures and writes the report; returns what metrics.json holds.

    Raises:
        RequestError: generator and data do not go together, the extractor is not available, or images are too few.
    """
    from components.evaluate_gan.figures import write_pictures
    from components.evaluate_gan.intervals import intervals
    from components.evaluate_gan.measuring import find, truncation_curve
    from components.evaluate_gan.page import page
    from components.evaluate_gan.provenance import provenance, read_past
    from components.evaluate_gan.report import markdown, short_markdown
    from components.evaluate_gan.verdict import Evidence, verdict
    from gan_models.data.table import ImageTable
    from gan_models.metrics.judge import Judge, collect

    started, evaluation = time.monotonic(), request.evaluation
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
        if short := shortfalls(evaluation.floors, findings.metrics):
            findings.notes.append(f"The generator is {short}: a retraining would not make it the champion.")
        findings.truncation = truncation_curve(material, judge, evaluation.truncations, seed)
        findings.intervals = intervals(findings, material, seed)
        bar.advance()
        past = read_past(request.generator, request.dataset)
        recipe, inputs = material.generator.recipe, material.samples.inputs
        said = verdict(
            Evidence(
                findings,
                past.checkpoints,
                past.choice,
                past.curves,
                training_images=metadata.count("train"),
                floors=evaluation.floors,
                augmented=bool(recipe.game.augmentations),
                takes_latents="latents" in inputs,
                regularized=bool(recipe.regularizers),
                mixes_images=recipe.networks.discriminator.get("norm", "none") == "batch",
                can_go_on=not recipe.paced_by,
            )
        )
        with new_folder(request.output) as target:
            pictures = write_pictures(target, findings, material, judge, seed)
            title = f"Evaluation of {material.generator.info.recipe_name} on {metadata.source}"
            findings.write(target)
            write_text(target / REPORT_FILE, markdown(title, findings, pictures, said))
            origin = provenance(
                findings,
                recipe,
                evaluation,
                past,
                code_version=request.code_version,
                seconds=time.monotonic() - started,
            )
            write_text(target / REPORT_PAGE_FILE, page(title, findings, pictures, target, said, past, origin))
        bar.advance()
    stage.log_params({"protocol": findings.protocol})
    stage.log_metrics({**findings.metrics, **findings.comparison_metrics})
    for file in (Findings.FILE, REPORT_FILE, REPORT_PAGE_FILE, *pictures):
        stage.log_artifact(request.output / file)
    for file in (REPORT_PAGE_FILE, Findings.FILE):
        stage.log_artifact(request.output / file, of_pipeline=True)
    stage.headline(
        findings.first,
        f"**{plain(said.headline)}**\n\n{short_markdown(findings)}",
        tags={"protocol": findings.protocol.digest},
    )
    return findings
