"""The KFP definition of the stage: a typed signature and one call."""

from kfp import dsl
from kfp.dsl import Dataset, Input, Model


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def check_changes(dataset: Input[Dataset], champion: Input[Model], model: str, seed: int, force: bool, run: str) -> str:
    """Says "train" when the data or the recipe changed since the champion, else "stop".

    Its only output is this word, for a condition may read single-output components alone.

    Args:
        dataset: the image table of prepare_data.
        champion: the folder of find_champion.
        model: the recipe's name, description and the sections that decide the weights, as JSON.
        seed: of the training.
        force: train whatever has changed.
        run: where the run is tracked and keeps its state, as JSON; empty: the process environment says.
    """
    from components.check_changes import step
    from components.stage.request import run_step

    result = run_step(step, run, dataset=dataset.path, champion=champion.path, model=model, seed=seed, force=force)
    return "train" if result.train else "stop"
