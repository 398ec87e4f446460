"""The sweep: one data set, many trainings, the best of them exported.

    prepare data -> for each trial: train -> select -> evaluate
                 -> rank trials -> export the best

Chained of the training pipeline's stages and one that ranks. Each turn of the loop is a trial: its stages are given its
settings, and in `run` which trial they belong to, so that they know their run in MLflow and hand a failure on in place
of their output (`components.stage.trials`).
"""

from kfp import dsl
from kfp.dsl.graph_component import GraphComponent

from pipeline.definitions.chain import Chain, outputs_type
from pipeline.definitions.stages import stages_of

STAGES = stages_of("sweep")
ONCE = [name for name, stage in STAGES.items() if stage.sweep == "once"]
EACH = [name for name, stage in STAGES.items() if stage.sweep == "each"]
SweepOutputs = outputs_type(ONCE)  # each is a folder, laid out as its stage's README says


def make_sweep_pipeline(parallel: int, workers: int = 1) -> GraphComponent:
    """The pipeline; how many trials run at a time is compiled into it, as KFP wants it.

    Args:
        parallel: at most so many; `kfp.local` takes two at most, whatever is said here.
        workers: tasks that import the images.
    """

    @dsl.pipeline(
        name="gan-sweep",
        description="Prepares images once, trains a GAN with many settings, ranks the trials and exports the best.",
    )
    def sweep_pipeline(
        data: str,
        trials: list,  # type: ignore[type-arg]  # KFP takes no other
        entries: list,  # type: ignore[type-arg]
        selection: str,
        evaluation: str,
        export: str,
        seed: int,
        source_version: str,
        code_version: str,
        run: str,
    ) -> SweepOutputs:  # type: ignore[valid-type]
        """Chains the stages.

        Args:
            data: the recipe's `data` section as JSON.
            trials: of each trial `model` and `seed` as of the training pipeline, and `run`, which also says which
                trial it is.
            entries: of each trial what the leaderboard says and checks, in the same order, as
                `components.rank_trials.step.Entry`.
            selection: the recipe's `selection` section as JSON.
            evaluation: the recipe's `evaluation` section as JSON: all trials are judged alike.
            export: the recipe's `export` section as JSON.
            seed: decides the exported samples.
            source_version: changes when the images at the source do.
            code_version: changes when the project's code does.
            run: how the sweep is called and where it is tracked, as JSON.
        """
        chain = Chain(locals())
        chain.prepare(workers)
        with dsl.ParallelFor(items=trials, name="trials", parallelism=parallel) as trial:
            turn = chain.branch(model=trial.model, seed=trial.seed, run=trial.run)
            turn.add(*EACH)
        chain.collect(turn, trainings="training", choices="selected", reports="report")
        chain.add(*(name for name in ONCE if name not in {*chain.tasks, "prepare_data"}))
        return SweepOutputs(**chain.outputs)  # type: ignore[no-any-return]

    return sweep_pipeline
