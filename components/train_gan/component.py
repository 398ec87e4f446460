"""The KFP definition of the stage: a typed signature and one call."""

from kfp import dsl
from kfp.dsl import Dataset, Input, Model, Output


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def train_gan(
    model: str,
    seed: int,
    dataset: Input[Dataset],
    code_version: str,
    run: str,
    training: Output[Model],
    champion: Input[Model] = None,
    warm_start: bool = False,
) -> None:
    """Trains a GAN and keeps generators on the way.

    Args:
        model: the recipe's name, description and the sections that decide the weights, as JSON.
        seed: seed of weights, shuffling and latents.
        dataset: the image table of prepare_data.
        code_version: changes when the project's code does, so that caches do not outlive it.
        run: where the run is tracked and keeps its state, as JSON; empty: the process environment says.
        training: generators kept on the way, sample grids, the history of the metrics.
        champion: the folder of find_champion, for a warm start; a retraining has one.
        warm_start: start from the champion's weights where they fit, and keep D's for the next time.
    """
    from components.stage.request import run_step
    from components.train_gan import step

    result = run_step(
        step, run, model=model, dataset=dataset.path, output=training.path, seed=seed,
        champion=champion.path if champion else None, warm_start=warm_start, code_version=code_version,
    )  # fmt: skip
    training.metadata.update({"steps": result.steps, "recipe": result.recipe, "collapsed": result.collapsed})
