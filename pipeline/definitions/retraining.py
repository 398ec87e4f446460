"""The retraining pipeline: trains only if something changed, and gives the champion's place to what is better.

    prepare data, find champion -> anything changed? -> train, select, evaluate -> compare -> export -> promote or keep
    notify, however it ends

Chained of the training pipeline's stages and a few small ones. Conditions read a component with a single output: kfp's
local engine skips, without a word, one that reads an output among several.
"""

from kfp import dsl

from components.check_changes.component import check_changes
from components.compare_champion.component import compare_champion
from components.evaluate_gan.component import evaluate_gan
from components.export_samples.component import export_samples
from components.find_champion.component import find_champion
from components.notify.component import notify
from components.prepare_data.component import prepare_data
from components.promote.component import promote
from components.select_checkpoint.component import select_checkpoint
from components.train_gan.component import train_gan


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
    told = notify(webhook_env=webhook_env, run=run).set_display_name("Notify")
    told.set_caching_options(enable_caching=False)
    with dsl.ExitHandler(told, name="retraining"):
        prepared = prepare_data(data=data, source_version=source_version, code_version=code_version, run=run)
        found = find_champion(model_name=model_name, run=run)
        changes = check_changes(
            dataset=prepared.outputs["dataset"],
            champion=found.outputs["champion"],
            model=model,
            seed=seed,
            force=force,
            run=run,
        )
        with dsl.If(changes.output == "train", name="something-changed"):
            trained = train_gan(
                model=model,
                seed=seed,
                dataset=prepared.outputs["dataset"],
                code_version=code_version,
                run=run,
                champion=found.outputs["champion"],
                warm_start=warm_start,
            )
            chosen = select_checkpoint(
                training=trained.outputs["training"],
                dataset=prepared.outputs["dataset"],
                selection=selection,
                evaluation=evaluation,
                seed=seed,
                code_version=code_version,
                run=run,
            )
            judged = evaluate_gan(
                generator=chosen.outputs["selected"],
                dataset=prepared.outputs["dataset"],
                evaluation=evaluation,
                seed=seed,
                code_version=code_version,
                run=run,
            )
            compared = compare_champion(
                challenger=chosen.outputs["selected"],
                champion=found.outputs["champion"],
                dataset=prepared.outputs["dataset"],
                evaluation=evaluation,
                seed=seed,
                code_version=code_version,
                run=run,
            )
            compared.after(judged)
            exported = export_samples(
                generator=chosen.outputs["selected"],
                report=judged.outputs["report"],
                dataset=prepared.outputs["dataset"],
                export=export,
                seed=seed,
                code_version=code_version,
                run=run,
            )
            decided = promote(
                comparison=compared.outputs["comparison"],
                dataset=prepared.outputs["dataset"],
                selected=chosen.outputs["selected"],
                report=judged.outputs["report"],
                samples=exported.outputs["samples"],
                run=run,
            )
    # What asks the registry is never taken from a cache, and neither is what registers: each run has a version.
    for task, name, cached in (
        (prepared, "Prepare data", True),
        (found, "Find champion", False),
        (changes, "Check for changes", False),
        (trained, "Train GAN", True),
        (chosen, "Select checkpoint", True),
        (judged, "Evaluate GAN", True),
        (compared, "Compare with champion", True),
        (exported, "Export samples", False),
        (decided, "Promote or keep", False),
    ):
        task.set_display_name(name).set_caching_options(enable_caching=cached)
