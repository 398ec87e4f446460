"""From what was typed to what will run: a `Plan` (which computation) and a `Place` (where it runs and is tracked).

Nothing here imports torch, kfp or mlflow, so a wrong request is refused at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.prepare_data.sources.registry import (
    PATH_KINDS,
    SPLIT_NAMES,
    absolute_source,
    open_source,
    parse_source,
    source_version,
)
from components.prepare_data.sources.torchvision_catalogue import CATALOGUE
from components.prepare_data.sources.toy_catalogue import TOYS
from components.tracking.backend import default_address, tracker_of
from gan_models.errors import RequestError
from gan_models.recipes import Recipe, load_recipe, model_document
from pipeline.versions import code_version

RUNS_FOLDER = "runs"
TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
EXPERIMENT = "gan-pipeline"
LABELLED_DEFAULT = "cgan-projection"
UNLABELLED_DEFAULT = "dcgan"
UNSEEN = "unseen"
"""The version of a source that lies where this machine cannot look: what is cached of it cannot be trusted."""
MAX_SEED = 2**31 - 1  # KFP carries whole numbers as doubles, torch and numpy as 32 or 64 bits: all agree up to here


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
            "data": _json(sections["data"]),
            "model": _json(model_document(self.recipe)),
            "selection": _json(sections["selection"]),
            "evaluation": _json(sections["evaluation"]),
            "export": _json(sections["export"]),
            "seed": self.seed,
            "source_version": self.source_version,
            "code_version": self.code_version,
        }

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any], origin: str, elsewhere: Elsewhere | None = None) -> Plan:
        """The plan baked into a compiled pipeline, brought up to the code and the source that are here now.

        Raises:
            RequestError: the parameters are not those of a training pipeline, or the source cannot be read.
        """
        from gan_models.recipes.loading import parse_recipe

        try:
            sections = {name: json.loads(parameters[name]) for name in ("data", "selection", "evaluation", "export")}
            document = {**json.loads(parameters["model"]), **sections}
            seed = int(parameters["seed"])
        except (KeyError, TypeError, ValueError):
            raise RequestError(f"{origin} is not a training pipeline written by `gan-pipeline compile`") from None
        recipe = parse_recipe(document, origin)
        if elsewhere is not None and parse_source(recipe.data.source).kind in PATH_KINDS:
            return _unseen_plan(recipe, seed, elsewhere)
        return _plan(recipe, carried_by(recipe.data.source), seed, elsewhere)

    def digest(self) -> str:
        """16 hex digits that change whenever a result could."""
        return hashlib.sha256(_json(self.parameters()).encode()).hexdigest()[:16]

    def default_name(self) -> str:
        """A name that is the same whenever the same settings are asked for, whatever the version of code and images."""
        settings = {key: value for key, value in self.parameters().items() if not key.endswith("_version")}
        digest = hashlib.sha256(_json(settings).encode()).hexdigest()[:6]
        return f"{slug(self.recipe.name)}-{source_slug(self.recipe.data.source)}-{self.seed}-{digest}"


@dataclass(frozen=True)
class Elsewhere:
    """A place other than this machine: of files it sees only those on its volume."""

    volume: Path | None = None

    def holds(self, path: Path) -> bool:
        """Whether a path is one there; nothing can be said about what lies at it."""
        return self.volume is not None and path.is_absolute() and path.is_relative_to(self.volume)

    def refusal(self, what: str) -> RequestError:
        """The sentence for a file of this machine."""
        if self.volume is None:
            return RequestError(
                f"{what} lies on this machine, where a cluster cannot see it: copy it to a volume there and give --pvc"
            )
        return RequestError(
            f"{what} lies on this machine, where a cluster cannot see it: copy it to the volume and name it by its "
            f"path there, below {self.volume}"
        )


def make_plan(
    recipe: str | None = None,
    data: str | None = None,
    overrides: Sequence[str] = (),
    seed: int = 0,
    elsewhere: Elsewhere | None = None,
) -> Plan:
    """The plan for a request of the command line.

    Args:
        recipe: a built-in name or the path of a YAML; default: by whether the source has labels.
        data: the source, instead of the recipe's `data.source`.
        overrides: `section.key=value`.
        elsewhere: where it will run; default: on this machine.

    Raises:
        RequestError: unknown or contradictory recipe, key, value, source; labels asked for and absent; files that lie
            where it will not run.
    """
    if not 0 <= seed <= MAX_SEED:
        raise RequestError(f"--seed {seed}: expected a whole number from 0 to {MAX_SEED}")
    if data is not None:
        if any(override.partition("=")[0].strip() == "data.source" for override in overrides):
            raise RequestError("--data and --set data.source both name a source: give one of them")
        overrides = [*overrides, f"data.source={json.dumps(data)}"]
    chosen = load_recipe(recipe or LABELLED_DEFAULT, overrides)
    if elsewhere is not None and parse_source(chosen.data.source).kind in PATH_KINDS:
        if recipe is None:
            raise RequestError(f"whether {chosen.data.source} has labels cannot be seen from here: name a --recipe")
        return _unseen_plan(chosen, seed, elsewhere)
    carried = carried_by(chosen.data.source)
    if recipe is None and "labels" not in carried:
        chosen = load_recipe(UNLABELLED_DEFAULT, overrides)
    return _plan(chosen, carried, seed, elsewhere)


def _unseen_plan(recipe: Recipe, seed: int, elsewhere: Elsewhere) -> Plan:
    """For images on another machine's volume: the first stage there says what is wrong with them."""
    path = parse_source(recipe.data.source).path
    if path is None or not elsewhere.holds(path):
        raise elsewhere.refusal(recipe.data.source)
    return Plan(_at_place(recipe, recipe.data.source, elsewhere), seed, UNSEEN, code_version())


