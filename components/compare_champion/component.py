"""The KFP definition of the stage: a typed signature and one call."""

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Input, Model, Output


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def compare_champion(
    challenger: Input[Model],
    champion: Input[Model],
    dataset: Input[Dataset],
    report: Input[Artifact],
    evaluation: str,
    seed: int,
    code_version: str,
    run: str,
    comparison: Output[Artifact],
) -> None:
    """Holds a new generator to the recipe's floors, then against the champion: same data, extractor, number, latents.

    Args:
        challenger: the generator folder of select_checkpoint.
        champion: the folder of find_champion.
        dataset: the image table of prepare_data.
        report: the folder of evaluate_gan, whose figures have to reach the floors.
        evaluation: the recipe's `evaluation` section as JSON.
        seed: seed of the generated images and of the bootstrap.
        code_version: changes when the project's code does, so that caches do not outlive it.
        run: where the run is tracked and keeps its state, as JSON; empty: the process environment says.
        comparison: comparison.json: both figures, the interval of their difference, the decision and its reason.
    """
    from components.compare_champion import step
    from components.stage.request import run_step

    result = run_step(
        step, run, challenger=challenger.path, champion=champion.path, dataset=dataset.path, report=report.path,
        evaluation=evaluation, output=comparison.path, seed=seed,
    )  # fmt: skip
    comparison.metadata.update({"promote": result.promote, "reason": result.reason, **result.figures})
