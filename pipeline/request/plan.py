"""From what was asked for to what will be computed, and where. What cannot be is refused here, before it is begun.

Nothing here imports kfp or mlflow, so a wrong request is refused at once.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.tracking.backend import default_address, tracker_of
from gan_models.data.sources import parse_source, toys_with
from gan_models.data.sources.base import SourceName
from gan_models.errors import RequestError, RunError, home_path
from gan_models.metrics.choice import check_evaluation
from gan_models.metrics.floors import check_floors
from gan_models.recipes import Recipe, load_recipe, model_document
from gan_models.recipes.fitting import doubt_of_fit
from gan_models.recipes.loading import parse_recipe
from gan_models.recipes.schema import MODEL_NAME
from pipeline.request.request import Request
from pipeline.versions import code_version
from pipeline.workdir import WorkDirectory

RUNS_FOLDER = "runs"
TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
EXPERIMENT = "gan-pipeline"
LABELLED_DEFAULT = "cgan-projection"
UNLABELLED_DEFAULT = "dcgan"
UNSEEN = "unseen"
"""The version of a source that lies where this machine cannot look: what is cached of it cannot be trusted."""
_SECTIONS = ("data", "selection", "evaluation", "export")
"""Of a recipe, that are parameters of their own; the others are the model."""


@dataclass(frozen=True)
class Plan:
    """One computation: equal plans give equal results, whatever they are called and wherever they run."""

    recipe: Recipe
    seed: int
    source_version: str
    code_version: str

    def parameters(self) -> dict[str, str | int]:
        """Arguments of the training pipeline, all but `run`."""
        sections = self.recipe.model_dump(mode="json")
        return {
            "model": plain_json(model_document(self.recipe)),
            **{name: plain_json(sections[name]) for name in _SECTIONS},
            "seed": self.seed,
            "source_version": self.source_version,
            "code_version": self.code_version,
        }

    def arguments(self, request: Request) -> dict[str, str | int | bool]:
        """Arguments of the pipeline that is asked for, all but `run`."""
        if request.command == "run":
            return {**self.parameters()}
        more = request.model_dump(include={"force", "warm_start", "webhook_env"})
        return {**self.parameters(), "model_name": self.recipe.export.model_name or "", **more}

    @property
    def settings(self) -> dict[str, Any]:
        """What was decided, for a reader."""
        return {**self.recipe.model_dump(mode="json"), "seed": self.seed}

    @property
    def doubt(self) -> str:
        """Of the recipe for these images, as far as they are known; "" where there is none."""
        return doubt_of_fit(self.recipe)

    def digest(self) -> str:
        """16 hex digits that change whenever a result could."""
        return hashlib.sha256(plain_json(self.parameters()).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Place:
    """Where a plan runs, what the run is called, and the MLflow store it is tracked in."""

    name: str
    workdir: Path
    tracking_uri: str
    experiment: str = EXPERIMENT


@dataclass(frozen=True)
class Elsewhere:
    """A place other than this machine: of files it sees only those on its volume."""

    volume: Path | None = None

    def check(self, path: Path, what: str) -> None:
        """Refuses a path that is none there; nothing can be said about what lies at it."""
        if self.volume is None:
            raise RequestError(
                f"{what} lies on this machine, where a cluster cannot see it: copy it to a volume there and give --pvc"
            )
        if not (path.is_absolute() and path.is_relative_to(self.volume)):
            raise RequestError(
                f"{what} lies on this machine, where a cluster cannot see it: copy it to the volume and name it by its "
                f"path there, below {self.volume}"
            )


def make_plan(request: Request, elsewhere: Elsewhere | None = None, like: Plan | None = None) -> Plan:
    """The plan for a request.

    Args:
        elsewhere: where it will run; default: on this machine.
        like: a plan of the same source, which is not looked through once more.

    Raises:
        RequestError: unknown or contradictory recipe, key, value, source, option; labels asked for and absent; parts
            that do not go together; files that lie where it will not run.
    """
    request.check()
    overrides, seed = request.recipe_overrides(), request.seed
    if request.pipeline is None:
        recipe = load_recipe(request.recipe or LABELLED_DEFAULT, overrides)
    else:
        parameters = compiled_parameters(request.pipeline)
        recipe, seed = read_parameters(parameters, str(request.pipeline))
    recipe = recipe.completed()
    source = parse_source(recipe.data.source, recipe.data.fields)
    carried = _carried(source, elsewhere)
    unseen = carried is None
    carried = recipe.needs if carried is None else carried
    if request.recipe is None and request.pipeline is None:
        if unseen:
            raise RequestError(f"whether {source} has labels cannot be seen from here: name a --recipe")
        if "labels" not in carried:
            recipe = load_recipe(UNLABELLED_DEFAULT, overrides).completed()
    _check_needs(recipe, carried)
    if recipe.game.most_domains and not unseen and not source.known.needs_network:
        recipe.check_domains(recipe.data.source, source.open().domain_names)
    if elsewhere is None:
        check_evaluation(recipe.evaluation)
    check_floors(recipe, labelled=unseen or "labels" in carried)
    place, version = recipe.data.source, UNSEEN
    if unseen:  # the first stage there says what is wrong with them
        if elsewhere and source.path:
            elsewhere.check(source.path, place)
    else:
        place, version = source.absolute, like.source_version if like else source.digest()
        if "python3" in place:
            raise RequestError(
                f"kfp.local replaces the word python3 wherever it stands in a path, so it would not find {place}: "
                "rename or link it"
            )
    return Plan(_named(_at_place(recipe, place, elsewhere), request), seed, version, code_version())


def _carried(source: SourceName, elsewhere: Elsewhere | None) -> frozenset[str] | None:
    """What the images come with; None where only the place that the plan is for can see them."""
    if elsewhere is None:
        return source.carried()
    if source.path:
        return None
    try:
        return source.carried()
    except RunError:
        if not source.needs_network:
            raise
        return None  # who runs there may have the login that nobody has here


def make_place(plan: Plan, request: Request, environment: Mapping[str, str] = os.environ) -> Place:
    """Fills in what the request left open.

    Work directory: the flag, else `runs/<name>`. Name: the flag, else the work directory's own when that was given,
    else from the plan, so that the same request finds the same run; also one that was given another place in runs/, as
    `make demo` does. Tracking: see `tracking_address`.
    """
    name, workdir = request.name, request.workdir
    if name is None and workdir is None and request.command == "run":
        workdir = _same_run(plan)
    if name is not None and not name.strip():
        raise RequestError("--name is empty: give the run a name, or leave the option out")
    name = name or (home_path(workdir).resolve().name if workdir else default_name(plan))
    workdir = home_path(workdir or Path(RUNS_FOLDER) / slug(name)).resolve()
    return Place(name, workdir, tracking_address(request.tracking_uri, workdir.parent, environment))


def _same_run(plan: Plan) -> Path | None:
    """The work directory in runs/ that holds this very computation; None where none does, or that of its own name."""
    runs = Path(RUNS_FOLDER)
    if (runs / slug(default_name(plan))).exists():
        return None
    for place in sorted(runs.glob("*/")):
        record = WorkDirectory(place).record()
        if record and (record.digest, record.experiment) == (plan.digest(), EXPERIMENT):
            return place
    return None


def tracking_address(flag: str | None, runs_folder: Path, environment: Mapping[str, str] = os.environ) -> str:
    """The MLflow store: the flag, else MLFLOW_TRACKING_URI, else a SQLite file beside the runs. Absolute."""
    uri = flag or environment.get(TRACKING_VARIABLE) or default_address(runs_folder)
    return tracker_of(uri).absolute(uri)


def default_name(plan: Plan) -> str:
    """A name that is the same whenever the same settings are asked for, whatever the version of code and images."""
    settings = {key: value for key, value in plan.parameters().items() if not key.endswith("_version")}
    digest = hashlib.sha256(plain_json(settings).encode()).hexdigest()[:6]
    source = plan.recipe.data.source
    return f"{slug(plan.recipe.name)}-{slug(parse_source(source).short) or slug(source)}-{plan.seed}-{digest}"


def slug(text: str) -> str:
    """Lower-case letters, digits, dots and dashes: safe as a folder's name on every system."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")


