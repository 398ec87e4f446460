"""From what was asked for to what a cluster is sent: everything is checked here, before the first request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_models.errors import RequestError
from pipeline.engines.cluster.settings import ClusterSettings
from pipeline.request.place import default_name, slug
from pipeline.request.plan import UNSEEN, Elsewhere, make_plan
from pipeline.request.request import Request

if TYPE_CHECKING:
    from pipeline.engines.cluster.compiling import ClusterPipeline

MAX_NAME = 200


@dataclass(frozen=True)
class Submission:
    """What is sent to run a pipeline once."""

    name: str
    about: str
    """For people: recipe, source, seed."""
    pipeline: ClusterPipeline
    arguments: Mapping[str, Any]


def build_submission(request: Request, settings: ClusterSettings) -> Submission:
    """The pipeline that is asked for, compiled for a cluster, with its arguments.

    Raises:
        RequestError: whatever is wrong with it.
    """
    from pipeline.engines.cluster.compiling import compile_for_cluster, run_parameter

    if request.workdir or request.tracking_uri:
        raise RequestError(
            "a cluster keeps its runs on its volume and is told of MLflow by gan-pipeline.toml: leave out "
            "--workdir and --tracking-uri"
        )
    placement = settings.placement()
    plan = make_plan(request, Elsewhere(Path(placement.mount) if placement.pvc else None))
    if nodes := placement.training_nodes():
        nodes.check(plan.recipe)
    name = request.name or default_name(plan)
    if not name.strip() or len(name) > MAX_NAME or not slug(name):
        raise RequestError(f"--name {name[:40]!r}: expected 1 to {MAX_NAME} characters, letters or digits among them")
    connection = settings.connection
    run = run_parameter(name, connection.experiment, connection.tracking_uri, placement, slug(name))
    arguments = {**plan.arguments(request), "run": run}
    pipeline = None
    if request.command == "retrain":
        from pipeline.definitions.retraining import retraining_pipeline as pipeline
    made = compile_for_cluster(placement, arguments, plan.source_version != UNSEEN, pipeline)
    about = f"{plan.recipe.name} on {plan.recipe.data.source}, seed {plan.seed}"
    return Submission(name, about, made, arguments)
