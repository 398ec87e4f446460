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
    from pathlib import Path

    from components.export_samples import step
    from components.stage.stage import run_component
    from gan_models.metrics.locations import default_cache
    from gan_models.recipes.schema import Export

    result = run_component(
        "export_samples",
        lambda stage: step.run(
            step.Request(
                generator=Path(generator.path),
                report=Path(report.path),
                dataset=Path(dataset.path),
                export=Export.model_validate_json(export),
                output=Path(samples.path),
                cache_dir=default_cache(),
                seed=seed,
            ),
            stage,
        ),
        run=run,
    )
    samples.metadata.update({"samples": result.samples, "registered_name": result.registered_name, "step": result.step})
