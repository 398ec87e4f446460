"""Where a plan runs, what the run is called and the MLflow store it is tracked in."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from components.prepare_data.sources import short_name
from components.tracking.backend import default_address, tracker_of
from gan_models.errors import RequestError
from pipeline.request.plan import Plan, plain_json
from pipeline.request.request import Request

RUNS_FOLDER = "runs"
TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"
EXPERIMENT = "gan-pipeline"


@dataclass(frozen=True)
class Place:
    """Where a plan runs, what the run is called, and the MLflow store it is tracked in."""

    name: str
    workdir: Path
    tracking_uri: str
    experiment: str = EXPERIMENT


def make_place(plan: Plan, request: Request, environment: Mapping[str, str] = os.environ) -> Place:
    """Fills in what the request left open.

    Work directory: the flag, else `runs/<name>`. Name: the flag, else the work directory's own when that was given,
    else from the plan, so that the same request finds the same run. Tracking: see `tracking_address`.
    """
    name, workdir = request.name, request.workdir
    if name is not None and not name.strip():
        raise RequestError("--name is empty: give the run a name, or leave the option out")
    name = name or (workdir.expanduser().resolve().name if workdir else default_name(plan))
    workdir = (workdir or Path(RUNS_FOLDER) / slug(name)).expanduser().resolve()
    return Place(name, workdir, tracking_address(request.tracking_uri, workdir.parent, environment))


def tracking_address(flag: str | None, runs_folder: Path, environment: Mapping[str, str] = os.environ) -> str:
    """The MLflow store: the flag, else MLFLOW_TRACKING_URI, else a SQLite file beside the runs. Absolute."""
    uri = flag or environment.get(TRACKING_VARIABLE) or default_address(runs_folder)
    return tracker_of(uri).absolute(uri)


def default_name(plan: Plan) -> str:
    """A name that is the same whenever the same settings are asked for, whatever the version of code and images."""
    settings = {key: value for key, value in plan.parameters().items() if not key.endswith("_version")}
    digest = hashlib.sha256(plain_json(settings).encode()).hexdigest()[:6]
    source = plan.recipe.data.source
    return f"{slug(plan.recipe.name)}-{slug(short_name(source)) or slug(source)}-{plan.seed}-{digest}"


def slug(text: str) -> str:
    """Lower-case letters, digits, dots and dashes: safe as a folder's name on every system."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")