def carried_by(source: str) -> frozenset[str]:
    """What the images of a source come with: `labels`, `domains`, `captions`; nothing is decoded or downloaded.

    Raises:
        RequestError: there is no such source, or nothing usable in it.
    """
    name = parse_source(source)
    if name.kind == "toy":
        toy = TOYS[name.rest]
        has = {"labels": True, "domains": bool(toy.domains), "captions": toy.captions}
    elif name.kind in PATH_KINDS:
        opened = open_source(source)
        has = {
            "labels": bool(opened.class_names),
            "domains": bool(opened.domain_names),
            "captions": opened.has_captions,
        }
    else:
        has = {"labels": name.kind != "torchvision" or CATALOGUE[name.rest].labelled}
    return frozenset(what for what, there in has.items() if there)


def _plan(recipe: Recipe, carried: frozenset[str], seed: int, elsewhere: Elsewhere | None = None) -> Plan:
    if "labels" in recipe.needs - carried:
        raise RequestError(
            f"recipe {recipe.name!r} needs labels and {recipe.data.source} has none: "
            f"use --recipe {UNLABELLED_DEFAULT}, or sort the images into one folder for each class"
        )
    for what in sorted(recipe.needs - carried - {"labels"}):
        raise RequestError(
            f"recipe {recipe.name!r} needs {what} and {recipe.data.source} has none: use a Parquet file with a column "
            f"{what.removesuffix('s')!r}, or one of {', '.join(_toys_with(what))}"
        )
    source = absolute_source(recipe.data.source)
    if "python3" in source:
        raise RequestError(
            f"kfp.local replaces the word python3 wherever it stands in a path, so it would not find {source}: "
            "rename or link it"
        )
    return Plan(_at_place(recipe, source, elsewhere), seed, source_version(source), code_version())


def _at_place(recipe: Recipe, source: str, elsewhere: Elsewhere | None) -> Recipe:
    """The recipe with places that mean the same in every stage: they run elsewhere than here, perhaps after a `cd`."""
    evaluation = recipe.evaluation
    if evaluation.inception_weights:
        weights = Path(evaluation.inception_weights).expanduser()
        if elsewhere is not None:
            if not elsewhere.holds(weights):
                raise elsewhere.refusal(f"evaluation.inception_weights, {weights},")
        elif not weights.is_file():
            raise RequestError(f"evaluation.inception_weights: there is no file {weights}")
        else:
            evaluation = evaluation.model_copy(update={"inception_weights": str(weights.resolve())})
    data = recipe.data.model_copy(update={"source": source})
    return recipe.model_copy(update={"data": data, "evaluation": evaluation})


def _toys_with(what: str) -> list[str]:
    return [f"toy:{name}" for name in TOYS if what in carried_by(f"toy:{name}")]


@dataclass(frozen=True)
class Place:
    """Where a plan runs, what the run is called, and the MLflow store it is tracked in."""

    name: str
    workdir: Path
    tracking_uri: str
    experiment: str = EXPERIMENT


def make_place(
    plan: Plan,
    workdir: Path | None = None,
    name: str | None = None,
    tracking_uri: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Place:
    """Fills in what the request left open.

    Work directory: the flag, else `runs/<name>`. Name: the flag, else the work directory's own when that was given,
    else from the plan, so that the same request finds the same run. Tracking: see `tracking_address`.
    """
    if name is not None and not name.strip():
        raise RequestError("--name is empty: give the run a name, or leave the option out")
    name = name or (workdir.expanduser().resolve().name if workdir else plan.default_name())
    if workdir is None:
        workdir = Path(RUNS_FOLDER) / slug(name)
    workdir = workdir.expanduser().resolve()
    return Place(name, workdir, tracking_address(tracking_uri, workdir.parent, environment))


def tracking_address(flag: str | None, runs_folder: Path, environment: Mapping[str, str] = os.environ) -> str:
    """The MLflow store: the flag, else MLFLOW_TRACKING_URI, else a SQLite file beside the runs. Absolute."""
    uri = flag or environment.get(TRACKING_VARIABLE) or default_address(runs_folder)
    return tracker_of(uri).absolute(uri)


def source_slug(source: str) -> str:
    """A short name of a source: `mnist-5k`, `cifar10` for torchvision:CIFAR10, `cats` for folder:/data/cats."""
    kind, separator, rest = source.partition(":")
    if not separator:
        return slug(source)
    path = Path(rest)
    name = path.stem if kind in ("parquet", "npz") and path.suffix else path.name
    if name.lower() in SPLIT_NAMES:  # .../cifar10/train.parquet: the folder says what it is
        name = path.parent.name
    return slug(name) or slug(kind)


def slug(text: str) -> str:
    """Lower-case letters, digits, dots and dashes: safe as a folder's name on every system."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")


def _json(value: Any) -> str:
    """JSON that is equal, byte for byte, whenever the value is."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
