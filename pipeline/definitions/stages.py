"""The stages that there are: what they are called, where they run best, and what people find of them afterwards.

This table is the only one: the pipelines are chained from it, the engines place by it, the board and MLflow take the
titles from it. It imports neither kfp nor a stage. A package adds a stage by an entry point, and nothing is changed
here; the record is a `Stage`, and the name that of the component's function:

    [project.entry-points."gan_pipeline.stages"]
    measure_brightness = "my_package.brightness.step:STAGE"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from gan_models.plugins import Registry

if TYPE_CHECKING:
    from kfp.dsl.base_component import BaseComponent
    from kfp.dsl.graph_component import GraphComponent

Definition = Literal["training", "retraining", "sweep"]


@dataclass(frozen=True)
class Stage:
    """One stage. Its inputs and outputs are those of its component."""

    component: str
    """The KFP component, as "module:function"; imported when a pipeline is made or run."""
    title: str
    """As people know it: on the command line and, as the name of its run, in MLflow."""
    display_name: str = ""
    """In Kubeflow's UI; default: the title."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Input -> the output it is fed with, where the two are not called the same."""
    results: Mapping[str, str] = field(default_factory=dict)
    """Output -> the name of its link in results/ of the work directory."""
    cached: bool = True
    """Whether equal inputs mean equal outputs, so that an earlier run may stand for it."""
    gpus: Literal["none", "one", "all"] = "none"
    """What it can make use of; all: as many as there are, on as many nodes. One that uses none needs no torch."""
    resumes: bool = False
    """Whether it goes on from its last checkpoint when it was killed: it is tried again."""
    network: bool = False
    """Whether it talks to others than the tracking of runs, such as the model registry."""
    reads_source: bool = False
    """Whether it reads what lies at `data.source`."""
    only_retraining: bool = False
    """Whether a training goes without it."""
    only_sweep: bool = False
    """Whether trainings and retrainings go without it."""
    imports: Literal["no", "part", "merge"] = "no"
    """Whether it stands in the place of prepare_data where several tasks import images: as one of them, or after."""
    sweep: Literal["no", "once", "each"] = "no"
    """Whether a sweep has it: not at all, once for all trials, or for each of them."""

    def load(self) -> BaseComponent:
        module, _, name = self.component.partition(":")
        return getattr(import_module(module), name)


def _own(name: str) -> str:
    return f"components.{name}.component:{name}"


CHOSEN = {"generator": "selected"}
STAGES: Registry[Stage] = Registry(
    "stage",
    "gan_pipeline.stages",
    {
        "prepare_data": Stage(
            _own("prepare_data"), "prepare data", reads_source=True, results={"dataset": "dataset"}, sweep="once"
        ),
        "import_shards": Stage(
            "components.prepare_data.component:import_shards", "import images", reads_source=True, imports="part"
        ),
        "merge_shards": Stage(
            "components.prepare_data.component:merge_shards",
            "prepare data",
            reads_source=True,
            results={"dataset": "dataset"},
            imports="merge",
        ),
        # What asks the registry, or changes it, is never taken from a cache.
        "find_champion": Stage(
            _own("find_champion"), "find champion", cached=False, network=True, only_retraining=True
        ),
        "check_changes": Stage(_own("check_changes"), "check for changes", cached=False, only_retraining=True),
        "train_gan": Stage(
            _own("train_gan"),
            "train",
            "Train GAN",
            gpus="all",
            resumes=True,
            results={"training": "training"},
            sweep="each",
        ),
        "select_checkpoint": Stage(
            _own("select_checkpoint"), "select checkpoint", gpus="one", results={"selected": "generator"}, sweep="each"
        ),
        "evaluate_gan": Stage(
            _own("evaluate_gan"),
            "evaluate",
            "Evaluate GAN",
            CHOSEN,
            gpus="one",
            results={"report": "evaluation"},
            sweep="each",
        ),
        # What it hands on of the best trial is called as what a training chose: the export is the same for both.
        "rank_trials": Stage(
            _own("rank_trials"), "rank trials", results={"leaderboard": "leaderboard"}, only_sweep=True, sweep="once"
        ),
        "compare_champion": Stage(
            _own("compare_champion"),
            "compare with champion",
            inputs={"challenger": "selected"},
            gpus="one",
            only_retraining=True,
        ),
        "export_samples": Stage(
            _own("export_samples"),
            "export",
            "Export samples",
            CHOSEN,
            gpus="one",
            results={"samples": "samples"},
            sweep="once",
        ),
        "promote": Stage(_own("promote"), "promote or keep", cached=False, network=True, only_retraining=True),
        "notify": Stage(_own("notify"), "notify", cached=False, network=True, only_retraining=True),
    },
)


def stages_of(definition: Definition) -> dict[str, Stage]:
    """The stages of a pipeline in their order, those of packages last."""
    if definition == "sweep":
        return {name: stage for name, stage in STAGES.items() if stage.sweep != "no"}
    outside = {name: stage for name, stage in STAGES.items() if not stage.only_sweep and stage.imports == "no"}
    return {name: stage for name, stage in outside.items() if definition == "retraining" or not stage.only_retraining}


def load_pipeline(definition: Definition, parallel: int = 1, workers: int = 1) -> GraphComponent:
    """A pipeline, not compiled yet.

    Args:
        parallel: how many trials of a sweep run at a time.
        workers: tasks that import the images (`data.workers`).
    """
    make = getattr(import_module(f"pipeline.definitions.{definition}"), f"make_{definition}_pipeline")
    pipeline: GraphComponent = make(parallel, workers) if definition == "sweep" else make(workers)
    return pipeline


def titles_of(definition: Definition) -> dict[str, str]:
    """What people call the stages of a pipeline, in their order; a training has few enough to count them."""
    titles = {name: stage.title for name, stage in stages_of(definition).items()}
    if definition != "training":
        return titles
    return {name: f"{number} {title}" for number, (name, title) in enumerate(titles.items(), 1)}


def run_titles() -> dict[str, str]:
    """What the stages' runs are called in MLflow: by the number that they have in a training, if they have one."""
    titles = {name: stage.title for name, stage in STAGES.items()}
    return titles | titles_of("training")


def stage_of(component: str) -> Stage | None:
    """The stage whose component KFP calls so, as in `train-gan`; None: it is none of ours."""
    return STAGES.get(component.replace("-", "_"))


def result_names() -> dict[str, str]:
    """Output of a stage -> name of its link in results/."""
    return {output: name for stage in STAGES.values() for output, name in stage.results.items()}
