"""The training pipeline: images in, a judged and exported generator out.

All settings arrive as parameters, the recipe's sections as JSON text, so that one compiled file serves every engine
and a scheduler may override any of them. `gan-pipeline compile` bakes a recipe in as the parameters' defaults.
"""

from kfp import dsl
from kfp.dsl.graph_component import GraphComponent

from pipeline.definitions.chain import Chain, outputs_type
from pipeline.definitions.stages import stages_of

STAGES = stages_of("training")
TrainingOutputs = outputs_type(STAGES)  # each is a folder, laid out as its stage's README says


def make_training_pipeline(workers: int = 1) -> GraphComponent:
    """The pipeline; `workers` tasks import the images, which is compiled into it, as KFP wants it."""

    @dsl.pipeline(
        name="gan-training",
        description="Prepares images, trains a GAN, selects its best checkpoint, evaluates it and exports samples.",
    )
    def training_pipeline(
        data: str,
        model: str,
        selection: str,
        evaluation: str,
        export: str,
        seed: int,
        source_version: str,
        code_version: str,
        run: str,
    ) -> TrainingOutputs:  # type: ignore[valid-type]
        """Chains the stages that a training has.

        Args:
            data: the recipe's `data` section as JSON.
            model: the recipe's name, description and the sections that decide the trained weights, as JSON.
            selection: the recipe's `selection` section as JSON.
            evaluation: the recipe's `evaluation` section as JSON.
            export: the recipe's `export` section as JSON.
            seed: decides weights, order of the images and drawn samples.
            source_version: changes when the images at the source do.
            code_version: changes when the project's code does.
            run: how the run is called and where it is tracked, as JSON; never an identity, so caching is not defeated.
        """
        # KFP's cache knows a step's inputs but not the code behind it, nor what lies at a path: hence the two versions.
        chain = Chain(locals())
        chain.prepare(workers)
        chain.add(*(name for name in STAGES if name != "prepare_data"))
        return TrainingOutputs(**chain.outputs)  # type: ignore[no-any-return]

    return training_pipeline
