"""The KFP definition of the stage: a typed signature and one call."""

from kfp import dsl
from kfp.dsl import HTML, Artifact, ClassificationMetrics, Dataset, Input, Markdown, Metrics, Model, Output


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def evaluate_gan(
    generator: Input[Model],
    dataset: Input[Dataset],
    evaluation: str,
    seed: int,
    code_version: str,
    run: str,
    metrics: Output[Metrics],
    report: Output[Artifact],
    page: Output[HTML],
    summary: Output[Markdown],
    confusion: Output[ClassificationMetrics],
) -> None:
    """Judges a generator by the test split, with real images judged in the same way beside it.

    Args:
        generator: the generator folder of select_checkpoint.
        dataset: the image table of prepare_data.
        evaluation: the recipe's `evaluation` section as JSON.
        seed: seed of the generated images; others than the checkpoint was selected on.
        code_version: changes when the project's code does, so that caches do not outlive it.
        run: where the run is tracked and keeps its state, as JSON; empty: the process environment says.
        metrics: the figures, as Kubeflow shows them.
        report: metrics.json, report.md, report.html and the figures.
        page: report.html, and
        summary: the headline, as Kubeflow's own page shows them; a folder shows nothing there.
        confusion: the class asked for against the one that the data's own classifier sees; empty where there is none.
    """
    import json
    import shutil
    from pathlib import Path

    from components.artifacts import REPORT_PAGE_FILE
    from components.evaluate_gan import step
    from components.evaluate_gan.report import short_markdown
    from components.stage.request import run_step

    result = run_step(
        step, run, generator=generator.path, dataset=dataset.path, evaluation=evaluation, output=report.path, seed=seed,
        code_version=code_version,
    )  # fmt: skip
    for name, value in result.metrics.items():
        metrics.log_metric(name, value)
    if result.classes is not None and result.classes.confusion is not None:
        confusion.log_confusion_matrix(result.classes.names, result.classes.confusion)
    # An artifact without a file is one that kfp.local's cache takes for lost.
    Path(metrics.path).write_text(json.dumps(result.metrics), encoding="utf-8")
    Path(confusion.path).write_text(json.dumps(confusion.metadata), encoding="utf-8")
    shutil.copyfile(Path(report.path, REPORT_PAGE_FILE), page.path)
    Path(summary.path).write_text(short_markdown(result), encoding="utf-8")
    report.metadata.update(result.metrics)
