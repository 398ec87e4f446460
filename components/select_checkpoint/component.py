"""The KFP definition of the stage: a typed signature and one call."""

from kfp import dsl
from kfp.dsl import Dataset, Input, Model, Output


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def select_checkpoint(
    training: Input[Model],
    dataset: Input[Dataset],
    selection: str,
    evaluation: str,
    seed: int,
    code_version: str,
    run: str,
    selected: Output[Model],
) -> None:
    """Scores every kept generator on the validation split and hands on the best one.

    Args:
        training: the generators that train_gan kept.
        dataset: the image table of prepare_data.
        selection: the recipe's `selection` section as JSON.
        evaluation: the recipe's `evaluation` section as JSON: selection uses its extractor.
        seed: seed of the latents that every generator draws from.
        code_version: changes when the project's code does, so that caches do not outlive it.
        run: where the run is tracked and keeps its state, as JSON; empty: the process environment says.
        selected: the chosen generator folder, with the scores of all.
    """
    from components.select_checkpoint import step
    from components.stage.request import run_step

    result = run_step(
        step, run, training=training.path, dataset=dataset.path, selection=selection, evaluation=evaluation,
        output=selected.path, seed=seed,
    )  # fmt: skip
    selected.metadata.update({"step": result.step, "metric": result.metric, "score": result.score})
