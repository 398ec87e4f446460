"""From what was typed to what a cluster is sent: everything is checked here, before the first request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from gan_models.errors import RequestError, unknown_name
from pipeline.engines.cluster.settings import ClusterSettings
from pipeline.request.plan import UNSEEN, Elsewhere, Plan, make_plan, slug

if TYPE_CHECKING:
    from kfp.dsl.graph_component import GraphComponent

    from pipeline.engines.cluster.compiling import ClusterPipeline

MAX_NAME = 200


class TrainingRequest(BaseModel):
    """A training, as `submit` takes it and as a schedule keeps it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str | None = None
    data: str | None = None
    overrides: tuple[str, ...] = ()
    seed: int = 0
    name: str | None = None

    @classmethod
    def parse(cls, request: Mapping[str, JsonValue]) -> TrainingRequest:
        """Raises RequestError: an unknown key, with the nearest right one, or a value that cannot be."""
        known = list(cls.model_fields)
        for key in request:
            if key not in known:
                raise unknown_name("argument of a training", key, known)
        try:
            return cls.model_validate(request)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise RequestError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


@dataclass(frozen=True)
class Submission:
    """What is sent to run a pipeline once."""

    name: str
    about: str
    """For people: recipe, source, seed."""
    pipeline: ClusterPipeline
    arguments: Mapping[str, Any]


def build_training(
    request: TrainingRequest,
    settings: ClusterSettings,
    compiled: Path | None = None,
    pipeline: GraphComponent | None = None,
    more: Mapping[str, Any] | None = None,
) -> Submission:
    """The training pipeline for a cluster, with its arguments.

    Args:
        compiled: a file of `gan-pipeline compile`, whose recipe, data and seed are meant.
        pipeline: another one that begins with a training's parameters.
        more: its further arguments.

    Raises:
        RequestError: whatever is wrong with it.
    """
    from pipeline.engines.cluster.compiling import compile_for_cluster, run_parameter

    placement = settings.placement()
    plan = plan_for_cluster(request, settings, compiled)
    if nodes := placement.training_nodes():
        nodes.check(plan.recipe)
    name = request.name or plan.default_name()
    if not name.strip() or len(name) > MAX_NAME or not slug(name):
        raise RequestError(f"--name {name[:40]!r}: expected 1 to {MAX_NAME} characters, letters or digits among them")
    connection = settings.connection
    run = run_parameter(name, connection.experiment, connection.tracking_uri, placement, slug(name))
    arguments = {**plan.parameters(), "run": run, **(more or {})}
    made = compile_for_cluster(placement, arguments, plan.source_version != UNSEEN, pipeline)
    about = f"{plan.recipe.name} on {plan.recipe.data.source}, seed {plan.seed}"
    return Submission(name, about, made, arguments)


def plan_for_cluster(request: TrainingRequest, settings: ClusterSettings, compiled: Path | None = None) -> Plan:
    """The computation that is asked for, checked as far as it can be seen from here. Raises RequestError."""
    from pipeline.checks import check_buildable, is_proven
    from pipeline.commands.run import compiled_parameters

    placement = settings.placement()
    elsewhere = Elsewhere(Path(placement.mount) if placement.pvc else None)
    if compiled is None:
        plan = make_plan(request.recipe, request.data, request.overrides, request.seed, elsewhere)
    elif request.recipe or request.data or request.overrides or request.seed:
        raise RequestError(
            "--pipeline brings its own recipe, data and seed: leave out --recipe, --data, --set and --seed, "
            "or compile it again with them"
        )
    else:
        plan = Plan.from_parameters(compiled_parameters(compiled), str(compiled), elsewhere)
    if not is_proven(plan.recipe):
        check_buildable(plan.recipe)
    return plan
