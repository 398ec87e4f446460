"""The retraining pipeline: trains only if something changed, and gives the champion's place to what is better.

    prepare data, find champion -> anything changed? -> train, select, evaluate -> compare -> export -> promote or keep
    notify, however it ends

Chained of the training pipeline's stages and a few small ones. Conditions read a component with a single output: kfp's
local engine skips, without a word, one that reads an output among several.
"""

from kfp import dsl
from kfp.dsl.graph_component import GraphComponent

from pipeline.definitions.chain import Chain
from pipeline.definitions.stages import stages_of


def make_retraining_pipeline(workers: int = 1) -> GraphComponent:
    """The pipeline; `workers` tasks import the images, which is compiled into it, as KFP wants it."""

    @dsl.pipeline(
        name="gan-retraining",
        description="Trains a GAN anew when data or recipe changed, and promotes it if it is better than the champion.",
    )
    def retraining_pipeline(
        data: str,
        model: str,
        selection: str,
        evaluation: str,
        export: str,
        seed: int,
        source_version: str,
        code_version: str,
        run: str,
        model_name: str,
        force: bool,
        warm_start: bool,
        webhook_env: str,
    ) -> None:
        """Chains the stages; what came out is in the registry and in the work directory's retraining.json.

        Args:
            data: the recipe's `data` section as JSON.
            model: the recipe's name, description and the sections that decide the trained weights, as JSON.
            selection: the recipe's `selection` section as JSON.
            evaluation: the recipe's `evaluation` section as JSON.
            export: the recipe's `export` section as JSON; its `model_name` is `model_name`.
            seed: decides weights, order of the images and drawn samples.
            source_version: changes when the images at the source do.
            code_version: changes when the project's code does.
            run: how the run is called and where it is tracked, as JSON.
            model_name: of the registered model whose champion is challenged.
            force: train whatever has changed.
            warm_start: start from the champion's weights.
            webhook_env: name of the environment variable with the address to notify; empty: none.
        """
        chain = Chain(locals())
        told = chain.add("notify")
        with dsl.ExitHandler(told, name="retraining"):
            chain.prepare(workers)
            changes = chain.add("find_champion", "check_changes")
            with dsl.If(changes.output == "train", name="something-changed"):
                chain.add(*(name for name in stages_of("retraining") if name not in {*chain.tasks, "prepare_data"}))
        # It registers what it exports, and each run has a version of its own.
        chain.tasks["export_samples"].set_caching_options(enable_caching=False)

    return retraining_pipeline
