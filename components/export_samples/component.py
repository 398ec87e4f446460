"""The KFP definition of the stage: a typed signature and one call."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Model, Output


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def export_samples(
    generator: Input[Model],
    report: Input[Artifact],
    dataset: Input[Dataset],
    export: str,
    seed: int,
    code_version: str,
    run: str,
    samples: Output[Artifact],
) -> None:
    """Exports the chosen generator: a folder that draws by itself, sample images, a registered model.

    Args:
        generator: the generator folder of select_checkpoint.
        report: the evaluation, whose figures go with the export.
        dataset: the image table of prepare_data.
        export: the recipe's `export` section as JSON.
        seed: seed of the exported samples.
        code_version: changes when the project's code does, so that caches do not outlive it.
        run: where the run is tracked and keeps its state, as JSON; empty: the process environment says.
        samples: the export folder.
    """
    from components.export_samples import step
    from components.stage.request import run_step

    result = run_step(
        step, run, generator=generator.path, report=report.path, dataset=dataset.path, export=export,
        output=samples.path, seed=seed,
    )  # fmt: skip
    samples.metadata.update(result.model_dump())
