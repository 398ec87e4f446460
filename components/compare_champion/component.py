"""The KFP definition of the stage: a typed signature and one call."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Model, Output


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def compare_champion(
    challenger: Input[Model],
    champion: Input[Model],
    dataset: Input[Dataset],
    evaluation: str,
    seed: int,
    code_version: str,
    run: str,
    comparison: Output[Artifact],
) -> None:
    """Compares a new generator with the champion on the same data, extractor, number of images and latents.

    Args:
        challenger: the generator folder of select_checkpoint.
        champion: the folder of find_champion.
        dataset: the image table of prepare_data.
        evaluation: the recipe's `evaluation` section as JSON.
        seed: seed of the generated images and of the bootstrap.
        code_version: changes when the project's code does, so that caches do not outlive it.
        run: where the run is tracked and keeps its state, as JSON; empty: the process environment says.
        comparison: comparison.json: both figures, the interval of their difference, the decision and its reason.
    """
    from pathlib import Path

    from components.compare_champion import step
    from components.stage.stage import run_component
    from gan_models.metrics.locations import default_cache
    from gan_models.recipes.schema import Evaluation

    result = run_component(
        "compare_champion",
        lambda stage: step.run(
            step.Request(
                challenger=Path(challenger.path),
                champion=Path(champion.path),
                dataset=Path(dataset.path),
                evaluation=Evaluation.model_validate_json(evaluation),
                output=Path(comparison.path),
                cache_dir=default_cache(),
                seed=seed,
            ),
            stage,
        ),
        run=run,
    )
    comparison.metadata.update({"promote": result.promote, "reason": result.reason, **result.figures})
