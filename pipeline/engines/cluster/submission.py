"""From what was asked for to what a cluster is sent: everything is checked here, before the first request.

The pipeline is the same definition as anywhere; every task is placed, and a lint looks for what Kubeflow trips over.
"""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_models.errors import RequestError
from pipeline.definitions.stages import load_pipeline, run_titles
from pipeline.engines.cluster.lint import lint
from pipeline.engines.cluster.placement import Placement
from pipeline.engines.cluster.settings import ClusterSettings, Connection
from pipeline.request.plan import UNSEEN, Elsewhere, Plan, default_name, make_plan, slug
from pipeline.request.request import Request
from pipeline.request.sweep import SweepRequest, make_sweep, sweep_name
from pipeline.versions import code_version

if TYPE_CHECKING:
    from kfp.dsl.graph_component import GraphComponent

MAX_NAME = 200


@dataclass(frozen=True)
class ClusterPipeline:
    """Kubeflow's intermediate representation of a pipeline: what is computed, and how it is placed."""

    spec: Mapping[str, Any]
    platform: Mapping[str, Any]

    @property
    def body(self) -> dict[str, Any]:
        return {"pipeline_spec": dict(self.spec), "platform_spec": dict(self.platform)}


@dataclass(frozen=True)
class Submission:
    """What is sent to run a pipeline once."""

    name: str
    about: str  # for people: recipe, source, seed
    doubt: str  # whether the recipe is made for such images; "" where it is
    pipeline: ClusterPipeline
    arguments: Mapping[str, Any]


def build_submission(request: Request, settings: ClusterSettings) -> Submission:
    """What is asked for, compiled for a cluster, with its arguments; RequestError for whatever is wrong with it."""
    placement, plan = _placement(request, settings), plan_of(request, settings)
    name = _name(request, default_name(plan))
    arguments = {**plan.arguments(request), "run": run_parameter(name, settings.connection, placement)}
    pipeline = load_pipeline(request.definition, workers=plan.recipe.data.workers)
    made = compile_for_cluster(pipeline, placement, arguments, plan.source_version != UNSEEN)
    return Submission(name, _about(plan), plan.doubt, made, arguments)


def plan_of(request: Request, settings: ClusterSettings) -> Plan:
    """What would be computed there; RequestError as above."""
    placement = _placement(request, settings)
    plan = make_plan(request, Elsewhere(Path(placement.mount) if placement.pvc else None))
    if nodes := placement.training_nodes():
        nodes.check(plan.recipe)
    return plan


def build_sweep(asked: SweepRequest, settings: ClusterSettings) -> Submission:
    """Likewise of a sweep, as one pipeline."""
    placement = _placement(asked.request, settings)
    plan = make_sweep(asked, Elsewhere(Path(placement.mount) if placement.pvc else None))
    if nodes := placement.training_nodes():
        for trial in plan.trials:
            nodes.check(trial.recipe)
    name = _name(asked.request, sweep_name(plan))
    run = run_parameter(name, settings.connection, placement)
    arguments = {**plan.arguments_for(json.loads(run)), "run": run}
    pipeline = load_pipeline("sweep", plan.parallel, plan.recipe.data.workers)
    made = compile_for_cluster(pipeline, placement, arguments, plan.source_version != UNSEEN)
    return Submission(name, f"{_about(plan)}, {len(plan.trials)} trials", plan.doubt, made, arguments)


def _placement(request: Request, settings: ClusterSettings) -> Placement:
    if request.workdir or request.tracking_uri:
        raise RequestError(
            "a cluster keeps its runs on its volume and is told of MLflow by gan-pipeline.toml: leave out "
            "--workdir and --tracking-uri"
        )
    return settings.placement()


def _name(request: Request, default: str) -> str:
    name = request.name or default
    if not name.strip() or len(name) > MAX_NAME or not slug(name):
        raise RequestError(f"--name {name[:40]!r}: expected 1 to {MAX_NAME} characters, letters or digits among them")
    return name


def _about(plan: Plan) -> str:
    return f"{plan.recipe.name} on {plan.recipe.data.source}, seed {plan.seed}"


def compile_for_cluster(
    pipeline: GraphComponent, placement: Placement, arguments: Mapping[str, Any], cache_preparation: bool = True
) -> ClusterPipeline:
    """Compiles a pipeline for a cluster.

    Args:
        arguments: that it will be started with; they are checked, and not written into it.
        cache_preparation: whether equal inputs mean equal data; False for data that may change behind its path.

    Raises:
        RequestError: it would run into one of the known traps, or the arguments are not the pipeline's.
    """
    import yaml
    from kfp.compiler import Compiler

    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "pipeline.yaml")
        # kfp reads the source of every caller for each setting of a task: in a thread of its own there are few.
        with ThreadPoolExecutor(1) as thread:
            placed = thread.submit(_placed, pipeline, placement, cache_preparation).result()
        Compiler().compile(placed, str(file))
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        spec, platform = [*yaml.load_all(file.read_text(encoding="utf-8"), loader), {}][:2]
    compiled = ClusterPipeline(spec, platform)
    if findings := lint(compiled.spec, compiled.platform, arguments):
        raise RequestError("the pipeline cannot be submitted: " + "; ".join(findings))
    return compiled


def _placed(pipeline: GraphComponent, placement: Placement, cache_preparation: bool) -> GraphComponent:
    """The same pipeline, traced once more with every task placed."""
    from kfp import dsl
    from kfp.dsl.pipeline_context import Pipeline

    @functools.wraps(pipeline.pipeline_func)
    def place(*channels: Any) -> Any:
        outputs = pipeline.pipeline_func(*channels)
        for task in Pipeline.get_default_pipeline().tasks.values():
            placement.apply(task, cache_preparation)
        return outputs

    placed: GraphComponent = dsl.pipeline(name=pipeline.name, description=pipeline.description)(place)
    return placed


def run_parameter(name: str, connection: Connection, placement: Placement) -> str:
    """The `run` parameter of a pipeline on a cluster: everything but the run's identity, which its pods' label says.

    Runs of one name share a folder on the volume, and go on from each other's checkpoints.
    """
    fields: dict[str, Any] = {
        "name": name,
        "experiment": connection.experiment,
        "code_version": code_version(),
        "titles": run_titles(),
    }
    if connection.tracking_uri:
        fields["tracking_uri"] = connection.tracking_uri
    if placement.pvc:
        fields["state_dir"] = f"{placement.mount}/runs/{slug(name)}"
    return json.dumps(fields, sort_keys=True)
