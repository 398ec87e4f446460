"""The KFP definition of the stage: a typed signature and one call."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Model


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def promote(
    comparison: Input[Artifact],
    dataset: Input[Dataset],
    selected: Input[Model],
    report: Input[Artifact],
    samples: Input[Artifact],
    run: str,
) -> str:
    """Gives the alias `champion` to the exported generator if it is better beyond noise; says "promoted" or "kept".

    Args:
        comparison: the folder of compare_champion.
        dataset: the image table of prepare_data.
        selected: the generator folder of select_checkpoint.
        report: the folder of evaluate_gan, whose figures go with the version.
        samples: the folder of export_samples, which has registered the generator.
        run: where the run is tracked and keeps its state, as JSON; empty: the process environment says.
    """
    from components.promote import step
    from components.stage.request import run_step

    decision: str = run_step(
        step, run, comparison=comparison.path, dataset=dataset.path, selected=selected.path, report=report.path,
        samples=samples.path,
    ).decision  # fmt: skip
    return decision
