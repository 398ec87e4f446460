"""The training pipeline: images in, a judged and exported generator out.

All settings arrive as parameters, the recipe's sections as JSON text, so that one compiled file serves every engine
and a scheduler may override any of them. `gan-pipeline compile` bakes a recipe in as the parameters' defaults.
"""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl import Artifact, Dataset, Metrics, Model

from components.evaluate_gan.component import evaluate_gan
from components.export_samples.component import export_samples
from components.prepare_data.component import prepare_data
from components.select_checkpoint.component import select_checkpoint
from components.train_gan.component import train_gan


class TrainingOutputs(NamedTuple):
    """What the pipeline hands over; each is a folder, laid out as its stage's README says."""

    dataset: Dataset
    training: Model
    selected: Model
    metrics: Metrics
    report: Artifact
    samples: Artifact


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
) -> TrainingOutputs:
    """Chains the five stages.

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
    prepared = prepare_data(data=data, source_version=source_version, code_version=code_version, run=run)
    trained = train_gan(model=model, seed=seed, dataset=prepared.outputs["dataset"], code_version=code_version, run=run)
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
    exported = export_samples(
        generator=chosen.outputs["selected"],
        report=judged.outputs["report"],
        dataset=prepared.outputs["dataset"],
        export=export,
        seed=seed,
        code_version=code_version,
        run=run,
    )
    display_names = {
        prepared: "Prepare data",
        trained: "Train GAN",
        chosen: "Select checkpoint",
        judged: "Evaluate GAN",
        exported: "Export samples",
    }
    for task, name in display_names.items():
        task.set_display_name(name).set_caching_options(enable_caching=True)
    return TrainingOutputs(
        dataset=prepared.outputs["dataset"],
        training=trained.outputs["training"],
        selected=chosen.outputs["selected"],
        metrics=judged.outputs["metrics"],
        report=judged.outputs["report"],
        samples=exported.outputs["samples"],
    )