def compiled_parameters(path: Path) -> dict[str, Any]:
    """The defaults of a compiled pipeline's parameters; RequestError where there is no such file, or no pipeline."""
    import yaml

    try:
        document = next(yaml.safe_load_all(path.read_text(encoding="utf-8")))
        inputs = document["root"]["inputDefinitions"]["parameters"]
        return {name: spec["defaultValue"] for name, spec in inputs.items() if "defaultValue" in spec}
    except OSError as error:
        raise RequestError(f"--pipeline {path}: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError, StopIteration):
        raise RequestError(
            f"--pipeline {path} holds no compiled pipeline: write one with `gan-pipeline compile`"
        ) from None


def read_parameters(parameters: Mapping[str, Any], origin: str) -> tuple[Recipe, int]:
    """Recipe and seed behind the parameters of a training pipeline; RequestError where they are not of one."""
    try:
        sections = {name: json.loads(parameters[name]) for name in _SECTIONS}
        document = {**json.loads(parameters["model"]), **sections}
        seed = int(parameters["seed"])
    except (KeyError, TypeError, ValueError):
        raise RequestError(f"{origin} is not a training pipeline written by `gan-pipeline compile`") from None
    return parse_recipe(document, origin), seed


def plain_json(value: Any) -> str:
    """JSON that is equal, byte for byte, whenever the value is."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _check_needs(recipe: Recipe, carried: frozenset[str]) -> None:
    source, missing = recipe.data.source, recipe.needs - carried
    if "labels" in missing:
        raise RequestError(
            f"recipe {recipe.name!r} needs labels and {source} has none: "
            f"use --recipe {UNLABELLED_DEFAULT}, or sort the images into one folder for each class"
        )
    for what in sorted(missing):
        toys, column = toys_with(what), what if what == "attributes" else what.removesuffix("s")
        others = f", or one of {', '.join(toys)}" if toys else ""
        raise RequestError(
            f"recipe {recipe.name!r} needs {what} and {source} has none: use a source with a column {column!r}, in "
            f"Parquet or in a table beside the images{others}"
        )


def _named(recipe: Recipe, request: Request) -> Recipe:
    """A retraining's recipe with the registered model that it is for."""
    if request.command == "run":
        return recipe
    name = request.model or recipe.export.model_name or recipe.registry_name
    if not MODEL_NAME.fullmatch(name):
        raise RequestError(f"--model {name!r}: MLflow takes any name without / and :, up to 200 characters")
    return recipe.model_copy(update={"export": recipe.export.model_copy(update={"model_name": name})})


def _at_place(recipe: Recipe, source: str, elsewhere: Elsewhere | None) -> Recipe:
    """The recipe with places that mean the same in every stage: they run elsewhere than here, perhaps after a `cd`."""
    evaluation = recipe.evaluation
    if evaluation.inception_weights:
        weights = home_path(evaluation.inception_weights)
        if elsewhere is not None:
            elsewhere.check(weights, f"evaluation.inception_weights, {weights},")
        elif not weights.is_file():
            raise RequestError(f"evaluation.inception_weights: there is no file {weights}")
        else:
            evaluation = evaluation.model_copy(update={"inception_weights": str(weights.resolve())})
    data = recipe.data.model_copy(update={"source": source})
    return recipe.model_copy(update={"data": data, "evaluation": evaluation})
