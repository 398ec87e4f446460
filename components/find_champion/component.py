"""The KFP definition of the stage: a typed signature and one call."""

from kfp import dsl
from kfp.dsl import Model, Output


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def find_champion(model_name: str, evaluation: str, run: str, champion: Output[Model]) -> None:
    """Fetches the generator that holds the registry's alias `champion`.

    Args:
        model_name: its name in the MLflow registry.
        evaluation: the recipe's `evaluation` section as JSON: its floors are for what is registered, too.
        run: where the run is tracked and keeps its state, as JSON; empty: the process environment says.
        champion: champion.json and, where there is a champion, its generator folder in generator/.
    """
    from components.find_champion import step
    from components.stage.request import run_step

    result = run_step(step, run, model_name=model_name, evaluation=evaluation, output=champion.path)
    champion.metadata.update({"model": result.model, "version": result.version})
